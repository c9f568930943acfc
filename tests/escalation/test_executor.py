"""A task climbs the ladder: real HTTP, real files, real sandbox, real ledger."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from rung.config.settings import EscalationSettings
from rung.errors import UsageError
from rung.escalation.events import Climbed, Event
from rung.escalation.executor import ChainOrders
from rung.escalation.money.cost import PaidRung
from rung.escalation.plan import Plan
from rung.escalation.policy import Order
from rung.escalation.task import Outcome, Task
from tests.fakes.replies import Reply, answer
from tests.fakes.server import Call, failure, html
from tests.ladder import BIG, BROKEN, GOOD, SMALL, WRONG, judgement, ladder, project

CHAIN = [SMALL, BIG]
WITH_TESTS = ["syntax", "tests:tests"]


def add_task(root: Path, **changes: object) -> Task:
    fields: dict[str, object] = {
        "checks": ["syntax", "cmd:grep -q 'a + b' sums.py"],
        "out": ["sums.py"],
        "chain": CHAIN,
        "root": root,
    }
    return Task("Write add(a, b).", **{**fields, **changes})  # type: ignore[arg-type]


def verdicts(outcome: Outcome, n: int) -> list[tuple[str, str]]:
    return [(v.validator.split(":")[0], v.result) for v in outcome.attempts[n - 1].verdicts]


async def test_a_passing_answer_is_verified_and_nothing_climbs(tmp_path: Path) -> None:
    root = project(tmp_path)
    async with ladder(tmp_path) as it:
        outcome = await it.rung.execute(add_task(root, checks=WITH_TESTS))
        assert outcome.status == "verified"
        assert outcome.files == {"sums.py": "def add(a, b):\n    return a + b\n"}
        assert (outcome.engine, outcome.tier) == ("small", "local_fast")
        assert verdicts(outcome, 1) == [("syntax", "pass"), ("tests", "pass")]
        assert it.big.chats == []
        assert outcome.cost_usd == 0.0
        assert outcome.saved_usd is not None
        assert outcome.saved_usd > 0
    assert not (root / "sums.py").exists()


async def test_a_failure_is_retried_with_the_evidence_and_then_climbs(tmp_path: Path) -> None:
    events: list[Event] = []
    async with ladder(tmp_path, small=[BROKEN, WRONG]) as it:
        task = add_task(project(tmp_path), checks=WITH_TESTS)
        outcome = await it.rung.execute(task, on_event=events.append)
        assert outcome.status == "verified"
        assert outcome.engine == "big"
        assert verdicts(outcome, 1) == [("syntax", "fail")]
        assert verdicts(outcome, 2) == [("syntax", "pass"), ("tests", "fail")]
        assert len(outcome.attempts) == 3
        retry = it.small.chats[1].body
        assert [m["role"] for m in retry["messages"]] == ["system", "user", "assistant", "user"]
        assert "sums.py:1" in retry["messages"][-1]["content"]
        assert retry["temperature"] > it.small.chats[0].body["temperature"]
        climbed = it.big.chats[0].body["messages"]
        assert [m["role"] for m in climbed] == ["system", "user"]
        assert "-1 == 5" in climbed[-1]["content"] or "assert" in climbed[-1]["content"]
        assert [e.to_model for e in events if isinstance(e, Climbed)] == [BIG]
        audit = await flushed_audit(it.rung)
        assert "climb" in audit


async def flushed_audit(rung: object) -> list[str]:
    await rung.ledger.flush(5)  # type: ignore[attr-defined]
    return [row.kind for row in await rung.ledger.audit()]  # type: ignore[attr-defined]


async def test_when_every_rung_fails_it_waits_for_a_person(tmp_path: Path) -> None:
    root = project(tmp_path)
    async with ladder(tmp_path, small=[WRONG], big=[WRONG]) as it:
        outcome = await it.rung.execute(add_task(root, at_end="review"))
        assert outcome.status == "needs_review"
        assert outcome.files["sums.py"].endswith("return a - b\n")
        assert outcome.review_id is not None
        [item] = await it.rung.reviews.list()
        assert item.outcome["status"] == "needs_review"
        assert item.outcome["attempts"][0]["verdicts"][1]["result"] == "fail"
        with pytest.raises(UsageError, match="only verified files"):
            await it.rung.apply(add_task(root), outcome)


async def test_when_every_rung_fails_it_may_be_skipped(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], big=[WRONG]) as it:
        outcome = await it.rung.execute(add_task(project(tmp_path), at_end="skip"))
        assert outcome.status == "skipped"
        assert await it.rung.reviews.list() == []


async def test_without_a_check_that_can_run_nothing_is_verified(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=["A poem."]) as it:
        task = Task("Write a poem about ladders.", chain=CHAIN, root=tmp_path, at_end="skip")
        outcome = await it.rung.execute(task)
        assert outcome.status == "unverified"
        assert outcome.answer == "A poem."
        assert len(outcome.attempts) == 1
        assert it.big.chats == []


@pytest.mark.parametrize("reply", [html(), failure(500, "boom"), failure(200, {"error": "no"})])
async def test_a_lying_engine_is_left_for_the_next_rung(tmp_path: Path, reply: Reply) -> None:
    async with ladder(tmp_path, small=[reply]) as it:
        outcome = await it.rung.execute(add_task(project(tmp_path)))
        assert outcome.status == "verified"
        assert outcome.engine == "big"
        assert outcome.attempts[0].error
        assert outcome.attempts[0].verdicts == ()


async def test_an_answer_to_a_part_of_the_prompt_is_no_answer(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "big.py").write_text("x = 1\n" * 160_000)
    cut = answer(GOOD, usage={"prompt_tokens": 4096, "completion_tokens": 20})
    async with ladder(tmp_path, small=[cut]) as it:
        outcome = await it.rung.execute(add_task(root, files=["big.py"], budget_usd=100.0))
        first, second = outcome.attempts
        assert "context_overflow" in str(first.error)
        assert (first.verdicts, second.engine, outcome.status) == ((), "big", "verified")


async def test_when_no_engine_answers_the_task_failed(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[failure(500, "x")], big=[failure(500, "x")]) as it:
        outcome = await it.rung.execute(add_task(project(tmp_path)))
        assert outcome.status == "failed"
        assert outcome.answer == ""


async def test_a_paid_rung_needs_leave(tmp_path: Path) -> None:
    asked: list[PaidRung] = []

    async def refuse(question: PaidRung) -> bool:
        asked.append(question)
        return False

    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await it.rung.execute(add_task(project(tmp_path)), approve=refuse)
        assert outcome.status == "skipped"
        assert it.big.chats == []
        assert asked[0].model == BIG
        assert "over_budget" in (outcome.attempts[-1].error or "")
        assert "paid_refused" in await flushed_audit(it.rung)


async def test_a_budget_is_never_overrun(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG]) as it:
        outcome = await it.rung.execute(add_task(project(tmp_path), budget_usd=0.0))
        assert outcome.status == "skipped"
        assert it.big.chats == []
        assert outcome.cost_usd == 0.0


async def test_the_repair_turn_of_an_object_must_fit_the_budget_too(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    usage = {"prompt_tokens": 300, "completion_tokens": 1000, "total_tokens": 1300}
    async with ladder(tmp_path, big=[answer('{"n": "x"}', usage=usage)]) as it:
        task = Task("n?", schema=schema, chain=[BIG], root=tmp_path, budget_usd=0.002)
        outcome = await it.rung.execute(task)
        assert len(it.big.chats) == 1
        assert outcome.status == "skipped"
        assert "over_budget" in (outcome.attempts[0].error or "")
        assert outcome.cost_usd == pytest.approx(1300 / 1e6)


async def test_what_was_paid_is_counted(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
    async with ladder(tmp_path, small=[WRONG], big=[answer(GOOD, usage=usage)]) as it:
        outcome = await it.rung.execute(add_task(project(tmp_path)))
        assert outcome.status == "verified"
        assert outcome.cost_usd == pytest.approx(1500 / 1e6)
        assert outcome.saved_usd is None


async def test_local_only_keeps_everything_off_the_cloud(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG]) as it:
        with pytest.raises(UsageError, match="local_only"):
            await it.rung.execute(add_task(project(tmp_path), local_only=True))
        task = add_task(project(tmp_path / "b"), local_only=True, chain=["local_fast", "haiku"])
        outcome = await it.rung.execute(task)
        assert outcome.status == "skipped"
        assert it.big.calls == []


async def test_the_ledger_holds_calls_attempts_and_the_task(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[BROKEN, failure(503, "busy")]) as it:
        outcome = await it.rung.execute(add_task(project(tmp_path)))
        await it.rung.ledger.flush(5)
        calls = await it.rung.ledger.calls()
        assert sorted((c.engine, c.status) for c in calls) == [
            ("big", "ok"),
            ("small", "error"),
            ("small", "ok"),
        ]
        assert {c.task_id for c in calls} == {outcome.task_id}
        attempts = await it.rung.ledger.attempts(outcome.task_id)
        assert [a.n for a in attempts] == [1, 2, 3]
        assert attempts[0].verdicts[0]["result"] == "fail"
        [task] = await it.rung.ledger.tasks()
        assert (task.outcome, task.attempts, task.escalations) == ("verified", 3, 1)


async def test_without_a_ledger_the_work_goes_on(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], big=[WRONG], ledger="off") as it:
        outcome = await it.rung.execute(add_task(project(tmp_path), at_end="review"))
        assert outcome.status == "needs_review"
        assert outcome.review_id is None
        assert "not in the review queue" in outcome.reason


async def test_a_cancelled_task_stops_the_model_and_is_on_record(tmp_path: Path) -> None:
    slow = answer(GOOD, stall_after=2)
    async with ladder(tmp_path, small=[slow]) as it:
        work = asyncio.create_task(it.rung.execute(add_task(project(tmp_path))))
        async with asyncio.timeout(20):
            while not it.small.chats:
                await asyncio.sleep(0.01)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        async with asyncio.timeout(5):
            await it.small.chats[0].is_over.wait()
        await it.rung.ledger.flush(5)
        [task] = await it.rung.ledger.tasks()
        assert task.outcome == "cancelled"
        [call] = await it.rung.ledger.calls()
        assert (call.status, call.error_kind) == ("error", "cancelled")


async def test_verified_files_are_written_only_on_request(tmp_path: Path) -> None:
    root = project(tmp_path)
    async with ladder(tmp_path) as it:
        task = add_task(root)
        outcome = await it.rung.execute(task)
        assert await it.rung.apply(task, outcome) == ["sums.py"]
        assert (root / "sums.py").read_text() == "def add(a, b):\n    return a + b\n"


async def test_nobodys_later_work_is_overwritten(tmp_path: Path) -> None:
    root = project(tmp_path)
    async with ladder(tmp_path) as it:
        task = add_task(root)
        outcome = await it.rung.execute(task)
        (root / "sums.py").write_text("mine\n")
        with pytest.raises(UsageError, match="changed while the task ran"):
            await it.rung.apply(task, outcome)
        assert (root / "sums.py").read_text() == "mine\n"


async def test_an_approved_review_can_be_written(tmp_path: Path) -> None:
    root = project(tmp_path)
    async with ladder(tmp_path, small=[WRONG], big=[WRONG]) as it:
        outcome = await it.rung.execute(add_task(root, at_end="review"))
        assert outcome.review_id is not None
        item, written = await it.rung.reviews.decide(
            outcome.review_id, "approved", "fine", apply=True
        )
        assert (item.state, item.note, written) == ("approved", "fine", ["sums.py"])
        assert (root / "sums.py").exists()
        assert "review_approved" in await flushed_audit(it.rung)


async def test_edits_are_applied_to_the_given_files(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "sums.py").write_text("def add(a, b):\n    return a - b\n")
    edit = (
        '{"answer": "fixed", "edits": [{"path": "sums.py", "find": "a - b", "replace": "a + b"}]}'
    )
    async with ladder(tmp_path, small=[edit]) as it:
        outcome = await it.rung.execute(add_task(root, out=[], files=["sums.py"]))
        assert outcome.status == "verified"
        assert outcome.files == {"sums.py": "def add(a, b):\n    return a + b\n"}
        sent = it.small.chats[0].body
        assert "return a - b" in sent["messages"][-1]["content"]
        assert sent["response_format"]["type"] == "json_schema"


async def test_a_schema_is_checked_against_the_original(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"age": {"$ref": "#/$defs/age"}},
        "required": ["age"],
        "$defs": {"age": {"type": "integer", "minimum": 0}},
    }
    async with ladder(tmp_path, small=['{"age": -1}', '{"age": 36}']) as it:
        task = Task("How old is Ada?", schema=schema, chain=CHAIN, root=tmp_path, type="quick_edit")
        outcome = await it.rung.execute(task)
        assert outcome.status == "verified"
        assert outcome.object == {"age": 36}
        assert "repair_turn" in outcome.attempts[0].repairs
        assert "$ref" not in str(it.small.chats[0].body["response_format"])


async def test_critical_work_is_always_reviewed(tmp_path: Path) -> None:
    async with ladder(tmp_path) as it:
        outcome = await it.rung.execute(add_task(project(tmp_path), type="critical"))
        assert outcome.status == "needs_review"
        assert "always reviewed" in outcome.reason


async def test_critical_work_has_no_weak_stand_in(tmp_path: Path) -> None:
    async with ladder(tmp_path) as it:
        outcome = await it.rung.execute(add_task(project(tmp_path), type="critical", chain=None))
        assert outcome.status == "needs_review"
        assert outcome.attempts == ()
        assert it.small.chats == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checks": ["tests:missing"]}, "missing"),
        ({"checks": ["sintax"]}, "syntax"),
        ({"files": ["nowhere.py"]}, "nowhere.py"),
        ({"out": ["../escape.py"]}, "escape.py"),
        ({"out": ["/etc/passwd"]}, "absolute"),
        ({"chain": ["small/tiny-1c"]}, "tiny-1b"),
        ({"schema": {"type": "strin"}}, "strin"),
        ({"out": ["tests"]}, "is a folder"),
        ({"out": ["tests/conftest.py/x.py"]}, "conftest.py"),
        ({"checks": "syntax"}, "checks"),
        ({"type": "bogus"}, "bogus"),
        ({"budget_usd": -1.0}, "budget_usd"),
        ({"budget_usd": float("nan")}, "budget_usd"),
    ],
)
async def test_a_wrong_task_is_an_error_before_any_model_is_asked(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    async with ladder(tmp_path) as it:
        with pytest.raises(UsageError, match=words):
            await it.rung.execute(add_task(project(tmp_path), **changes))
        assert it.small.chats == []


async def test_the_time_limit_of_a_task_holds(tmp_path: Path) -> None:
    slow = answer(GOOD, stall_after=2)
    limits = EscalationSettings(paid="allow", task_timeout_s=1.0)
    async with ladder(tmp_path, small=[slow], escalation=limits) as it:
        async with asyncio.timeout(20):
            outcome = await it.rung.execute(add_task(project(tmp_path)))
        assert outcome.status in ("skipped", "failed")
        assert "time was over" in outcome.reason


async def test_another_model_judges_by_criteria(tmp_path: Path) -> None:
    said = judgement("return a + b", passed=True, confidence=0.9)
    async with ladder(tmp_path, big=[said]) as it:
        task = add_task(project(tmp_path), checks=["syntax", "semantic:It adds."])
        outcome = await it.rung.execute(task)
        assert outcome.status == "verified"
        verdict = outcome.attempts[0].verdicts[1]
        assert (verdict.result, verdict.confidence) == ("pass", 0.9)
        assert "return a + b" in verdict.evidence
        assert outcome.attempts[0].checker == BIG
        calls = await it.rung.ledger.calls()
        assert {(c.engine, c.args_json["purpose"]) for c in calls} == {
            ("small", "worker"),
            ("big", "checker"),
        }


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (judgement("return a + b", passed=True, confidence=0.4), "fail"),
        (judgement("return a + b", passed=False, confidence=0.9), "fail"),
        (judgement("return a + b", passed=True, confidence=0.9), "unavailable"),
        ("no idea", "unavailable"),
    ],
)
async def test_a_model_that_judges_itself_may_find_fault_and_shows_nothing_by_agreeing(
    tmp_path: Path, said: str, result: str
) -> None:
    def small(call: Call) -> str:
        asked = [m["content"] for m in call.body["messages"] if m["role"] == "user"]
        return said if any("You judge" in text for text in asked) else GOOD

    async with ladder(tmp_path, small=small) as it:
        task = add_task(project(tmp_path), checks=["semantic:It adds."], chain=[SMALL])
        outcome = await it.rung.execute(task)
        assert outcome.status == ("unverified" if result == "unavailable" else "skipped")
        assert outcome.attempts[0].verdicts[0].result == result


async def test_a_rung_whose_engine_is_down_is_climbed_over(tmp_path: Path) -> None:
    async with ladder(tmp_path) as it:
        await it.small.stop()
        outcome = await it.rung.execute(add_task(project(tmp_path)))
        assert outcome.status == "verified"
        assert [(a.engine, bool(a.error)) for a in outcome.attempts] == [
            ("small", True),
            ("big", False),
        ]


async def test_what_was_begun_at_the_deadline_is_on_record_and_paid_for(tmp_path: Path) -> None:
    slow = answer(GOOD, stall_after=2)
    limits = EscalationSettings(paid="allow", task_timeout_s=1.0)
    async with ladder(tmp_path, big=[slow], escalation=limits) as it:
        outcome = await it.rung.execute(add_task(project(tmp_path), chain=[BIG]))
        assert "timeout" in (outcome.attempts[0].error or "")
        assert outcome.cost_usd is None
        [row] = await it.rung.ledger.attempts(outcome.task_id)
        assert row.error == outcome.attempts[0].error


async def test_critical_work_is_reviewed_whatever_the_caller_would_rather(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], big=[WRONG]) as it:
        task = add_task(project(tmp_path), type="critical", at_end="skip")
        assert (await it.rung.execute(task)).status == "needs_review"


async def test_line_ends_stay_what_they_are(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "sums.py").write_bytes(b"def add(a, b):\r\n    return a - b\r\n")
    edit = {"path": "sums.py", "find": "b):\n    return a - b", "replace": "b):\n    return a + b"}
    reply = json.dumps({"answer": "", "edits": [edit]})
    async with ladder(tmp_path, small=[reply]) as it:
        task = add_task(root, out=[], files=["sums.py"])
        outcome = await it.rung.execute(task)
        assert outcome.status == "verified"
        await it.rung.apply(task, outcome)
    assert (root / "sums.py").read_bytes() == b"def add(a, b):\r\n    return a + b\r\n"


async def test_a_poem_is_not_verified_by_the_projects_tests(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "sums.py").write_text("def add(a, b):\n    return a + b\n")
    async with ladder(tmp_path, small=["Roses are blue"]) as it:
        outcome = await it.rung.execute(add_task(root, checks=[], out=["poem.txt"], at_end="skip"))
        assert outcome.status == "unverified"


async def test_a_link_is_written_through_not_replaced(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "real.py").write_text("x = 1\n")
    (root / "sums.py").symlink_to("real.py")
    async with ladder(tmp_path) as it:
        task = add_task(root)
        outcome = await it.rung.execute(task)
        await it.rung.apply(task, outcome)
    assert (root / "sums.py").is_symlink()
    assert "a + b" in (root / "real.py").read_text()


async def test_all_files_are_written_or_none(tmp_path: Path) -> None:
    files = '{"files": [{"path": "a.py", "content": "a"}, {"path": "b/c.py", "content": "b"}]}'
    root = project(tmp_path)
    async with ladder(tmp_path, small=[files]) as it:
        task = add_task(root, checks=["cmd:true"], out=["a.py", "b/c.py"])
        outcome = await it.rung.execute(task)
        (root / "b").write_text("in the way")
        with pytest.raises(UsageError, match="b"):
            await it.rung.apply(task, outcome)
    assert not (root / "a.py").exists()


async def test_a_worst_case_is_never_below_the_bill_in_any_script(tmp_path: Path) -> None:
    async with ladder(tmp_path, price=100.0) as it:
        task = Task("字" * 6000, chain=[BIG], root=tmp_path, budget_usd=0.5)
        outcome = await it.rung.execute(task)
        assert it.big.chats == []
        assert "over_budget" in (outcome.attempts[0].error or "")


async def test_with_a_seed_every_attempt_has_its_own(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG]) as it:
        await it.rung.execute(add_task(project(tmp_path), seed=40, chain=[SMALL]))
        assert [call.body["seed"] for call in it.small.chats] == [41, 42]


async def test_an_answer_that_changes_nothing_is_not_verified_by_tests(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "sums.py").write_text("def add(a, b):\n    return a + b\n")
    idle = '{"answer": "I changed nothing", "edits": []}'
    async with ladder(tmp_path, small=[idle]) as it:
        task = add_task(root, out=[], files=["sums.py"], checks=["cmd:true"], at_end="skip")
        outcome = await it.rung.execute(task)
        assert outcome.status == "unverified"
        assert "changes no file" in outcome.reason


async def test_an_answer_that_leaves_failing_tests_as_they_are_fails_and_climbs(
    tmp_path: Path,
) -> None:
    root = project(tmp_path)
    (root / "sums.py").write_text("def add(a, b):\n    return a - b\n")
    idle = '{"answer": "Done.", "edits": []}'
    right = {"path": "sums.py", "find": "a - b", "replace": "a + b"}
    edited = json.dumps({"answer": "Done.", "edits": [right]})
    async with ladder(tmp_path, small=[idle], big=[edited], paid="allow") as it:
        check = "cmd:python3 -c 'from sums import add; assert add(1, 2) == 3'"
        task = add_task(root, out=[], files=["sums.py"], checks=[check])
        outcome = await it.rung.execute(task)
        assert outcome.status == "verified", outcome.reason
        [first, *_] = outcome.attempts
        assert "changes no file" in first.verdicts[-1].evidence


async def test_one_check_cannot_prepare_the_next(tmp_path: Path) -> None:
    """Code that runs for the first check leaves nothing that the second one finds."""
    async with ladder(tmp_path) as it:
        checks = ["cmd:touch forged", "cmd:test ! -e forged"]
        outcome = await it.rung.execute(add_task(project(tmp_path), checks=checks))
        assert outcome.status == "verified"


async def test_a_task_that_breaks_is_on_record(tmp_path: Path) -> None:
    async def broken(_: PaidRung) -> bool:
        raise RuntimeError("the terminal is gone")

    async with ladder(tmp_path, paid="ask") as it:
        with pytest.raises(RuntimeError, match="terminal"):
            await it.rung.execute(add_task(project(tmp_path), chain=[BIG]), approve=broken)
        [task] = await it.rung.ledger.tasks()
        assert task.outcome == "failed"


async def test_a_file_cannot_be_a_folder_too(tmp_path: Path) -> None:
    async with ladder(tmp_path) as it:
        with pytest.raises(UsageError, match="file and a folder"):
            await it.rung.execute(add_task(project(tmp_path), out=["x", "x/y"]))


async def test_work_too_large_for_the_checker_is_not_judged_by_its_beginning(
    tmp_path: Path,
) -> None:
    long = "```python\n" + "x = 1\n" * 5_000 + "```"
    async with ladder(tmp_path, small=[long]) as it:
        task = add_task(project(tmp_path), checks=["semantic:It is right."], at_end="skip")
        outcome = await it.rung.execute(task)
        assert outcome.status == "unverified"
        assert len(it.small.chats) == 1


async def test_only_the_tasks_own_time_is_called_a_deadline(tmp_path: Path) -> None:
    class Away(ChainOrders):
        async def of(self, plan: Plan) -> Order:
            raise TimeoutError("a network drive did not answer")

    async with ladder(tmp_path) as it:
        executor = it.rung._executor
        executor._orders = Away()
        with pytest.raises(TimeoutError, match="network drive"):
            await executor.execute(add_task(project(tmp_path)))


async def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    root = project(tmp_path)
    os.mkfifo(root / "pipe.py")
    async with ladder(tmp_path) as it:
        with pytest.raises(UsageError, match=r"pipe\.py is no plain file"):
            await it.rung.execute(add_task(root, files=["pipe.py"]))


@pytest.mark.parametrize(
    ("limits", "kind"), [({"paid": "deny"}, "paid_refused"), ({"budget_usd": 0.0}, "budget_stop")]
)
async def test_every_refusal_is_on_record(
    tmp_path: Path, limits: dict[str, Any], kind: str
) -> None:
    async with ladder(tmp_path, small=[WRONG], paid=limits.pop("paid", "allow")) as it:
        await it.rung.execute(add_task(project(tmp_path), **limits))
        assert kind in await flushed_audit(it.rung)


@pytest.mark.parametrize("names", [{"files": ["big.py"]}, {"out": ["big.py"]}])
async def test_a_huge_file_is_refused_before_it_is_read(
    tmp_path: Path, names: dict[str, Any]
) -> None:
    root = project(tmp_path)
    with (root / "big.py").open("wb") as file:
        file.truncate(1 << 40)
    async with ladder(tmp_path) as it:
        with pytest.raises(UsageError, match=r"big\.py has more than 2,000,000 bytes"):
            await it.rung.execute(add_task(root, **names))
