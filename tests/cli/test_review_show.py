"""What a person is shown of an answer is what would be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rung.cli.review_show import changes
from rung.escalation.reviewed import Answer


def shown(root: Path, **files: str) -> str:
    return changes(root, Answer(files={f"{name}.py": text for name, text in files.items()})).plain


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("one\ntwo\n", "one\ntwo"),
        ("one\ntwo\n", "one\x0btwo\n"),
        ("one\ntwo\n", "one\ntw\u200bo\n"),
        ("one\n", "o\u202ene\n"),
        ("one\n", "one\x1b[8m\n"),
    ],
)
def test_a_difference_that_cannot_be_seen_is_shown(before: str, after: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(before.encode())
    text = shown(tmp_path, a=after)
    assert "no difference" not in text
    removed, added = (
        {line[1:] for line in text.splitlines() if line[0] == sign and line[1:2] != sign}
        for sign in "-+"
    )
    assert removed | added
    assert removed != added or "no newline" in text
    assert not set(text) & {"\x0b", "\x1b", "\r", "\u200b", "\u202e"}


def test_line_ends_that_stay_as_they_are_do_not_clutter_a_diff(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"one\r\ntwo\r\n")
    assert "U+000D" not in shown(tmp_path, a="one\r\nthree\r\n")
    assert "no difference" in shown(tmp_path, a="one\r\ntwo\r\n")


def test_a_file_that_is_no_text_by_now_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"\xff\xfe")
    assert "not UTF-8 text" in shown(tmp_path, a="x\n")
    os.mkfifo(tmp_path / "b.py")  # to read it would wait for ever
    assert "no plain file" in shown(tmp_path, b="x\n")
