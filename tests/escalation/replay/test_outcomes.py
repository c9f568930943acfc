"""Outcomes are read as they are, or refused with what to mend."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from rung.errors import UsageError
from rung.escalation.learning.history import History
from rung.escalation.replay.outcomes import read_outcomes
from rung.escalation.replay.recorded import recorded_world
from rung.ledger.rows import AttemptRow, AuditRow, LabelRow

GOOD = "task,model,passed,cost_usd\na,big,true,0.2\na,small,0,0.1\nb,big,ok,0.2\nb,small,1,0.1\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "outcomes.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("is_gzipped", [False, True])
def test_a_file_becomes_a_world_cheapest_model_first(tmp_path: Path, is_gzipped: bool) -> None:
    path = write(tmp_path, GOOD)
    if is_gzipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    world = read_outcomes(path)
    assert world.models == ("small", "big")
    assert world.is_right == ((False, True), (True, True))
    assert world.is_accepted == world.is_right


def test_columns_may_have_other_names_and_checks_a_verdict(tmp_path: Path) -> None:
    path = write(tmp_path, "task,model,truth,check,cost_usd\na,m,fail:x,ok,1\nb,m,,ok,1\n")
    world = read_outcomes(path, {"passed": "truth", "accepted": "check"})
    assert (world.is_right, world.is_accepted) == (((False,),), ((True,),))
    assert world.tasks == ("a",)


def test_a_spreadsheets_file_is_read_whatever_the_order_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_bytes("\ufeffcost_usd,passed,model,task\r\n0.1,Correct,größer,a\r\n".encode())
    world = read_outcomes(path)
    assert (world.models, world.is_right) == (("größer",), ((True,),))


@pytest.mark.parametrize("unknown", ["", "nan", "NaN", "None", "null"])
def test_an_outcome_without_a_verdict_or_a_cost_is_none(tmp_path: Path, unknown: str) -> None:
    """An unknown price is never zero, and an unknown verdict never a failure."""
    rows = f"c,big,{unknown},0.2\nc,small,1,0.1\nd,big,1,{unknown}\nd,small,1,0.1\n"
    world = read_outcomes(write(tmp_path, GOOD + rows))
    assert (world.tasks, world.left_out) == (("a", "b"), 2)


def test_tasks_that_a_model_lacks_are_left_out_and_counted(tmp_path: Path) -> None:
    world = read_outcomes(write(tmp_path, GOOD + "c,big,1,0.2\n"))
    assert (world.tasks, world.left_out) == (("a", "b"), 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("task,model,cost_usd\na,m,1\n", "no column 'passed'.*--columns"),
        (GOOD + "c,big,1,dear\n", "outcomes.csv:6: cost_usd must be USD"),
        (GOOD + "c,big,1,-1\n", "outcomes.csv:6: cost_usd"),
        (GOOD + "a,big,1,1\n", "two outcomes of 'big'"),
        (GOOD + ",big,1,1\n", "must not be empty"),
        (GOOD + "c,big,0.8,1\n", "outcomes.csv:6: passed is '0.8'; say 1 or 0"),
        (GOOD + "c,big,maybe,1\n", "passed is 'maybe'"),
        (GOOD + "c,big,1,inf\n", "outcomes.csv:6: cost_usd"),
        (GOOD + f"{'c' * 200_000},big,1,1\n", "no CSV: field larger"),
        (f"{'c' * 200_000}," + GOOD, "no CSV: field larger"),
        ("task,model,passed,cost_usd\na,x,1,1\nb,y,1,1\n", "no task has an outcome of each"),
        ("task,model,passed,cost_usd\n", "no task has an outcome"),
        ("", "no header"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_outcomes(write(tmp_path, text))


def test_a_missing_file_and_a_broken_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_outcomes(tmp_path / "none.csv")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(GOOD.encode())[:-9])
    with pytest.raises(UsageError, match="cannot be read"):
        read_outcomes(tmp_path / "cut.gz")
    damaged = bytearray(gzip.compress(GOOD.encode() * 9))
    damaged[12] ^= 0xFF
    (tmp_path / "bad.gz").write_bytes(damaged)
    with pytest.raises(UsageError, match="cannot be read"):
        read_outcomes(tmp_path / "bad.gz")
    with pytest.raises(UsageError, match=r"unknown column 'pased'.*passed"):
        read_outcomes(write(tmp_path, GOOD), {"pased": "x"})


def attempt(task: str, model: str, result: str, **changes: object) -> AttemptRow:
    fields: dict[str, object] = {"task_type": "standard", "cost_usd": 0.1, "n": 1, **changes}
    return AttemptRow(task_id=task, model=model, engine="e", result=result, **fields)  # type: ignore[arg-type]


def test_the_ledger_gives_the_tasks_that_climbed_or_were_shadowed() -> None:
    climbed = [
        row
        for at in range(8)
        for row in (attempt(f"t{at}", "a", "failed"), attempt(f"t{at}", "b", "passed", n=2))
    ]
    shadowed = [
        row
        for at in range(4)
        for row in (attempt(f"p{at}", "a", "passed"), attempt(f"s{at}", "b", "failed"))
    ]
    shadows = [
        AuditRow(kind="shadow", task_id=f"p{at}", details={"shadow_task": f"s{at}"})
        for at in range(4)
    ]
    wrong = LabelRow(task_id="p0", attempt=1, source="person", verdict="wrong")
    history = History([*climbed, *shadowed], {("p0", 1): wrong})
    world = recorded_world(history, shadows)
    assert len(world.tasks) == 12
    right = dict(zip(world.tasks, world.is_right[world.models.index("e/a")], strict=True))
    assert (right["p0"], right["p1"], right["t0"]) == (False, True, False)
    with pytest.raises(UsageError, match="shadow_rate"):
        recorded_world(History(climbed[:4]), [])
