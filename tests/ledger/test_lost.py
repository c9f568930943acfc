"""The count of lost rows outlives the process and is told to the audit log once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rung.ledger.lost import LostRows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger-lost.json"


class Audit:
    """Takes what is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def __call__(self, rows: int, error: str) -> None:
        self.told.append((rows, error))


def in_the_way(file: Path) -> Path:
    """Make it impossible to save, even for root; deleting what is returned makes it possible."""
    file.parent.parent.mkdir(exist_ok=True)
    file.parent.write_text("a file where the folder should be")
    return file.parent


def test_nothing_lost_leaves_no_file(file: Path) -> None:
    lost, audit = LostRows(file), Audit()
    lost.save()
    lost.report(audit)
    assert lost.count().lost_rows == 0
    assert audit.told == []
    assert not file.parent.exists()


def test_a_count_is_seen_at_once_and_by_the_next_process_when_saved(file: Path) -> None:
    lost = LostRows(file)
    lost.add(3, "gone")
    assert (lost.count().lost_rows, lost.count().error) == (3, "gone")
    assert LostRows(file).count().lost_rows == 0
    lost.save()
    lost.save()
    assert (LostRows(file).count().lost_rows, LostRows(file).count().error) == (3, "gone")
    assert lost.count().lost_rows == 3


def test_what_earlier_processes_lost_is_told_once_and_stays_counted(file: Path) -> None:
    earlier = LostRows(file)
    earlier.add(5, "no server")
    earlier.save()
    lost, audit = LostRows(file), Audit()
    lost.report(audit)
    lost.report(audit)
    LostRows(file).report(audit)
    assert audit.told == [(5, "no server")]
    lost.add(2, "again")
    lost.report(audit)
    assert audit.told == [(5, "no server"), (2, "again")]
    assert LostRows(file).count().lost_rows == 7


def test_what_could_not_be_told_is_told_later(file: Path) -> None:
    lost, audit = LostRows(file), Audit()
    lost.add(1, "gone")

    def fail(rows: int, error: str) -> None:
        raise OSError("the database went away again")

    with pytest.raises(OSError, match="went away"):
        lost.report(fail)
    lost.report(audit)
    assert audit.told == [(1, "gone")]


def test_where_nothing_can_be_saved_the_count_stays_in_the_process(file: Path) -> None:
    obstacle = in_the_way(file)
    lost, audit = LostRows(file), Audit()
    lost.add(2, "gone")
    lost.save()
    assert lost.count().lost_rows == 2
    lost.report(audit)
    lost.report(audit)
    assert audit.told == [(2, "gone")]
    obstacle.unlink()
    lost.save()
    LostRows(file).report(audit)
    assert audit.told == [(2, "gone")]
    assert LostRows(file).count().lost_rows == 2


def test_a_damaged_count_is_kept_aside_and_counting_goes_on(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("{not json")
    lost = LostRows(file)
    lost.add(1, "gone")
    lost.save()
    assert json.loads(file.read_text())["lost_rows"] == 1
    assert (file.parent / "ledger-lost.damaged.json").read_text() == "{not json"
