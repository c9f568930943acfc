"""Money in flight: no scope goes over its limit, whoever reserves, and whoever dies."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rung.errors import LedgerError
from rung.ledger import Ledger
from rung.ledger.owner import SILENT, host_name, is_gone
from rung.ledger.reservations import Over
from rung.ledger.rows import BudgetRow, ReservationRow, now
from tests.ledger.conftest import Place

DAY, MONTH, PART = "day:2026-11-21", "month:2026-11", "day:2026-11-21|type:standard"
SCOPES = [DAY, MONTH, PART]

SPEND = """
import asyncio, json, os, random, secrets, sys
from pathlib import Path
from rung.config.settings import LedgerSettings
from rung.errors import LedgerError
from rung.ledger import Ledger
from rung.ledger.owner import host_name
from rung.ledger.rows import ReservationRow, now

scopes, limits = json.loads(sys.argv[3]), json.loads(sys.argv[4])

async def reserved(ledger, row):
    while True:
        try:
            return await ledger.budgets.reserve(row, limits)
        except LedgerError:
            pass  # on a busy machine another process may hold the file for long

async def spend(ledger, since):
    spent = 0
    while True:
        worst = random.randint(1, 40)
        row = ReservationRow(
            reservation_id=secrets.token_hex(8), task_id="t", scopes=scopes, model="m",
            reserved_nano_usd=worst, owner_host=host_name(), owner_pid=os.getpid(),
            owner_since=since,
        )
        if await reserved(ledger, row) is not None:
            return spent
        cost = random.randint(0, worst)
        await ledger.budgets.close(row, "settled", cost)
        spent += cost

async def main():
    ledger = Ledger.open(LedgerSettings(url=sys.argv[2]), Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    print(sum(await asyncio.gather(*(spend(ledger, now()) for _ in range(4)))), flush=True)
    await ledger.close()

asyncio.run(main())
"""

DIE = """
import asyncio, json, os, sys
from pathlib import Path
from rung.config.settings import LedgerSettings
from rung.ledger import Ledger
from rung.ledger.owner import host_name
from rung.ledger.rows import ReservationRow, now

async def main():
    ledger = Ledger.open(LedgerSettings(url=sys.argv[2]), Path(sys.argv[1]))
    row = ReservationRow(
        reservation_id="dead", task_id="t", scopes=json.loads(sys.argv[3]), model="m",
        reserved_nano_usd=70, owner_host=host_name(), owner_pid=os.getpid(), owner_since=now(),
    )
    await ledger.budgets.reserve(row, {})
    print("reserved", flush=True)
    sys.stdin.readline()

asyncio.run(main())
"""


def reservation(number: object = 1, amount: int = 10, **fields: Any) -> ReservationRow:
    base = {
        "reservation_id": f"r{number}",
        "task_id": "t",
        "scopes": SCOPES,
        "model": "cloud/m",
        "reserved_nano_usd": amount,
        "owner_host": host_name(),
        "owner_pid": os.getpid(),
        "owner_since": now(),
    }
    return ReservationRow(**{**base, **fields})


async def sums(ledger: Ledger) -> dict[str, tuple[int, int]]:
    """Spent and reserved by scope."""
    rows = await ledger.budgets.used([DAY, MONTH])
    return {row.scope: (row.spent_nano_usd, row.reserved_nano_usd) for row in rows}


async def test_what_is_reserved_is_taken_from_all_scopes_and_settled_in_all(
    any_place: Place,
) -> None:
    ledger = any_place.open()
    assert await ledger.budgets.reserve(reservation(), {}) is None
    assert await sums(ledger) == dict.fromkeys(SCOPES, (0, 10))
    await ledger.budgets.close(reservation(), "settled", 7)
    assert await sums(ledger) == dict.fromkeys(SCOPES, (7, 0))
    await ledger.budgets.reserve(reservation(2), {})
    await ledger.budgets.close(reservation(2), "released", 0)
    assert await sums(ledger) == dict.fromkeys(SCOPES, (7, 0))
    await ledger.close()


async def test_one_scope_without_room_leaves_all_others_as_they_were(any_place: Place) -> None:
    ledger = any_place.open()
    limits = {DAY: 100, PART: 14}
    assert await ledger.budgets.reserve(reservation(1), limits) is None
    over = await ledger.budgets.reserve(reservation(2, 5), limits)
    assert over == Over(scope=PART, limit=14, spent=0, reserved=10)
    assert await sums(ledger) == dict.fromkeys(SCOPES, (0, 10))
    assert await ledger.budgets.reserve(reservation(3, 4), limits) is None
    await ledger.close()


async def test_what_is_told_twice_counts_once(any_place: Place) -> None:
    ledger = any_place.open()
    for _ in range(2):
        assert await ledger.budgets.reserve(reservation(), {DAY: 10}) is None
    for _ in range(2):
        await ledger.budgets.close(reservation(), "settled", 6)
    await ledger.budgets.close(reservation(), "released", 0)
    assert await sums(ledger) == dict.fromkeys(SCOPES, (6, 0))
    await ledger.close()


async def test_money_is_spent_though_the_database_forgot_that_it_was_reserved(
    any_place: Place,
) -> None:
    ledger = any_place.open()
    for _ in range(2):
        await ledger.budgets.close(reservation(), "settled", 6)
    assert await sums(ledger) == dict.fromkeys(SCOPES, (6, 0))
    await ledger.close()


async def test_a_late_reservation_whose_release_came_first_reserves_nothing(
    any_place: Place,
) -> None:
    ledger = any_place.open()
    await ledger.budgets.close(reservation(), "released", 0)
    assert await ledger.budgets.reserve(reservation(), {}) is None
    assert await sums(ledger) == dict.fromkeys(SCOPES, (0, 0))
    await ledger.close()


async def test_a_limit_may_be_used_up_to_its_last_nano_and_no_further(any_place: Place) -> None:
    ledger = any_place.open()
    limits = {DAY: 10**15}
    assert await ledger.budgets.reserve(reservation(1, 10**15), limits) is None
    await ledger.budgets.close(reservation(1, 10**15), "settled", 10**15)
    assert await ledger.budgets.reserve(reservation(2, 1), limits) is not None
    assert await ledger.budgets.reserve(reservation(3, 0), limits) is None
    await ledger.close()


async def test_fifty_at_once_use_a_budget_up_and_not_a_nano_more(any_place: Place) -> None:
    ledger = any_place.open()
    answers = await asyncio.gather(
        *(ledger.budgets.reserve(reservation(n, 7), {DAY: 100, MONTH: 1000}) for n in range(50))
    )
    assert answers.count(None) == 14
    assert (await sums(ledger))[DAY] == (0, 98)
    await ledger.close()


async def test_threads_use_a_budget_up_and_not_a_nano_more(any_place: Place) -> None:
    async def spend(thread: int) -> int:
        ledger = any_place.open()
        rows = (reservation(f"{thread}-{n}", 7) for n in range(10))
        answers = [await ledger.budgets.reserve(row, {DAY: 100}) for row in rows]
        await ledger.close()
        return answers.count(None)

    counts = await asyncio.gather(
        *(asyncio.to_thread(lambda n: asyncio.run(spend(n)), thread) for thread in range(4))
    )
    assert sum(counts) == 14


async def test_processes_that_spend_together_use_a_budget_up_and_not_a_nano_more(
    place: Place,
) -> None:
    limits = {DAY: 2_000, MONTH: 3_000}
    running = [start(SPEND, place, SCOPES, limits) for _ in range(4)]
    for process in running:
        assert line_of(process) == "ready"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    spent = sum(int(process.communicate(timeout=120)[0]) for process in running)
    ledger = place.open()
    assert await sums(ledger) == dict.fromkeys(SCOPES, (spent, 0))
    assert 2_000 - 40 * 16 <= spent <= 2_000
    await ledger.close()


async def test_what_a_killed_process_had_reserved_counts_as_spent(place: Place) -> None:
    process = start(DIE, place, SCOPES)
    assert line_of(process) == "reserved"
    ledger = place.open()
    assert await ledger.budgets.expire() == []
    process.kill()  # not waited for yet: a zombie is dead, too
    while not is_gone(host_name(), process.pid, now()):
        await asyncio.sleep(0.01)
    assert [row.reservation_id for row in await ledger.budgets.expire()] == ["dead"]
    assert await sums(ledger) == dict.fromkeys(SCOPES, (70, 0))
    assert await ledger.budgets.expire() == []
    process.communicate()
    await ledger.close()


async def test_one_that_was_taken_for_dead_and_ends_is_put_right(place: Place) -> None:
    ledger = place.open()
    lost = reservation(owner_host="elsewhere", owner_since=now() - 2 * SILENT)
    await ledger.budgets.reserve(lost, {})
    assert len(await ledger.budgets.expire()) == 1
    assert await sums(ledger) == dict.fromkeys(SCOPES, (10, 0))
    await ledger.budgets.close(lost, "settled", 3)
    assert await sums(ledger) == dict.fromkeys(SCOPES, (3, 0))
    await ledger.close()


def test_a_process_is_gone_when_its_number_is_another_ones() -> None:
    own = os.getpid()
    assert not is_gone(host_name(), own, now())
    assert is_gone(host_name(), own, now() - timedelta(days=3650))
    assert is_gone(host_name(), 2**22 + 1, now())
    assert not is_gone("elsewhere", 2**22 + 1, now())


async def test_a_database_that_is_away_is_an_error_and_no_permission(tmp_path: Path) -> None:
    ledger = Place("postgresql", "postgresql://nobody@127.0.0.1:9/none", tmp_path).open()
    with pytest.raises(LedgerError, match=r"budgets in .* cannot be used"):
        await ledger.budgets.reserve(reservation(), {})
    await ledger.close()


async def test_sums_that_are_recorded_are_added_up(place: Place) -> None:
    ledger, other = place.open(), place.open()
    for n in range(20):
        for each in (ledger, other):
            each.record(BudgetRow(scope=DAY if n % 2 else PART, tokens=n, seconds=0.5, attempts=1))
    for each in (ledger, other):
        assert await each.flush(20)
    rows = {row.scope: row for row in await ledger.budgets.used([DAY])}
    assert (rows[DAY].tokens, rows[DAY].seconds, rows[DAY].attempts) == (200, 10.0, 20)
    assert rows[PART].tokens == 180
    for each in (ledger, other):
        await each.close()


async def test_a_part_belongs_to_its_own_period_only(any_place: Place) -> None:
    ledger = any_place.open()
    odd = ["day:2026-11-2", "day:2026-11-21|app:a%b_c|x", "month:2026-1", "day_2026-11-21"]
    row = msgspec.structs.replace(reservation(), scopes=[*SCOPES, *odd])
    await ledger.budgets.reserve(row, {})
    assert set(await sums(ledger)) == {*SCOPES, odd[1]}
    await ledger.close()


def start(script: str, place: Place, *arguments: object) -> subprocess.Popen[str]:
    encoded = [msgspec.json.encode(argument).decode() for argument in arguments]
    return subprocess.Popen(
        [sys.executable, "-c", script, place.data_dir, place.url, *encoded],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
