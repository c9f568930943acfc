"""Learning on a real ledger and real attempts: shown, suggested, applied, undone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from rung.config.settings import EscalationSettings, LearningSettings, MatrixRow, Settings
from rung.errors import LedgerError, UsageError
from rung.escalation.learning.changes import with_changes
from rung.escalation.learning.history import History, gates_of, work_of
from rung.escalation.learning.orders import ladder_of
from rung.escalation.learning.rates import default_gate
from rung.escalation.matrix import default_matrix
from rung.escalation.task import TASK_TYPES, Task
from rung.ledger.rows import AttemptRow, LabelRow, SuggestionRow
from tests.ladder import BIG, GOOD, SMALL, WRONG, Ladder, ladder, project

CHECKS = ["syntax", "cmd:grep -q 'a + b' sums.py"]


def add_task(root: Path, **changes: object) -> Task:
    fields: dict[str, object] = {"checks": CHECKS, "out": ["sums.py"], "root": root}
    return Task("Write add(a, b).", **{**fields, "type": "standard", **changes})  # type: ignore[arg-type]


def learning(mode: str, **changes: object) -> LearningSettings:
    fields: dict[str, object] = {"mode": mode, "audit_rate": 0.0, **changes}
    return LearningSettings(**fields)


def row(n: int, engine: str, *, has_passed: bool, task_type: str = "standard") -> AttemptRow:
    verdict = {"validator": "tests:tests", "result": "pass" if has_passed else "fail"}
    return AttemptRow(
        task_id=f"{engine}{n}",
        n=1,
        model=SMALL.partition("/")[2],
        engine=engine,
        tier="local_fast" if engine == "small" else "haiku",
        verdicts=[verdict],
        cost_usd=0.0 if engine == "small" else 0.001,
        seconds=1.0,
        task_type=task_type,
        result="passed" if has_passed else "failed",
        failed_rungs=0,
        try_on_rung=1,
    )


async def teach(it: Ladder, task_type: str = "standard") -> None:
    """The small model nearly always fails, the big one nearly never."""
    for n in range(40):
        it.rung.ledger.record(row(n, "small", has_passed=n == 0, task_type=task_type))
        it.rung.ledger.record(row(n, "big", has_passed=n > 0, task_type=task_type))
    await it.rung.ledger.flush()


async def models_asked(it: Ladder, task: Task) -> list[str]:
    outcome = await it.rung.execute(task)
    return [attempt.engine for attempt in outcome.attempts]


@pytest.fixture
async def taught(tmp_path: Path) -> AsyncIterator[Ladder]:
    async with ladder(tmp_path, small=[WRONG], learning=learning("advise")) as it:
        await teach(it)
        yield it


@pytest.mark.parametrize("mode", ["off", "advise"])
async def test_only_the_mode_on_changes_what_is_asked(tmp_path: Path, mode: str) -> None:
    async with ladder(tmp_path, small=[WRONG], learning=learning(mode)) as it:
        await teach(it)
        await it.rung.learning.suggest()
        assert await models_asked(it, add_task(project(tmp_path))) == ["small", "small", "big"]


async def test_in_the_mode_on_a_task_starts_where_outcomes_say(tmp_path: Path) -> None:
    async with ladder(tmp_path, learning=learning("on", explore=False)) as it:
        await teach(it)
        assert await models_asked(it, add_task(project(tmp_path))) == ["big"]
        assert it.small.chats == []


async def test_a_chain_that_the_caller_names_is_tried_as_it_is_named(tmp_path: Path) -> None:
    async with ladder(tmp_path, learning=learning("on")) as it:
        await teach(it)
        task = add_task(project(tmp_path), chain=[SMALL, BIG])
        assert await models_asked(it, task) == ["small"]


async def test_critical_tasks_never_explore(tmp_path: Path) -> None:
    async with ladder(tmp_path, learning=learning("on", explore=True)) as it:
        history = await it.rung.learning.orders.history()
        chain = await it.rung.router.models(local_only=False)
        made = {
            kind: ladder_of(
                kind, chain, it.rung.settings, history, checks=["tests"], task_id="t1"
            ).seed
            for kind in TASK_TYPES
        }
        assert made.pop("critical") is None
        assert set(made.values()) == {"t1"}


async def test_a_task_is_done_although_the_ledger_is_off(tmp_path: Path) -> None:
    async with ladder(tmp_path, ledger="off", learning=learning("on")) as it:
        assert await models_asked(it, add_task(project(tmp_path))) == ["small"]
        assert (await it.rung.learning.show()).attempts == 0


async def test_show_says_why_each_rung_comes_where_it_does(taught: Ladder) -> None:
    shown = await taught.rung.learning.show("standard")
    [view] = shown.types
    assert view.order[0] == BIG
    assert view.chain == (SMALL, BIG)
    big, small = view.rungs
    assert (big.place, big.tries, big.passed) == (1, 40, 39)
    assert "39 of 40 first tries" in big.why
    assert "comes first" in big.why
    assert small.right < 0.2 < big.right
    assert (view.source, view.labels) == ("measured elsewhere", 0)
    [tests] = [c for c in shown.checks if (c.check, c.model_class) == ("tests", "haiku")]
    assert tests.false_accept is None


async def test_a_first_rung_that_fails_is_suggested_away_once(taught: Ladder) -> None:
    [found] = await taught.rung.learning.suggest()
    assert found.subject == "matrix.standard.chain"
    assert "1 of 40" in found.reason
    assert "local_fast" not in found.after["value"]
    assert await taught.rung.learning.suggest() == [found]


async def test_an_applied_suggestion_holds_and_is_undone_exactly(
    taught: Ladder, tmp_path: Path
) -> None:
    it, root = taught, project(tmp_path)
    before = await it.rung.learning.orders.settings(it.rung.settings)
    [found] = await it.rung.learning.suggest()
    assert found.id is not None
    assert (await it.rung.learning.apply(found.id)).state == "applied"
    assert await models_asked(it, add_task(root)) == ["big"]
    with pytest.raises(LedgerError, match="is applied, not open"):
        await it.rung.learning.apply(found.id)
    await it.rung.learning.revert(found.id)
    assert await it.rung.learning.orders.settings(it.rung.settings) == before
    assert await models_asked(it, add_task(root)) == ["small", "small", "big"]
    kinds = [event.kind for event in await it.rung.ledger.audit()]
    assert {"learning_applied", "learning_reverted"} <= set(kinds)


async def test_reset_reverts_and_forgets_but_keeps_the_record(taught: Ladder) -> None:
    [found] = await taught.rung.learning.suggest()
    assert found.id is not None
    await taught.rung.learning.apply(found.id)
    assert await taught.rung.learning.reset() == 1
    assert (await taught.rung.learning.show()).attempts == 0
    assert await taught.rung.ledger.suggestions("applied") == []
    assert len(await taught.rung.ledger.attempts("big1")) == 1


async def test_a_label_is_put_on_the_answer_that_was_given(taught: Ladder) -> None:
    await taught.rung.learning.label("big1", is_right=False, source="revert")
    shown = await taught.rung.learning.show("standard")
    assert shown.labels == 1
    [all_] = [c for c in shown.checks if (c.check, c.model_class) == ("all", "haiku")]
    assert all_.false_accept is not None
    assert all_.false_accept.low < all_.false_accept.high
    with pytest.raises(UsageError, match="no attempt of a task 'nobody'"):
        await taught.rung.learning.label("nobody", is_right=True)


async def test_work_that_is_often_wrong_is_suggested_to_be_taken_for_harder(
    taught: Ladder, tmp_path: Path
) -> None:
    it = taught
    for n in range(1, 21):
        await it.rung.learning.label(f"big{n}", is_right=n > 12)
    found = {row.subject: row for row in await it.rung.learning.suggest()}
    harder = found["learning.complexity.standard"]
    assert harder.id is not None
    await it.rung.learning.apply(harder.id)
    outcome = await it.rung.execute(add_task(project(tmp_path)))
    await it.rung.learning.revert(harder.id)
    again = await it.rung.execute(add_task(tmp_path / "project"))
    assert outcome.complexity == again.complexity + 1.0


def test_changes_are_laid_over_in_their_order_and_unknown_ones_are_left() -> None:
    settings = Settings(escalation=EscalationSettings())
    changes = [
        change("matrix.standard.chain", list(default_matrix()["standard"].chain), ["haiku"]),
        change("matrix.standard.checker", "auto", "next"),
        change("matrix.standard.chain", ["haiku"], ["sonnet"]),
        change("learning.complexity.standard", 0.0, 1.0),
        change("of.a.newer.rung", None, 1),
    ]
    changed = with_changes(settings, changes)
    assert changed.matrix["standard"].chain == ("sonnet",)
    assert changed.matrix["standard"].checker == "next"
    assert changed.learning.complexity == {"standard": 1.0}
    assert with_changes(settings, []) is settings


def test_a_change_rests_where_the_user_has_decided_otherwise_since() -> None:
    own = Settings(matrix={"standard": MatrixRow(chain=("local_fast",))})
    default = list(default_matrix()["standard"].chain)
    assert with_changes(own, [change("matrix.standard.chain", default, ["haiku"])]) is own
    [made_of_it] = [change("matrix.standard.chain", ["local_fast"], ["haiku"])]
    assert with_changes(own, [made_of_it]).matrix["standard"].chain == ("haiku",)


def change(subject: str, before: object, after: object) -> SuggestionRow:
    was, is_now = {"value": before}, {"value": after}
    return SuggestionRow(subject=subject, before=was, after=is_now, reason="")


async def test_a_suggestion_that_is_out_of_date_is_not_applied(tmp_path: Path) -> None:
    async with ladder(tmp_path, learning=learning("advise")) as it:
        await it.rung.ledger.suggest(change("escalation.checker_confidence", 0.5, 0.9))
        [found] = await it.rung.ledger.suggestions("open")
        assert found.id is not None
        with pytest.raises(UsageError, match=r"was made of 0\.5, .* is 0\.8 now"):
            await it.rung.learning.apply(found.id)
        assert await it.rung.ledger.suggestions("applied") == []


async def test_the_same_advice_is_given_anew_where_the_settings_have_changed(
    tmp_path: Path,
) -> None:
    async with ladder(tmp_path, learning=learning("advise")) as it:
        for before, is_new in ((0.8, True), (0.8, False), (0.7, True)):
            made = change("escalation.checker_confidence", before, 0.9)
            assert (await it.rung.ledger.suggest(made) is not None) is is_new


def test_labels_speak_of_the_work_that_they_were_given_for() -> None:
    rows = [row(n, "small", has_passed=True) for n in range(60)]
    by_schema = [{"validator": "schema", "result": "pass"}]
    forms = [replace(row(n, "small", has_passed=True), verdicts=by_schema) for n in range(60, 110)]
    wrong = {
        (form.task_id, 1): LabelRow(task_id=form.task_id, attempt=1, source="ci", verdict="wrong")
        for form in forms[:30]
    }
    gates = gates_of(History([*rows, *forms], wrong))
    assert gates.of(work_of("standard", ["tests"]), SMALL) == default_gate(["tests"])
    assert gates.of(work_of("standard", ["schema"]), SMALL) != default_gate(["schema"])


async def test_show_counts_the_labels_of_the_usual_work(taught: Ladder) -> None:
    schema = [{"validator": "schema", "result": "pass"}]
    other = replace(row(900, "small", has_passed=True), verdicts=schema)
    label = LabelRow(task_id=other.task_id, attempt=1, source="ci", verdict="wrong")
    taught.rung.ledger.record(other)
    taught.rung.ledger.record(label)
    await taught.rung.ledger.flush()
    [view] = (await taught.rung.learning.show("standard")).types
    assert (view.checks, view.source, view.labels) == (("tests",), "measured elsewhere", 0)


async def test_a_shadow_is_the_same_work_as_the_task_that_it_shadows(tmp_path: Path) -> None:
    settings = learning("advise", shadow_rate=1.0, shadow_model=BIG)
    async with ladder(tmp_path, big=[WRONG], learning=settings) as it:
        outcome = await it.rung.execute(add_task(project(tmp_path)))
        await it.rung.afterwards.close()
        await it.rung.ledger.flush()
        history = await it.rung.learning.orders.history()
        assert outcome.engine == "small"
        assert {row.engine for row in history.attempts} == {"small", "big"}
        assert {history.work(row) for row in history.attempts} == {"standard: cmd+syntax"}


async def test_a_task_without_an_answer_takes_no_label(tmp_path: Path) -> None:
    async with ladder(tmp_path, learning=learning("advise")) as it:
        await it.small.stop()
        await it.big.stop()
        outcome = await it.rung.execute(add_task(project(tmp_path)))
        with pytest.raises(UsageError, match="no answer"):
            await it.rung.learning.label(outcome.task_id, is_right=True)


async def test_work_of_one_type_with_other_checks_is_believed_apart(tmp_path: Path) -> None:
    """Extraction by schema and code by tests are both of the type standard."""
    settings = learning("on", explore=False)
    async with ladder(tmp_path, small=[WRONG], big=[GOOD], learning=settings) as it:
        for n in range(50):
            verdict = {"validator": "schema", "result": "pass" if n % 4 else "fail"}
            small = row(n, "small", has_passed=bool(n % 4))
            it.rung.ledger.record(replace(small, verdicts=[verdict]))
        for n in range(50, 60):
            climbed = replace(row(n, "big", has_passed=n % 10 != 0), failed_rungs=1)
            it.rung.ledger.record(climbed)
        await it.rung.ledger.flush()
        [shown] = (await it.rung.learning.show("standard")).types
        assert shown.checks == ("schema",)
        task = add_task(project(tmp_path), checks=["tests:tests"])
        outcome = await it.rung.execute(task)
        assert (outcome.status, outcome.engine) == ("verified", "big")


def sure(n: int, confidence: float) -> AttemptRow:
    verdict = {"validator": "semantic:x", "result": "pass", "confidence": confidence}
    return replace(row(n, "small", has_passed=True), verdicts=[verdict])


async def test_a_checker_that_is_sure_too_soon_is_suggested_to_count_later(
    tmp_path: Path,
) -> None:
    """Below 0.95 half of what it accepts is wrong, from there on nothing is."""
    async with ladder(tmp_path, learning=learning("advise")) as it:
        for n in range(80):
            it.rung.ledger.record(sure(n, 0.85 if n < 40 else 0.95))
            await it.rung.ledger.flush()
            await it.rung.learning.label(f"small{n}", is_right=n >= 40 or n % 2 == 0)
        await it.rung.ledger.flush()
        [found] = [
            row
            for row in await it.rung.learning.suggest()
            if row.subject == "escalation.checker_confidence"
        ]
        assert (found.before, found.after) == ({"value": 0.8}, {"value": 0.95})
        assert found.id is not None
        await it.rung.learning.apply(found.id)
        laid_over = await it.rung.learning.orders.settings(it.rung.settings)
        assert laid_over.escalation.checker_confidence == 0.95
        await it.rung.learning.revert(found.id)
        assert await it.rung.learning.orders.settings(it.rung.settings) == it.rung.settings
