"""The cost guard: nothing paid without leave, nothing beyond the budget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rung.chat import ChatRequest, Message, Tool, ToolCall, Usage
from rung.config.settings import BudgetSettings, EscalationSettings, LedgerSettings, Settings
from rung.errors import EngineError
from rung.escalation.events import Event, Warned
from rung.escalation.money.bill import NANO, bill_of, worst_case
from rung.escalation.money.cost import Approve, CostGuard, PaidRung
from rung.escalation.money.purse import Purse
from rung.ledger import Ledger
from rung.models.prices import LongPrompt, Price, Rates
from rung.routing.calls import Label
from rung.routing.context import prompt_size
from rung.routing.models import RoutedModel
from tests.routed import model

FREE_MODEL = model("embedded/tiny", "local_tiny")
PAID = model("cloud/haiku", "haiku", (1.0, 5.0), locality="cloud")
UNPRICED = model("cloud/x", "haiku", None, locality="cloud")


LABEL = Label(purpose="worker", task_id="t", attempt=1)


class Person:
    """Answers each question as told, and remembers what was asked."""

    def __init__(self, *, agrees: bool | None) -> None:
        self.agrees = agrees
        self.asked: list[PaidRung] = []

    async def __call__(self, question: PaidRung) -> bool | None:
        self.asked.append(question)
        return self.agrees


class Desk:
    """Makes guards for tasks of one process, with a ledger that is off."""

    def __init__(self, folder: Path, **budget: Any) -> None:
        self.events: list[Event] = []
        settings = Settings(ledger=LedgerSettings(url="off"), budget=BudgetSettings(**budget))
        ledger = Ledger.open(settings.ledger, folder)
        self.purse = Purse(settings, ledger)

    def guard(
        self, budget_usd: float = 1.0, approve: Approve | None = None, **escalation: Any
    ) -> CostGuard:
        settings = EscalationSettings(**{"paid": "allow", **escalation})
        return CostGuard(
            "t",
            "standard",
            budget_usd,
            settings,
            self.purse,
            approve=approve,
            on_event=self.events.append,
        )


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    await desk.purse.close()


def request(characters: int = 6, max_tokens: int = 100) -> ChatRequest:
    messages = (Message(role="user", content="p" * characters),)
    return ChatRequest(model="m", messages=messages, max_tokens=max_tokens)


def worst_case_usd(model: RoutedModel, asked: ChatRequest) -> float:
    worst = worst_case(model, asked).nano_usd
    assert worst is not None
    return worst / NANO


async def refused(guard: CostGuard, model: RoutedModel, asked: ChatRequest | None = None) -> str:
    with pytest.raises(EngineError) as error:
        await guard.admit(model, asked or request(), LABEL)
    assert error.value.kind == "over_budget"
    return error.value.message


async def test_a_free_model_needs_no_leave(desk: Desk) -> None:
    person = Person(agrees=False)
    guard = desk.guard(0.0, person, paid="deny")
    await (await guard.admit(FREE_MODEL, request(9999, 9999), LABEL)).settle(Usage())
    assert person.asked == []
    assert guard.meter()() == 0.0


async def test_a_paid_model_is_asked_for_once(desk: Desk) -> None:
    person = Person(agrees=True)
    guard = desk.guard(1.0, person, paid="ask")
    await guard.admit(PAID, request(), LABEL)
    await guard.admit(PAID, request(), LABEL)
    assert [question.model for question in person.asked] == ["cloud/haiku"]
    assert PAID.price is not None
    assert person.asked[0].worst_case_usd >= PAID.price.cost(2, 100)


async def test_calls_side_by_side_ask_one_question(desk: Desk) -> None:
    person = Person(agrees=True)
    guard = desk.guard(1.0, person, paid="ask")
    await asyncio.gather(*(guard.admit(PAID, request(), LABEL) for _ in range(9)))
    assert len(person.asked) == 1


async def test_a_refusal_is_a_refusal_and_stands(desk: Desk) -> None:
    person = Person(agrees=False)
    guard = desk.guard(1.0, person, paid="ask")
    for _ in range(2):
        assert "refused" in await refused(guard, PAID)
    assert len(person.asked) == 1
    assert guard.unasked == []


@pytest.mark.parametrize("approve", [None, Person(agrees=None)])
async def test_nobody_to_ask_means_no_and_is_remembered(
    desk: Desk, approve: Approve | None
) -> None:
    guard = desk.guard(1.0, approve, paid="ask")
    assert "--yes" in await refused(guard, PAID)
    assert [question.model for question in guard.unasked] == [PAID.name]


async def test_deny_asks_nobody(desk: Desk) -> None:
    person = Person(agrees=True)
    guard = desk.guard(1.0, person, paid="deny")
    assert "deny" in await refused(guard, PAID)
    assert (person.asked, guard.unasked) == ([], [])


async def test_each_tier_may_have_its_own_answer(desk: Desk) -> None:
    opus = model("cloud/opus", "opus", (1.0, 5.0), locality="cloud")
    person = Person(agrees=True)
    guard = desk.guard(1.0, person, paid="ask", paid_tiers={"haiku": "allow", "opus": "deny"})
    await guard.admit(PAID, request(), LABEL)
    assert person.asked == []
    assert "deny" in await refused(guard, opus)


async def test_the_worst_case_must_fit_what_is_left(desk: Desk) -> None:
    guard = desk.guard(0.001)
    hold = await guard.admit(PAID, request(30), LABEL)
    await hold.settle(Usage(tokens_in=10, tokens_out=100))
    assert guard.spent_usd == pytest.approx((10 * 1.0 + 100 * 5.0) / 1e6)
    assert "budget of $0.00" in await refused(guard, PAID, request(30))


async def test_calls_side_by_side_share_what_is_left(desk: Desk) -> None:
    worst = worst_case_usd(PAID, request())
    guard = desk.guard(worst * 7.5)
    answers = await asyncio.gather(
        *(guard.admit(PAID, request(), LABEL) for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(answer, EngineError) for answer in answers) == 43


async def test_what_may_cost_more_while_the_user_thinks_is_refused(desk: Desk) -> None:
    worst = worst_case_usd(PAID, request())
    assert worst is not None
    thinking, done = asyncio.Event(), asyncio.Event()

    async def slow(question: PaidRung) -> bool:
        thinking.set()
        await done.wait()
        return True

    guard = desk.guard(worst * 1.5, slow, paid="ask")
    both = [asyncio.ensure_future(guard.admit(PAID, request(), LABEL)) for _ in range(2)]
    await thinking.wait()
    done.set()
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(answer, EngineError) for answer in answers) == 1


async def test_a_call_that_failed_in_the_middle_counts_with_its_worst_case(desk: Desk) -> None:
    guard = desk.guard()
    await (await guard.admit(PAID, request(), LABEL)).settle(Usage())
    assert guard.spent_usd == worst_case_usd(PAID, request())


async def test_a_call_that_never_reached_a_model_counts_nothing(desk: Desk) -> None:
    guard = desk.guard()
    await (await guard.admit(PAID, request(), LABEL)).release()
    assert guard.spent_usd == 0.0
    assert guard.meter()() == 0.0


ABSURD = [
    Usage(),
    Usage(cost_usd=-5.0),
    Usage(cost_usd=float("nan")),
    Usage(cost_usd=float("inf")),
    Usage(cost_usd=1e15),
    Usage(tokens_in=-(10**15), tokens_out=5),
    Usage(tokens_in=10**15, tokens_out=10**15),
    Usage(tokens_in=5, tokens_out=-1, cost_usd=0.1),
]


@pytest.mark.parametrize("usage", ABSURD)
async def test_an_answer_that_hides_its_usage_counts_with_its_worst_case(
    desk: Desk, usage: Usage
) -> None:
    guard = desk.guard()
    spent_usd = guard.meter()
    await (await guard.admit(PAID, request(), LABEL)).settle(usage)
    assert guard.spent_usd == worst_case_usd(PAID, request())
    assert spent_usd() is None


async def test_an_unknown_price_is_not_zero(desk: Desk) -> None:
    assert "price of cloud/x is unknown" in await refused(desk.guard(100.0), UNPRICED)
    assert UNPRICED.cost_usd(Usage(tokens_in=1, tokens_out=1)) is None


async def test_the_tokens_of_a_task_hold_for_free_models_too(desk: Desk) -> None:
    most = worst_case(FREE_MODEL, request()).tokens
    guard = desk.guard(task_tokens=most + 50)
    hold = await guard.admit(FREE_MODEL, request(), LABEL)
    assert "raise escalation.task_tokens" in await refused(guard, FREE_MODEL)
    await hold.settle(Usage(tokens_in=20, tokens_out=30))
    await (await guard.admit(FREE_MODEL, request(), LABEL)).settle(Usage(tokens_in=1, tokens_out=0))
    assert f"{most - 1:,} of" in await refused(guard, FREE_MODEL)


async def test_a_paid_model_is_announced_once_and_each_dear_call(desk: Desk) -> None:
    worst = worst_case_usd(PAID, request())
    guard = desk.guard(warn_usd=worst)
    for characters in (6, 6, 60, 60):
        await (await guard.admit(PAID, request(characters), LABEL)).release()
    warnings = [event for event in desk.events if isinstance(event, Warned)]
    assert [warning.model for warning in warnings] == [PAID.name] * 3
    assert ["may cost more" in warning.reason for warning in warnings] == [False, True, True]


async def test_a_call_that_the_day_has_no_room_for_keeps_nothing_of_the_task_back(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path, day_usd=0.0)
    worst = worst_case_usd(PAID, request())
    guard = desk.guard(worst * 1.5)
    for _ in range(3):
        assert "a day is left" in await refused(guard, PAID)
    assert guard.spent_usd == 0.0
    await desk.purse.close()


def test_the_worst_case_has_the_tariff_of_a_long_prompt_and_of_a_first_reading() -> None:
    long = LongPrompt(above_tokens=1_000, rates=Rates(usd_per_mtok_in=5, usd_per_mtok_out=25))
    tiered = replace(
        PAID,
        price=Price(
            usd_per_mtok_in=1.0,
            usd_per_mtok_out=5.0,
            usd_per_mtok_cache_write=1.25,
            long_prompts=(long,),
        ),
    )
    short, reaching = worst_case_usd(tiered, request(800)), worst_case_usd(tiered, request(1_001))
    most, most_of_long = (prompt_size(asked, None).most for asked in (request(800), request(1_001)))
    assert most <= 1_000 < most_of_long
    assert short == pytest.approx((most * 1.25 + 100 * 5.0) / 1e6)
    assert reaching == pytest.approx((most_of_long * 5.0 + 100 * 25.0) / 1e6)


def test_the_worst_case_counts_tools_and_their_calls_and_images() -> None:
    tool = Tool(name="look", description="d" * 5_000, parameters={"type": "object"})
    call = ToolCall(id="1", name="look", arguments="a" * 3_000)
    image = Message(role="user", images=("data:image/png;base64,aGk=",))
    bare = worst_case_usd(PAID, request())
    for fields, tokens in (
        ({"tools": (tool,)}, 5_000),
        ({"messages": (Message(role="assistant", tool_calls=(call,)),)}, 2_990),
        ({"messages": (image,)}, 4_784),
    ):
        more = worst_case_usd(PAID, msgspec.structs.replace(request(), **fields))
        assert more >= bare + tokens / 1e6


def test_the_engines_own_figure_comes_first() -> None:
    usage = Usage(tokens_in=1000, tokens_out=1000, cost_usd=0.5)
    assert PAID.cost_usd(usage) == 0.5


def test_the_arithmetic_of_a_thousand_tasks() -> None:
    """1,000 tasks of 2,000 tokens in and 1,000 out, at $0.80/$4 and at $3/$15."""
    cheap = Price(usd_per_mtok_in=0.80, usd_per_mtok_out=4.0)
    dear = Price(usd_per_mtok_in=3.0, usd_per_mtok_out=15.0)
    usage = Usage(tokens_in=2_000, tokens_out=1_000)

    def billed(price: Price, tasks: int) -> int:
        paid = replace(PAID, price=price)
        return sum(bill_of(paid, usage, worst_case(paid, request())).nano_usd for _ in range(tasks))

    assert billed(cheap, 1_000) == 5_600_000_000
    assert billed(dear, 1_000) == 21_000_000_000
    assert billed(cheap, 300) + billed(dear, 100) == 3_780_000_000
    assert billed(cheap, 400) + billed(dear, 100) == 4_340_000_000
