"""A stand-in hub with one tiny repository."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.hub import FakeHub
from tests.models.builders import gguf_bytes

REPO = "org/tiny-GGUF"
FILE = "tiny-Q4_0.gguf"
SOURCE = f"hf:{REPO}/{FILE}"
MODEL = "tiny-q4_0"
GGUF = gguf_bytes()


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub({REPO: {FILE: GGUF, "README.md": b"# Tiny"}}) as hub:
        yield hub
