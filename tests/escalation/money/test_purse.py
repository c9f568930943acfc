"""The budgets of days and months: real calls, real ledgers, real processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rung.chat import ChatRequest, Message
from rung.config.settings import (
    BudgetSettings,
    EngineSettings,
    EscalationSettings,
    LedgerSettings,
    LimitSettings,
    Settings,
)
from rung.errors import ConfigError, EngineError
from rung.escalation.money.bill import NANO, Bill, worst_case
from rung.escalation.money.purse import Purse
from rung.escalation.task import Outcome, Task
from rung.ledger import Ledger
from tests.command import rung, start
from tests.fakes.replies import Reply, answer
from tests.fakes.server import MODEL, FakeServer
from tests.ladder import BIG, Ladder, ladder
from tests.postgres import PostgresServer, postgres, postgres_url  # noqa: F401
from tests.routed import model

FREE = model("embedded/tiny", "local_tiny")
PAID = model("cloud/haiku", "haiku", (1.0, 5.0), locality="cloud")
UNPRICED = model("cloud/x", "haiku", None, locality="cloud")
REQUEST = ChatRequest(model="m", messages=(Message(role="user", content="p"),), max_tokens=100)
WORST = worst_case(PAID, REQUEST).nano_usd or 0
AWAY = "postgresql://nobody@127.0.0.1:9/none"

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
USAGE = {"prompt_tokens": 300, "completion_tokens": 100, "total_tokens": 400}
COST_USD = 400 / 1e6
COUNTED = answer('{"n": 4}', usage=USAGE)


@asynccontextmanager
async def purse(
    folder: Path, url: str = "", clock: Any = lambda: datetime.now(UTC), **budget: Any
) -> AsyncIterator[tuple[Purse, Ledger]]:
    settings = Settings(ledger=LedgerSettings(url=url), budget=BudgetSettings(**budget))
    ledger = Ledger.open(settings.ledger, folder)
    try:
        opened = Purse(settings, ledger, clock)
        yield opened, ledger
        await opened.close()
    finally:
        await ledger.close()


async def refusal(opened: Purse, asked: Any = PAID, **of: Any) -> str:
    with pytest.raises(EngineError) as error:
        await opened.admit(asked, REQUEST, **of)
    assert error.value.kind == "over_budget"
    return error.value.message


@pytest.fixture(params=["sqlite", "postgresql", "off"])
def url(request: pytest.FixtureRequest) -> str:
    urls = {"sqlite": lambda: "", "off": lambda: "off"}
    fixture = urls.get(request.param, lambda: request.getfixturevalue("postgres_url"))
    return fixture()


def question(**changes: Any) -> Task:
    return Task("two and two?", **{"schema": SCHEMA, "chain": [BIG], "type": "standard", **changes})


async def spent_usd(it: Ladder) -> tuple[float, float]:
    """What the day's budget holds as spent, and as reserved."""
    line = (await it.rung.budget()).lines[0]
    return line.used, line.reserved


async def test_fifty_tasks_side_by_side_overrun_no_budget_and_use_it_up(
    tmp_path: Path, url: str
) -> None:
    limit = 12.5 * COST_USD
    async with ladder(
        tmp_path, big=[COUNTED], ledger=url, budget=BudgetSettings(day_usd=limit)
    ) as it:
        tasks = [question(root=tmp_path) for _ in range(50)]
        outcomes = await asyncio.gather(*(it.rung.execute(task) for task in tasks))
        assert {outcome.status for outcome in outcomes} == {"verified", "skipped"}
        paid = len(it.big.chats)
        assert await spent_usd(it) == (pytest.approx(paid * COST_USD), 0)
        # What others only had reserved is free again: so it goes on, until no call fits any more.
        last: Outcome = outcomes[0]
        for _ in range(20):
            last = await it.rung.execute(question(root=tmp_path))
        assert last.status == "skipped"
        used, _ = await spent_usd(it)
        assert used == pytest.approx(len(it.big.chats) * COST_USD)
        assert used <= limit
        assert "a day is left" in last.reason
        [refused] = last.attempts
        worst = float(str(refused.error).partition("may cost up to $")[2].split()[0])
        assert limit - used < worst


async def test_a_question_without_a_task_is_held_to_the_budget_too(tmp_path: Path) -> None:
    budget = BudgetSettings(day_usd=0.0)
    async with ladder(tmp_path, budget=budget) as it:
        for schema in (None, SCHEMA):
            with pytest.raises(EngineError, match=r"raise budget\.day_usd"):
                await it.rung.ask("two and two?", model=BIG, schema=schema)
        assert it.big.chats == []
        assert (await it.rung.ask("two and two?")).engine == "small"
    async with ladder(tmp_path / "b", big=[COUNTED], budget=BudgetSettings(day_usd=1.0)) as it:
        await it.rung.ask("two and two?", model=BIG)
        assert await spent_usd(it) == (pytest.approx(COST_USD), 0)


async def test_a_type_and_an_app_have_budgets_of_their_own(tmp_path: Path) -> None:
    nothing = LimitSettings(month_usd=0.0)
    budgets = BudgetSettings(types={"critical": nothing}, apps={"other": nothing})
    async with ladder(tmp_path, big=[COUNTED], budget=budgets) as it:
        assert (await it.rung.execute(question(root=tmp_path))).status == "verified"
        critical = await it.rung.execute(question(root=tmp_path, type="critical"))
        assert "a month for type critical is left" in critical.reason
    async with ladder(tmp_path, big=[COUNTED], budget=budgets, app="other") as it:
        outcome = await it.rung.execute(question(root=tmp_path))
        assert "raise budget.apps.other.month_usd" in outcome.reason


async def test_without_its_database_a_budget_refuses_what_is_paid_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with purse(tmp_path, AWAY, day_usd=5.0, day_tokens=10**6) as (opened, _):
        assert "no money can be reserved" in await refusal(opened)
        held = await opened.admit(FREE, REQUEST)
        await opened.close_call(held, None)
    async with purse(tmp_path, AWAY) as (opened, _):
        await opened.admit(PAID, REQUEST)


async def test_a_settlement_waits_for_its_database_to_come_back_and_holds_up_nobody(
    tmp_path: Path,
    postgres: PostgresServer,  # noqa: F811
    postgres_url: str,  # noqa: F811
) -> None:
    async with purse(tmp_path, postgres_url, day_usd=5.0) as (opened, ledger):
        held = await opened.admit(PAID, REQUEST)
        postgres.stop()
        try:
            await opened.close_call(held, Bill(nano_usd=5, tokens=1, is_known=True))
        finally:
            postgres.start()
        deadline = time.monotonic() + 60
        while True:
            rows = await ledger.budgets.used([held.scopes[0]])
            if all(row.spent_nano_usd == 5 and not row.reserved_nano_usd for row in rows):
                return
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_what_has_no_price_fits_no_budget(tmp_path: Path) -> None:
    async with purse(tmp_path, "off", month_usd=5.0) as (opened, _):
        assert "price of cloud/x is unknown" in await refusal(opened, UNPRICED)
    async with purse(tmp_path, "off") as (opened, _):
        await opened.admit(UNPRICED, REQUEST)


async def test_attempts_of_a_day_are_counted_for_free_models_too(tmp_path: Path, url: str) -> None:
    async with purse(tmp_path, url, day_attempts=7) as (opened, _):
        answers = await asyncio.gather(
            *(opened.admit(FREE, REQUEST) for _ in range(20)), return_exceptions=True
        )
        assert sum(not isinstance(answer, BaseException) for answer in answers) == 7
        assert "7 of 7 attempts a day" in await refusal(opened, FREE)
        await opened.admit(FREE, REQUEST, attempts=0)
    if url != "off":
        async with purse(tmp_path, url, day_attempts=7) as (opened, _):
            assert "attempts" in await refusal(opened, FREE)


async def test_tokens_and_seconds_of_a_day_end_it(tmp_path: Path) -> None:
    for limit in ({"day_tokens": 150}, {"day_seconds": 0.0001}):
        [unit] = limit
        async with purse(tmp_path / unit, **limit) as (opened, _):
            for _ in range(2):
                held = await opened.admit(FREE, REQUEST)
                await asyncio.sleep(0.001)
                if unit == "day_seconds":
                    break
                await opened.close_call(held, bill(75))
            await opened.close_call(held, bill(75))
            assert f"raise budget.{unit}" in await refusal(opened, FREE)


@pytest.mark.parametrize("unit", ["day_attempts", "day_tokens", "day_seconds"])
async def test_a_limit_of_nothing_lets_not_even_the_first_call_through(
    tmp_path: Path, unit: str
) -> None:
    async with purse(tmp_path, **{unit: 0}) as (opened, _):
        assert f"raise budget.{unit}" in await refusal(opened, FREE)


def bill(tokens: int) -> Bill:
    return Bill(nano_usd=0, tokens=tokens, is_known=True)


async def test_what_another_process_used_is_seen_soon(tmp_path: Path) -> None:
    async with purse(tmp_path) as (one, _), purse(tmp_path, day_attempts=3) as (other, _):
        await other.admit(FREE, REQUEST)
        for _ in range(3):
            await one.admit(FREE, REQUEST)
        deadline = time.monotonic() + 30
        while True:
            try:
                await other.admit(FREE, REQUEST, attempts=0)
                with pytest.raises(EngineError):
                    await other.admit(FREE, REQUEST)
                return
            except (AssertionError, pytest.fail.Exception):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)


async def test_a_call_counts_where_it_began_and_midnight_begins_anew(tmp_path: Path) -> None:
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    async with purse(tmp_path, clock=lambda: at, day_usd=WORST / NANO) as (opened, ledger):
        held = await opened.admit(PAID, REQUEST)
        assert "a day is left" in await refusal(opened)
        at += timedelta(days=1)
        tomorrow = await opened.admit(PAID, REQUEST)
        await opened.close_call(tomorrow, None)
        await opened.close_call(held, None)
        at -= timedelta(days=1)
        await opened.admit(PAID, REQUEST)
        rows = await ledger.budgets.used(["day:2026-11-21", "day:2026-11-22"])
        reserved = {row.scope: row.reserved_nano_usd for row in rows if "|" not in row.scope}
        assert reserved == {"day:2026-11-21": WORST, "day:2026-11-22": 0}


async def test_a_cancelled_call_is_settled(tmp_path: Path) -> None:
    stalls = Reply(text="one two three", stall_after=2)
    async with ladder(tmp_path, big=[stalls], budget=BudgetSettings(day_usd=1.0)) as it:
        call = asyncio.ensure_future(it.rung.ask("two and two?", model=BIG))
        while not it.big.chats:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        used, reserved = await spent_usd(it)
        assert used > 0
        assert reserved == 0


async def test_a_call_that_the_provider_refused_costs_nothing(tmp_path: Path) -> None:
    refuses = Reply(status=401, body={"error": {"message": "bad key"}})
    async with ladder(tmp_path, big=[refuses], budget=BudgetSettings(day_usd=1.0)) as it:
        with pytest.raises(EngineError, match="unauthorized"):
            await it.rung.ask("two and two?", model=BIG)
        assert await spent_usd(it) == (0, 0)


async def test_an_engine_that_cannot_be_reached_costs_nothing(tmp_path: Path) -> None:
    async with ladder(tmp_path, budget=BudgetSettings(day_usd=1.0)) as it:
        await it.big.stop()
        outcome = await it.rung.execute(question(root=tmp_path))
        assert outcome.cost_usd == 0
        assert "unreachable" in (outcome.attempts[-1].error or "")
        assert await spent_usd(it) == (0, 0)


async def test_a_stop_is_on_record(tmp_path: Path) -> None:
    async with ladder(tmp_path, budget=BudgetSettings(day_usd=0.0)) as it:
        await it.rung.execute(question(root=tmp_path))
        [stop] = [row for row in await it.rung.ledger.audit() if row.kind == "budget_stop"]
        assert stop.details["scope"].startswith("day:")
        assert stop.details["model"] == BIG
        assert stop.details["left_usd"] == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"budget": BudgetSettings(types={"standart": LimitSettings()})}, "'standard'"),
        ({"escalation": EscalationSettings(paid_tiers={"haikus": "deny"})}, "'haiku'"),
    ],
)
def test_a_limit_of_what_does_not_exist_is_an_error(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    settings = Settings(ledger=LedgerSettings(url="off"), **changes)
    with pytest.raises(ConfigError, match=words):
        Purse(settings, Ledger.open(settings.ledger, tmp_path))


async def test_what_a_killed_command_had_reserved_is_counted_and_on_record(tmp_path: Path) -> None:
    stalls = Reply(text="one two three", stall_after=1)
    async with FakeServer("openai", [stalls]) as server:
        engine: EngineSettings = server.settings(locality="cloud")
        env = {
            "RUNG_DATA_DIR": str(tmp_path / "data"),
            "RUNG_ENGINES__BIG__BASE_URL": engine.base_url,
            "RUNG_ENGINES__BIG__LOCALITY": "cloud",
            "RUNG_BUDGET__DAY_USD": "1",
            "RUNG_EMBEDDED__ENABLED": "false",
            "RUNG_CONFIG": str(tmp_path / "rung.toml"),
        }
        (tmp_path / "rung.toml").write_text(
            f'[models."big/{MODEL}"]\nusd_per_mtok_in = 1\nusd_per_mtok_out = 1\n'
        )
        process = start("ask", "hi", "--model", f"big/{MODEL}", cwd=tmp_path, env=env)
        while not server.chats:
            assert process.poll() is None, process.communicate()
            await asyncio.sleep(0.02)
        process.kill()
        process.communicate()
        found = await asyncio.to_thread(rung, "budget", "--json", cwd=tmp_path, env=env)
    line = found.json["lines"][0]
    assert line["used"] > 0
    assert line["reserved"] == 0
    ledger = Ledger.open(LedgerSettings(), tmp_path / "data")
    assert [row.kind for row in await ledger.audit()] == ["reservation_expired"]
    await ledger.close()


@pytest.mark.parametrize("ledger", ["", "off"])
async def test_a_report_has_what_this_process_used_a_moment_ago(
    tmp_path: Path, ledger: str
) -> None:
    async with ladder(tmp_path, ledger=ledger) as it:
        completion = await it.rung.ask("two and two?")
        lines = (await it.rung.budget()).lines
        used = (completion.usage.tokens_in or 0) + (completion.usage.tokens_out or 0)
        assert {line.used for line in lines if line.unit == "tokens"} == {used}
