"""Files of an answer are written all or not at all, and leave nothing else behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rung.errors import UsageError
from rung.escalation.apply import apply_files, sha256
from rung.validation.paths import UnsafePathError

# A limit on the size of files stands in for a disk that is full in the middle of the second one.
FULL_DISK = """
import resource, sys
from pathlib import Path
from rung.errors import UsageError
from rung.escalation.apply import apply_files

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    apply_files(Path(sys.argv[1]), {"small.txt": "s", "large.txt": "x" * 5000}, {})
except UsageError as error:
    print(error)
"""


def test_a_full_disk_leaves_no_file_and_is_named(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("large.txt cannot be written: File too large; nothing was written")
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_already_is_no_conflict(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    base = {"a.txt": sha256(b"old"), "b.txt": None}
    files = {"a.txt": "new", "b.txt": "made"}
    assert apply_files(tmp_path, files, base) == ["a.txt", "b.txt"]
    assert apply_files(tmp_path, files, base) == ["a.txt", "b.txt"]
    (tmp_path / "b.txt").write_text("of somebody else")
    with pytest.raises(UsageError, match=r"b\.txt changed"):
        apply_files(tmp_path, files, base)


def test_text_that_no_file_can_hold_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"b\.txt .*not valid Unicode"):
        apply_files(tmp_path, {"a.txt": "fine", "b.txt": "\ud800"}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_leads_out_by_now_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(UnsafePathError, match="leads out"):
        apply_files(root, {"a.txt": "x"}, {})
    assert not (tmp_path / "outside.txt").exists()
