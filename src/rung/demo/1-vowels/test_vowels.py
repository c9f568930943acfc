import pytest
from vowels import count_vowels


@pytest.mark.parametrize(
    ("text", "vowels"), [("rung", 1), ("ladder", 2), ("rhythm", 0), ("", 0), ("an outcome", 5)]
)
def test_counts_vowels(text, vowels):
    assert count_vowels(text) == vowels
