"""A task on a paid model: what it may cost is known before, what it cost is known after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rung import Rung, Task
from rung.config.settings import (
    EmbeddedSettings,
    EscalationSettings,
    LedgerSettings,
    ModelSettings,
    Settings,
)
from tests.fakes.server import FakeServer, Reply

OPUS, NEW = "claude/claude-opus-5-5", "claude/claude-opus-99"
CODE = "```python\ndef add(a, b):\n    return a + b\n```"
USAGE = {"input_tokens": 2_000, "cache_read_input_tokens": 1_000, "output_tokens": 1_000}


@asynccontextmanager
async def claude(folder: Path, model: str) -> AsyncIterator[tuple[Rung, FakeServer]]:
    """`model` of the stand-in, on the rung `opus`, in the cloud, without a price of the user's."""
    async with FakeServer("anthropic", [Reply(text=CODE, usage=USAGE)]) as server:
        settings = Settings(
            discover=False,
            data_dir=folder / "data",
            models_dir=folder / "models",
            embedded=EmbeddedSettings(enabled=False),
            engines={"claude": server.settings(locality="cloud")},
            models={model: ModelSettings(tier="opus")},
            ledger=LedgerSettings(url="off"),
            escalation=EscalationSettings(paid="allow", max_answer_tokens=2_000),
        )
        async with Rung(settings) as rung:
            yield rung, server


async def test_a_published_price_holds_the_budget_and_makes_the_cost(tmp_path: Path) -> None:
    async with claude(tmp_path, OPUS) as (rung, _):
        outcome = await rung.execute(Task(text="Write add.", checks=["compile"], chain=["opus"]))
    assert outcome.status == "verified"
    assert outcome.cost_usd == pytest.approx((2_000 * 4 + 1_000 * 0.2 + 1_000 * 20) / 1e6)
    assert outcome.attempts[0].tokens_in == 3_000


async def test_what_may_cost_more_than_the_budget_is_not_asked(tmp_path: Path) -> None:
    async with claude(tmp_path, OPUS) as (rung, server):
        task = Task(text="Write add.", checks=["compile"], chain=["opus"], budget_usd=0.01)
        outcome = await rung.execute(task)
        assert not server.chats
    assert outcome.status == "skipped"
    assert "may cost up to $0.0" in (outcome.reason or "")


async def test_a_model_that_nobody_prices_is_not_asked(tmp_path: Path) -> None:
    async with claude(tmp_path, NEW) as (rung, server):
        outcome = await rung.execute(Task(text="Write add.", checks=["compile"], chain=["opus"]))
        assert not server.chats
    assert outcome.status == "skipped"
    assert "usd_per_mtok_in" in (outcome.reason or "")
