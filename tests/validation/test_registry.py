"""Specs, the order of checks, and validators that break."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rung.config.settings import SandboxSettings
from rung.errors import UsageError
from rung.validation import (
    Candidate,
    Check,
    CheckContext,
    Verdict,
    check_arguments,
    known_validators,
    parse_check,
    registry,
    run_checks,
    running,
    validator,
)
from tests.validation.conftest import Project

ANSWER = Candidate(text="hello", files={})


@pytest.mark.parametrize(
    ("spec", "kind", "argument"),
    [
        ("syntax", "syntax", ""),
        ("syntax:python", "syntax", "python"),
        ("compile", "compile", ""),
        ("tests:tests/test_a.py", "tests", "tests/test_a.py"),
        ("cmd:make test: all", "cmd", "make test: all"),
        ("schema:a.json", "schema", "a.json"),
        ("semantic:is it: right?", "semantic", "is it: right?"),
        ("bench:python a.py<=1.5", "bench", "python a.py<=1.5"),
    ],
)
def test_a_spec_is_a_kind_and_what_follows_the_first_colon(
    spec: str, kind: str, argument: str
) -> None:
    check = parse_check(spec)
    assert (check.kind, check.argument) == (kind, argument)
    assert check.spec == spec


def test_an_unknown_check_names_the_nearest_and_all_forms() -> None:
    with pytest.raises(UsageError) as error:
        parse_check("sintax:python")
    assert "'syntax'" in str(error.value)
    for known in known_validators():
        assert known.form in str(error.value)


@pytest.mark.parametrize("spec", ["", ":", "tests:", "cmd: ", "py test"])
def test_half_a_spec_is_refused(spec: str) -> None:
    with pytest.raises(UsageError):
        parse_check(spec)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("tests", "needs a path"),
        ("tests:tests/nowhere.py", "there is no"),
        ("tests:../outside", "unsafe path"),
        ("tests:/etc/passwd", "unsafe path"),
        ("tests:link/secret.py", "leads out"),
        ("tests:notes.txt", "ends in .py"),
        ("schema", "needs a file"),
        ("schema:nowhere.json", "No such file"),
        ("schema:../outside/secret.py", "unsafe path"),
        ("schema:notes.txt", "not JSON"),
        ("schema:wrong.json", "not a JSON Schema"),
        ('schema:{"type": "objekt"}', "not a JSON Schema"),
        ('schema:{"$ref": "http://127.0.0.1:9/schema"}', "not a JSON Schema"),
        ("syntax:klingon", "known are python"),
        ("compile:klingon", "known are python"),
        ("cmd", "needs a command"),
        ("semantic", "needs criteria"),
        ("bench:python a.py", "COMMAND<=SECONDS"),
        ("bench:python a.py<=soon", "COMMAND<=SECONDS"),
        ("bench:python a.py<=-1", "COMMAND<=SECONDS"),
        ("bench:python a.py<=nan", "COMMAND<=SECONDS"),
        ("bench:<=1", "COMMAND<=SECONDS"),
    ],
)
def test_a_check_that_cannot_work_is_refused_before_any_model_is_called(
    project: Project, spec: str, said: str
) -> None:
    outside = project.base.parent / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("")
    (project.base / "link").symlink_to(outside)
    project.add("notes.txt", "not a test")
    project.add("wrong.json", '{"type": 7}')
    with pytest.raises(UsageError, match=said):
        check_arguments(parse_check(spec), project.base)


def test_a_check_that_can_work_is_accepted(project: Project) -> None:
    project.add("tests/test_a.py", "")
    project.add("a.json", '{"type": "object"}')
    for spec in ("tests:tests/", "tests:tests/test_a.py", "schema:a.json", "bench:true<=2s"):
        check_arguments(parse_check(spec), project.base)


def test_every_validator_tells_what_it_does() -> None:
    for known in known_validators():
        assert known.form.partition(":")[0].partition("[")[0] in (known.validate.__doc__ or "")


def accept_any(_argument: str, _base: Path) -> None:
    return


@pytest.fixture
def trace() -> Iterator[list[str]]:
    """Validators of the tests' own, and the order in which they ran."""
    ran: list[str] = []
    known_validators()
    before = dict(registry._validators)

    @validator("late", form="late", rank=90, check_argument=accept_any)
    async def late(_candidate: Candidate, _context: CheckContext, _argument: str) -> Verdict:
        ran.append("late")
        return Verdict(validator="late", result="pass")

    @validator("early", form="early", rank=1, check_argument=accept_any)
    async def early(_candidate: Candidate, _context: CheckContext, argument: str) -> Verdict:
        ran.append("early")
        return Verdict(validator="early", result="fail" if argument else "pass")

    @validator("broken", form="broken", rank=2, check_argument=accept_any)
    async def broken(_candidate: Candidate, _context: CheckContext, _argument: str) -> Verdict:
        ran.append("broken")
        raise RuntimeError("\x1b[31mno\x00 luck")

    @validator("hanging", form="hanging", rank=3, check_argument=accept_any)
    async def hanging(_candidate: Candidate, _context: CheckContext, _argument: str) -> Verdict:
        await asyncio.Event().wait()
        raise AssertionError

    yield ran
    registry._validators.clear()
    registry._validators.update(before)


async def test_the_cheapest_check_runs_first(trace: list[str], project: Project) -> None:
    await run_checks([Check(kind="late"), Check(kind="early")], ANSWER, project.context)
    assert trace == ["early", "late"]


async def test_checks_after_a_failure_do_not_run(trace: list[str], project: Project) -> None:
    checks = [Check(kind="late"), Check(kind="early", argument="x")]
    verdicts = await run_checks(checks, ANSWER, project.context)
    assert trace == ["early"]
    assert [(v.validator, v.result) for v in verdicts] == [("early:x", "fail")]


async def test_a_crashed_validator_is_not_a_pass(trace: list[str], project: Project) -> None:
    [verdict] = await run_checks([Check(kind="broken")], ANSWER, project.context)
    assert verdict.result == "error"
    assert verdict.evidence == "the validator broke: RuntimeError: no luck"


async def test_a_hanging_validator_is_not_a_pass(
    trace: list[str], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_SLACK_S", 0.1)
    project.sandbox = SandboxSettings(timeout_s=0.1)
    [verdict] = await run_checks([Check(kind="hanging")], ANSWER, project.context)
    assert verdict.result == "error"
    assert "took more than 0.2 s" in verdict.evidence
    assert verdict.seconds > 0


async def test_without_a_sandbox_code_is_not_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rung.validation.sandbox import SandboxStatus, runner

    nothing = SandboxStatus(active=None, reasons=("bubblewrap: no", "landlock: no"))
    monkeypatch.setitem(runner._probed, "auto", (nothing, float("inf")))
    verdict = await project.check("cmd:touch ran", {})
    assert verdict.result == "unavailable"
    assert "bubblewrap: no; landlock: no" in verdict.evidence
    assert "Install bubblewrap" in verdict.evidence
    assert not (project.scratch / "ran").exists()
