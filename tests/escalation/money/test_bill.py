"""Money as whole numbers: sums are exact, and nothing is ever rounded down."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.chat import ChatRequest, Message, Usage
from rung.escalation.money.bill import MOST_USD, bill_of, in_usd, nano_usd, worst_case
from tests.routed import model

REQUEST = ChatRequest(model="m", messages=(Message(role="user", content="p"),), max_tokens=100)


@pytest.mark.parametrize(
    ("usd", "nano"),
    [
        (0.0, 0),
        (0.1, 100_000_000),
        (0.1 + 0.2, 300_000_000),
        (1e-9, 1),
        (1e-10, 1),
        (0.29, 290_000_000),
        (1.005, 1_005_000_000),
        (MOST_USD, 10**15),
    ],
)
def test_a_float_is_taken_for_what_it_was_written_as(usd: float, nano: int) -> None:
    assert nano_usd(usd) == nano


@given(st.integers(0, 10**15))
def test_a_whole_number_of_nano_usd_comes_back_from_a_float(nano: int) -> None:
    assert abs(nano_usd(nano / 1e9) - nano) <= nano * 2**-52 + 1
    if nano < 10**12:
        assert nano_usd(nano / 1e9) == nano


@given(st.floats(0, 1e6))
def test_no_amount_is_rounded_down_by_more_than_a_float_says(usd: float) -> None:
    assert Decimal(nano_usd(usd)) >= Decimal(usd) * 10**9 - Decimal("0.001") - Decimal(usd) / 1000


@given(
    rates=st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)),
    tokens_in=st.integers(-(10**16), 10**16) | st.none(),
    tokens_out=st.integers(-(10**16), 10**16) | st.none(),
    cost=st.floats() | st.none(),
)
def test_whatever_an_engine_says_a_bill_is_a_possible_amount(
    rates: tuple[float, float], tokens_in: int | None, tokens_out: int | None, cost: float | None
) -> None:
    paid = model("cloud/m", "haiku", (rates[0], rates[1]), locality="cloud")
    usage = Usage(tokens_in=tokens_in, tokens_out=tokens_out, cost_usd=cost)
    bill = bill_of(paid, usage, worst_case(paid, REQUEST))
    assert 0 <= bill.nano_usd <= 10**15
    assert 0 <= bill.tokens <= 2 * 10**9


def test_a_price_beyond_all_measure_is_not_known() -> None:
    dear = model("cloud/m", "haiku", (1e12, 1e12), locality="cloud")
    assert worst_case(dear, REQUEST).nano_usd is None


def test_amounts_for_a_person_never_hide_that_there_is_one() -> None:
    assert [in_usd(n) for n in (0, 12_345_678, 10**9, 7)] == [
        "$0.0000",
        "$0.0123",
        "$1.0000",
        "$0.000000007",
    ]
