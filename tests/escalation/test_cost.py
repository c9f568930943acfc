"""The cost guard: nothing paid without leave, nothing beyond the budget."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from rung.chat import ChatRequest, Message, Tool, ToolCall, Usage
from rung.errors import EngineError
from rung.escalation.cost import CostGuard, PaidRung, worst_case_usd
from rung.models.prices import LongPrompt, Price, Rates
from rung.routing.context import prompt_size
from rung.routing.models import RoutedModel
from tests.routed import model

FREE_MODEL = model("embedded/tiny", "local_tiny")
PAID = model("cloud/haiku", "haiku", (1.0, 5.0), locality="cloud")
UNPRICED = model("cloud/x", "haiku", None, locality="cloud")


class Person:
    """Answers each question as told, and remembers what was asked."""

    def __init__(self, *, agrees: bool) -> None:
        self.agrees = agrees
        self.asked: list[PaidRung] = []

    async def __call__(self, question: PaidRung) -> bool:
        self.asked.append(question)
        return self.agrees


def request(characters: int = 6, max_tokens: int = 100) -> ChatRequest:
    messages = (Message(role="user", content="p" * characters),)
    return ChatRequest(model="m", messages=messages, max_tokens=max_tokens)


async def refused(guard: CostGuard, model: RoutedModel, asked: ChatRequest | None = None) -> str:
    with pytest.raises(EngineError) as error:
        await guard.admit(model, asked or request())
    assert error.value.kind == "over_budget"
    return error.value.message


async def test_a_free_model_needs_no_leave() -> None:
    person = Person(agrees=False)
    guard = CostGuard("t", 0.0, "deny", person)
    await guard.admit(FREE_MODEL, request(9999, 9999))
    assert person.asked == []


async def test_a_paid_model_is_asked_for_once() -> None:
    person = Person(agrees=True)
    guard = CostGuard("t", 1.0, "ask", person)
    await guard.admit(PAID, request())
    await guard.admit(PAID, request())
    assert [question.model for question in person.asked] == ["cloud/haiku"]
    assert PAID.price is not None
    assert person.asked[0].worst_case_usd >= PAID.price.cost(2, 100)


async def test_a_refusal_is_a_refusal() -> None:
    assert "refused" in await refused(CostGuard("t", 1.0, "ask", Person(agrees=False)), PAID)


async def test_nobody_to_ask_means_no() -> None:
    assert "--yes" in await refused(CostGuard("t", 1.0, "ask", None), PAID)


async def test_deny_asks_nobody() -> None:
    person = Person(agrees=True)
    await refused(CostGuard("t", 1.0, "deny", person), PAID)
    assert person.asked == []


async def test_the_worst_case_must_fit_what_is_left() -> None:
    guard = CostGuard("t", 0.001, "allow", None)
    await guard.admit(PAID, request(30))
    guard.settle(PAID, Usage(tokens_in=10, tokens_out=100))
    assert guard.spent_usd == pytest.approx((10 * 1.0 + 100 * 5.0) / 1e6)
    assert "budget of $0.00" in await refused(guard, PAID, request(30))


async def test_a_call_that_failed_in_the_middle_counts_with_its_worst_case() -> None:
    guard = CostGuard("t", 1.0, "allow", None)
    await guard.admit(PAID, request())
    guard.settle(PAID, Usage())
    assert guard.spent_usd == worst_case_usd(PAID, request())


async def test_a_call_that_never_reached_a_model_counts_nothing() -> None:
    guard = CostGuard("t", 1.0, "allow", None)
    await guard.admit(PAID, request())
    guard.release()
    assert guard.spent_usd == 0.0
    assert guard.meter()() == 0.0


@pytest.mark.parametrize("usage", [Usage(), Usage(cost_usd=-5.0), Usage(cost_usd=float("nan"))])
async def test_an_answer_that_hides_its_usage_counts_with_its_worst_case(usage: Usage) -> None:
    guard = CostGuard("t", 1.0, "allow", None)
    spent_usd = guard.meter()
    await guard.admit(PAID, request())
    guard.settle(PAID, usage)
    assert guard.spent_usd == worst_case_usd(PAID, request())
    assert spent_usd() is None


async def test_an_unknown_price_is_not_zero() -> None:
    message = await refused(CostGuard("t", 100.0, "allow", None), UNPRICED)
    assert "price of cloud/x is unknown" in message
    assert UNPRICED.cost_usd(Usage(tokens_in=1, tokens_out=1)) is None


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
    assert bare is not None
    for fields, tokens in (
        ({"tools": (tool,)}, 5_000),
        ({"messages": (Message(role="assistant", tool_calls=(call,)),)}, 2_990),
        ({"messages": (image,)}, 4_784),
    ):
        more = worst_case_usd(PAID, msgspec.structs.replace(request(), **fields))
        assert more is not None
        assert more >= bare + tokens / 1e6


def test_the_engines_own_figure_comes_first() -> None:
    usage = Usage(tokens_in=1000, tokens_out=1000, cost_usd=0.5)
    assert PAID.cost_usd(usage) == 0.5


def test_the_arithmetic_of_a_thousand_tasks() -> None:
    """1,000 tasks of 2,000 tokens in and 1,000 out, at $0.80/$4 and at $3/$15."""
    cheap = Price(usd_per_mtok_in=0.80, usd_per_mtok_out=4.0)
    dear = Price(usd_per_mtok_in=3.0, usd_per_mtok_out=15.0)
    assert 1000 * cheap.cost(2000, 1000) == pytest.approx(5.60)
    assert 1000 * dear.cost(2000, 1000) == pytest.approx(21.00)
