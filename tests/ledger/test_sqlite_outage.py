"""A SQLite file that is locked, gone, damaged, read-only, or on a full disk."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from rung.errors import LedgerError
from tests.ledger.conftest import Place
from tests.ledger.samples import call, review

HOLD_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(mode="sqlite", url="", data_dir=tmp_path / "data")


def file_of(place: Place) -> Path:
    return place.data_dir / "rung.db"


def hold_lock(file: Path) -> subprocess.Popen[bytes]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
    return holder


async def test_rows_wait_while_another_process_holds_the_file_locked(place: Place) -> None:
    ledger = place.open()
    ledger.record(call(attempt=0))
    assert await ledger.flush(20)
    holder = hold_lock(file_of(place))
    for n in range(1, 2001):
        ledger.record(call(attempt=n))
    assert not await ledger.flush(0.2)
    health = await ledger.health()
    assert not health.ok and "locked" in (health.last_error or "")
    assert (health.pending_rows, health.lost_rows) == (2000, 0)
    holder.communicate()
    assert await ledger.flush(30)
    assert len(await ledger.calls(5000)) == 2001
    assert (await ledger.health()).lost_rows == 0
    await ledger.close()


async def test_rows_that_stay_locked_out_are_counted_where_the_next_process_sees_it(
    place: Place,
) -> None:
    first = place.open()
    assert (await first.health()).ok
    holder = hold_lock(file_of(place))
    for _ in range(4):
        first.record(call())
    await first.close(timeout_s=0.3)
    holder.communicate()
    second = place.open()
    assert (await second.health()).lost_rows == 4
    second.record(call())
    assert await second.flush(20)
    await second.close()
    (event,) = await second.audit()
    assert (event.kind, event.details["rows"]) == ("ledger_rows_lost", 4)


async def test_a_file_deleted_in_mid_run_is_made_anew_and_gets_the_rows(place: Place) -> None:
    ledger = place.open()
    ledger.record(call(attempt=1))
    assert await ledger.flush(20)
    shutil.rmtree(place.data_dir)
    ledger.record(call(attempt=2))
    assert await ledger.flush(20)
    assert [row.attempt for row in await ledger.calls()] == [2]
    with sqlite3.connect(file_of(place)) as other:
        assert other.execute("SELECT attempt FROM agent_run").fetchall() == [(2,)]
    await ledger.close()


async def test_a_damaged_file_is_left_alone_and_shown(place: Place) -> None:
    place.data_dir.mkdir()
    file_of(place).write_bytes(b"not a database" * 1000)
    ledger = place.open()
    ledger.record(call())
    health = await ledger.health()
    assert not health.ok and "not a database" in (health.last_error or "")
    with pytest.raises(LedgerError, match="not a database"):
        await ledger.add_review(review())
    await ledger.close(timeout_s=0.2)
    assert (await ledger.health()).lost_rows == 1
    assert file_of(place).read_bytes() == b"not a database" * 1000


async def test_a_data_folder_that_cannot_be_made_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ledger = Place(mode="sqlite", url="", data_dir=tmp_path / "file" / "data").open()
    for _ in range(3):
        ledger.record(call())
    assert not (await ledger.health()).ok
    with pytest.raises(LedgerError, match="rung health db"):
        await ledger.calls()
    await ledger.close(timeout_s=0.2)
    health = await ledger.health()
    assert (health.ok, health.lost_rows) == (False, 3)


ON_A_SMALL_DISK = """
import asyncio, subprocess, sys
from pathlib import Path
from rung.config.settings import LedgerSettings
from rung.ledger import CallRow, Ledger

folder = Path(sys.argv[1])

def mount(*options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "rung", folder], check=True)

def remount(option):
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)

def row(n):
    return CallRow(tool="t", engine="e", model="m", attempt=n, args_json={"text": "x" * 2000})

async def all_arrive(ledger, count):
    assert await ledger.flush(30), await ledger.health()
    assert [r.attempt for r in await ledger.calls(5000)] == list(range(count - 1, -1, -1))
    health = await ledger.health()
    assert (health.ok, health.lost_rows) == (True, 0), health
    await ledger.close()

async def main():
    mount("size=8m")
    ledger = Ledger.open(LedgerSettings(), folder)
    ledger.record(row(0))
    assert await ledger.flush(30)
    {body}

asyncio.run(main())
"""

FULL = """
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass
    for n in range(1, 800):
        ledger.record(row(n))
    assert not await ledger.flush(1.0)
    health = await ledger.health()
    assert "full" in health.last_error and health.pending_rows == 799, health
    ballast.unlink()
    await all_arrive(ledger, 800)
"""

READ_ONLY = """
    await ledger.close()
    remount("ro")
    ledger = Ledger.open(LedgerSettings(), folder)
    ledger.record(row(1))
    assert not await ledger.flush(1.0)
    health = await ledger.health()
    assert not health.ok and health.last_error and health.pending_rows == 1, health
    other = Ledger.open(LedgerSettings(), folder)
    other.record(row(99))
    await other.close(0.2)
    assert (await other.health()).lost_rows == 1
    remount("rw")
    await all_arrive(ledger, 2)
"""


@pytest.mark.parametrize("body", [FULL, READ_ONLY], ids=["full", "read_only"])
def test_rows_wait_for_a_disk_that_cannot_take_them(tmp_path: Path, body: str) -> None:
    """In a mount namespace of its own, since permissions mean nothing to root."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine has no user namespaces to mount a small disk in")
    script = ON_A_SMALL_DISK.replace("{body}", body.strip())
    command = ["unshare", "-rm", sys.executable, "-c", script, tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
