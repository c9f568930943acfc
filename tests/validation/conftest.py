"""What the tests of validators and the sandbox share."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.config.settings import SandboxSettings
from rung.validation import Candidate, CheckContext


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def context(base: Path, tmp_path: Path) -> CheckContext:
    """A project and a scratch folder, both empty."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return CheckContext(base=base, scratch=scratch, sandbox=SandboxSettings(timeout_s=20.0))


def candidate_of(context: CheckContext, **files: str) -> Candidate:
    """A candidate whose files are laid over the scratch folder; `a__b_py` stands for `a/b.py`."""
    named = {name: text for name, text in files.items()}
    for name, text in named.items():
        path = context.scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Candidate(text="", files=named)
