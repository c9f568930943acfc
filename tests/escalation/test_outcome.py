"""From attempts to an outcome: which answer is given, as what, and what is said of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.escalation.attempt import Finished
from rung.escalation.matrix import default_matrix
from rung.escalation.outcome import best_of, outcome_of
from rung.escalation.plan import Plan
from rung.escalation.policy import result_of
from rung.escalation.task import EXIT_STATUS, Attempt, Classification, Outcome, Task
from rung.validation.verdict import Candidate, Verdict
from tests.routed import model

WORKER = model("ollama/qwen3:8b", "local_fast")
PAID = model("cloud/haiku", "haiku", (1.0, 5.0), locality="cloud")


def plan(kind: str = "standard", **task: Any) -> Plan:
    return Plan(
        task_id="t",
        task=Task("Do it.", **task),
        root=Path(),
        base={},
        before={},
        crlf=frozenset(),
        classification=Classification(type=kind, complexity=4.0, reasons=()),  # type: ignore[arg-type]
        row=dataclasses.replace(default_matrix()[kind], checker="same"),  # type: ignore[index]
        chain=(WORKER, PAID),
        checks=(),
    )


def tried(n: int, *results: str, kinds: str = "syntax tests semantic", **fields: Any) -> Finished:
    """Attempt `n` whose checks gave these results; its answer is its number."""
    verdicts = tuple(
        Verdict(validator=kind, result=result, evidence=f"evidence {n}")  # type: ignore[arg-type]
        for kind, result in zip(kinds.split(), results, strict=False)
    )
    attempt = Attempt(
        n=n, model="qwen3:8b", engine="ollama", tier="local_fast", temperature=0.2,
        verdicts=verdicts, checker=fields.pop("checker", None),
    )  # fmt: skip
    given = {
        "evidence": f"{verdicts[-1].validator}: evidence {n}" if verdicts else "",
        "candidate": Candidate(text=str(n), files={}),
        **fields,
    }
    return Finished(rung=0, attempt=attempt, result=result_of(verdicts), **given)


def outcome(finished: list[Finished], ending: Any, of: Plan | None = None) -> Outcome:
    return outcome_of(of or plan(), finished, ending, seconds=1.0, cost_usd=0.0)


def test_the_answer_that_passed_most_checks_is_given_as_what_it_is() -> None:
    finished = [tried(1, "fail"), tried(2, "pass", "fail"), tried(3, "fail")]
    found = outcome(finished, "top")
    assert (found.status, found.answer) == ("skipped", "2")
    assert found.reason == (
        "no rung is left; the best answer, of attempt 2, failed: tests: evidence 2"
    )
    assert EXIT_STATUS[found.status] == 4


def test_of_equally_good_answers_the_latest_is_given() -> None:
    finished = [tried(1, "pass", "fail"), tried(2, "pass", "fail")]
    found = outcome(finished, "attempts")
    assert found.answer == "2"
    assert found.reason == (
        "no more than 2 attempts allowed; the last attempt failed: tests: evidence 2"
    )


def test_an_answer_that_nothing_could_check_goes_before_one_that_failed() -> None:
    finished = [tried(1, "pass", "pass", "fail"), tried(2, "pass", "unavailable")]
    found = outcome(finished, "unchecked")
    assert (found.status, found.answer) == ("unverified", "2")
    assert "nothing could check it: tests: evidence 2" in found.reason


def test_whoever_passed_is_given_wherever_in_the_list_it_stands() -> None:
    outrun = Finished(
        rung=1, attempt=tried(2).attempt, result="no_answer", evidence="x", error_kind="cancelled"
    )
    found = outcome([tried(1, "pass", "pass"), outrun], "passed")
    assert (found.status, found.answer) == ("verified", "1")
    assert found.reason == "passed syntax, tests"


@given(st.lists(st.lists(st.sampled_from(["pass", "fail", "unavailable", "error"]), max_size=3)))
def test_no_answer_that_failed_is_ever_given_before_one_that_passed(results: list[Any]) -> None:
    finished = [tried(n, *given) for n, given in enumerate(results, start=1)]
    best = best_of(finished)
    order = ("passed", "unchecked", "failed")
    if best is None:
        assert not finished
    else:
        assert all(order.index(best.result) <= order.index(f.result) for f in finished)


def test_a_checkers_word_alone_is_never_enough_for_critical_work() -> None:
    critical = plan("critical")
    loose = dataclasses.replace(
        critical, row=dataclasses.replace(critical.row, always_review=False)
    )
    judged = outcome([tried(1, "pass", kinds="semantic:x")], "passed", loose)
    assert judged.status == "needs_review"
    assert "a checker model alone is never enough" in judged.reason
    tested = outcome([tried(1, "pass", "pass", kinds="tests:t semantic:x")], "passed", loose)
    assert tested.status == "verified"
    always = outcome([tried(1, "pass", "pass", kinds="tests:t semantic:x")], "passed", critical)
    assert always.status == "needs_review"


@pytest.mark.parametrize("ending", ["top", "attempts", "deadline", "not_worth_it", "unchecked"])
@pytest.mark.parametrize("at_end", ["review", "skip"])
def test_nothing_but_a_pass_is_verified(ending: Any, at_end: Any) -> None:
    finished = [tried(1, "pass", "unavailable" if ending == "unchecked" else "fail")]
    found = outcome(finished, ending, plan(at_end=at_end))
    assert found.status != "verified"
    assert found.answer == "1"
    assert found.saved_usd is None
    assert EXIT_STATUS[found.status] != 0
