"""A row that no database can take costs itself at most, never its neighbours."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from rung.ledger import Ledger
from rung.ledger.encode import encode
from rung.ledger.tables import SCHEMA
from tests.ledger.conftest import Place
from tests.ledger.samples import call, task

any_text = st.text(st.characters(exclude_categories=()))  # half surrogates and NUL among them
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
    max_leaves=20,
)


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"in": value}
    return value


def circular() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


MENDED = {
    "nul_in_text": call(model="a\0b"),
    "half_a_surrogate": call(model="\ud800"),
    "nul_in_json": call(args_json={"a\0": "b\0"}),
    "half_a_surrogate_in_json": call(args_json={"a": ["\udfff"]}),
    "an_object": call(args_json={"a": object()}),
    "an_unprintable_object": call(args_json={"a": Unprintable()}),
    "a_circle": call(args_json=circular()),
    "too_deep": call(args_json=nested(5000)),
    "not_a_number": call(cost_usd=math.nan),
    "infinity": call(total_ms=math.inf),
}
REFUSED = {
    "too_large_a_number": call(tokens_in=2**63),
    "no_number": call(tokens_in="many"),
    "no_time": call(created_at="yesterday"),
    "no_name": call(tool=None),
}


@pytest.mark.parametrize("row", MENDED.values(), ids=MENDED)
async def test_what_no_database_can_hold_is_replaced_and_counted(ledger: Ledger, row) -> None:
    for each in (call(attempt=1), row, call(attempt=2)):
        ledger.record(each)
    assert await ledger.flush(20)
    assert len(await ledger.calls()) == 3
    health = await ledger.health()
    assert (health.ok, health.mended_rows, health.lost_rows) == (True, 1, 0)


async def test_what_is_no_row_at_all_is_lost_alone_and_counted(ledger: Ledger) -> None:
    ledger.record("a line of text")  # type: ignore[arg-type]
    ledger.record(call())
    assert len(await ledger.calls()) == 1
    health = await ledger.health()
    assert (health.lost_rows, health.last_error) == (1, "not a row of the ledger: str")


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED)
async def test_a_row_that_cannot_be_written_is_lost_alone_and_counted(ledger: Ledger, row) -> None:
    rows = [call(attempt=n) for n in range(50)]
    for each in (*rows[:31], row, *rows[31:]):
        ledger.record(each)
    assert await ledger.flush(20)
    assert [found.attempt for found in reversed(await ledger.calls())] == list(range(50))
    health = await ledger.health()
    assert (health.ok, health.lost_rows) == (True, 1)
    assert "agent_run" in (health.last_error or "")


async def test_many_bad_rows_among_good_ones_are_all_isolated(ledger: Ledger) -> None:
    for n in range(300):
        ledger.record(call(attempt=n, tool=None if n % 7 == 0 else "t"))
    assert await ledger.flush(30)
    good = [n for n in range(300) if n % 7]
    assert [found.attempt for found in reversed(await ledger.calls(500))] == good
    assert (await ledger.health()).lost_rows == 300 - len(good)


async def test_a_lost_row_never_puts_its_content_into_an_error(ledger: Ledger) -> None:
    ledger.record(task(description="the secret plan", outcome=None))
    ledger.record(task(description="the secret plan", attempts="the secret plan"))
    assert await ledger.flush(20)
    assert "secret" not in repr(await ledger.health())


async def test_a_pair_of_surrogates_is_joined_to_its_character(ledger: Ledger) -> None:
    ledger.record(call(model="\ud83d\ude00", args_json={"a": "\ud83d\ude00\ud83d"}))
    (row,) = await ledger.calls()
    assert (row.model, row.args_json) == ("😀", {"a": "😀\N{REPLACEMENT CHARACTER}"})


@given(any_text, any_json)
def test_any_text_and_any_json_becomes_something_storable(words: str, value: object) -> None:
    values, is_mended = encode(call(model=words, args_json={"value": value}))
    for stored in (values["model"], values["args_json"]):
        assert "\0" not in stored.encode().decode()
        assert "\\u0000" not in stored.replace("\\\\", "")
    read = json.loads(values["args_json"])
    if not is_mended:
        assert values["model"] == words
        assert read == msgspec.json.decode(msgspec.json.encode({"value": value}))


async def test_the_audit_log_can_be_added_to_and_never_changed(place: Place) -> None:
    ledger = place.open()
    ledger.record(_event())
    assert len(await ledger.audit()) == 1
    name = "audit_event" if place.mode == "sqlite" else f"{SCHEMA}.audit_event"
    store = ledger._store
    assert store is not None
    for change in (f"UPDATE {name} SET kind = 'x'", f"DELETE FROM {name}"):
        with pytest.raises(Exception, match="audit_event is append-only"), store.write() as open_:
            open_.execute(text(change))
    assert len(await ledger.audit()) == 1
    await ledger.close()


def _event():
    from rung.ledger import AuditRow

    return AuditRow(kind="climb", at=datetime.now(UTC))
