"""Numbers with their nouns, as a person says them."""

from __future__ import annotations

import pytest

from rung.wording import counted


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1200, "1,200 files")]
)
def test_one_is_singular_and_all_else_is_not(count: int, words: str) -> None:
    assert counted(count, "file") == words
