"""Rows that say how something stands: one for each thing, and the newest wins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from rung.ledger import DownloadRow, InstallRow, Ledger
from tests.ledger.conftest import Place
from tests.ledger.samples import call

START = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def download(seconds: float = 0, **fields: Any) -> DownloadRow:
    base = {
        "job_id": "1f2e3d4c",
        "model": "tiny",
        "source": "hf:o/r/f.gguf",
        "state": "running",
        "models_dir": "/models",
        "owner_host": "desk",
        "owner_pid": 42,
        "owner_since": START,
        "created_at": START,
        "updated_at": START + timedelta(seconds=seconds),
    }
    return DownloadRow(**{**base, **fields})


def install(seconds: float = 0, **fields: Any) -> InstallRow:
    base = {
        "place": "desk:/models/tiny/tiny.gguf",
        "model": "tiny",
        "host": "desk",
        "path": "/models/tiny/tiny.gguf",
        "source": "file /x.gguf",
        "sha256": "0" * 64,
        "size_bytes": 2**40,
        "installed_at": START,
        "updated_at": START + timedelta(seconds=seconds),
    }
    return InstallRow(**{**base, **fields})


def without_id(row: Any) -> Any:
    return msgspec.structs.replace(row, id=None)


async def test_a_download_comes_back_as_it_was_recorded(ledger: Ledger) -> None:
    row = download(
        done_bytes=2**40, total_bytes=2**41, bytes_per_s=12.5, error="ü", finished_at=START
    )
    ledger.record(row)
    assert [without_id(found) for found in await ledger.downloads()] == [row]


async def test_a_newer_row_takes_the_older_ones_place(ledger: Ledger) -> None:
    for n in range(50):
        ledger.record(download(n, done_bytes=n))
        ledger.record(call())
    ledger.record(download(50, state="done", done_bytes=50))
    (found,) = await ledger.downloads()
    assert (found.state, found.done_bytes) == ("done", 50)
    assert len(await ledger.calls(100)) == 50


async def test_a_row_that_comes_late_changes_nothing(place: Place) -> None:
    new, late = place.open(), place.open()
    new.record(download(2, state="done"))
    assert await new.flush()
    late.record(download(1, state="running", done_bytes=7))
    assert await late.flush()
    (found,) = await new.downloads()
    assert (found.state, found.done_bytes) == ("done", 0)
    await new.close()
    await late.close()


async def test_downloads_are_newest_first_by_when_they_began(ledger: Ledger) -> None:
    for name in "abc":
        ledger.record(download(job_id=name))
    ledger.record(download(9, job_id="a", state="done"))
    assert [row.job_id for row in await ledger.downloads(2)] == ["c", "b"]


async def test_what_was_removed_is_not_installed(ledger: Ledger) -> None:
    ledger.record(install())
    ledger.record(install(place="desk:/b", path="/b"))
    assert len(await ledger.installs()) == 2
    ledger.record(install(1, removed_at=START))
    assert [row.path for row in await ledger.installs()] == ["/b"]
    ledger.record(install(2))
    assert len(await ledger.installs()) == 2


async def test_with_the_ledger_off_there_are_none(tmp_path: Path) -> None:
    ledger = Place(mode="off", url="off", data_dir=tmp_path).open()
    ledger.record(download())
    assert (await ledger.downloads(), await ledger.installs()) == ([], [])
    await ledger.close()


async def test_the_tables_of_the_first_revision_are_brought_to_this_one(place: Place) -> None:
    from rung.ledger.encode import encode
    from rung.ledger.migrate import HEAD, upgrade
    from rung.ledger.tables import agent_run, review_item

    first = place.open()
    store = first._store
    assert store is not None
    place.data_dir.mkdir(exist_ok=True)
    with store._begin("FULL") as connection:
        upgrade(connection, "0001")
        connection.execute(agent_run.insert().values(encode(call()).values))
        old = {"task_id": "t", "state": "open", "created_at": START, "title": "x", "reason": "y"}
        connection.execute(review_item.insert().values(**old, outcome="{}", note=""))
        connection.commit()
    await first.close()
    again = place.open()
    again.record(download())
    assert (len(await again.downloads()), len(await again.calls())) == (1, 1)
    [item] = await again.reviews()
    assert (item.kind, item.edited) == ("work", None)
    assert (await again.health()).revision == HEAD
    await again.close()
