"""`schema`, `cmd`, `semantic` and `bench`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from rung.config.settings import SandboxSettings
from rung.validation import Candidate, CheckContext, Judgement, parse_check, run_checks
from tests.validation.conftest import Project

SCHEMA = {
    "type": "object",
    "properties": {
        "when": {"type": "string", "format": "date"},
        "a/b": {"type": "array", "items": {"$ref": "#/$defs/count"}},
    },
    "required": ["when"],
    "additionalProperties": False,
    "$defs": {"count": {"type": "integer", "minimum": 1}},
}


async def check_object(project: Project, instance: Any) -> tuple[str, str]:
    project.add("schema.json", json.dumps(SCHEMA))
    candidate = Candidate(text="", files={}, object=instance)
    [verdict] = await run_checks([parse_check("schema:schema.json")], candidate, project.context)
    return verdict.result, verdict.evidence


async def test_a_valid_object_passes(project: Project) -> None:
    assert (await check_object(project, {"when": "2026-01-31", "a/b": [1]}))[0] == "pass"


async def test_every_error_is_shown_with_its_pointer(project: Project) -> None:
    result, evidence = await check_object(project, {"when": "31 January", "a/b": [1, 0], "x": 1})
    assert result == "fail"
    assert '/when: "31 January" is not a "date"' in evidence
    assert "/a~1b/1: 0 is less than the minimum" in evidence
    assert "/: Additional properties" in evidence


async def test_an_answer_in_text_is_parsed_first(project: Project) -> None:
    project.add("schema.json", json.dumps(SCHEMA))
    check = "schema:schema.json"
    assert (await project.check_text(check, '{"when": "2026-01-31"}')).result == "pass"
    assert (await project.check_text(check, '{"when": 1}')).result == "fail"
    for text in ("", "Sure! {}", "{", "null", "\ud800", "[" * 100_000):
        assert (await project.check_text(check, text)).result == "fail", text[:20]


@pytest.mark.parametrize("text", ["{'when': '2026-01-31'}", '{"when": "2026-01-31", "a/b": null}'])
async def test_what_would_have_to_be_mended_is_not_valid(project: Project, text: str) -> None:
    project.add("schema.json", json.dumps(SCHEMA))
    candidate = Candidate(text=text, files={}, object=None)
    [verdict] = await run_checks([parse_check("schema:schema.json")], candidate, project.context)
    assert verdict.result == "fail"
    assert "mending" in verdict.evidence


async def test_an_object_nested_without_end_fails(project: Project) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert (await check_object(project, deep))[0] == "fail"


async def test_many_errors_stay_short(project: Project) -> None:
    result, evidence = await check_object(project, {"when": "x", "a/b": ["y" * 500] * 10_000})
    assert result == "fail"
    assert len(evidence) <= 4000


async def test_a_command_sees_the_candidates_files(project: Project) -> None:
    project.add("base.txt", "base")
    verdict = await project.check("cmd:cat base.txt new.txt", {"new.txt": "new"})
    assert verdict.result == "pass"
    assert "basenew" in verdict.evidence


async def test_a_command_that_fails_shows_its_last_words(project: Project) -> None:
    verdict = await project.check("cmd:seq 9999; echo why >&2; exit 3", {})
    assert verdict.result == "fail"
    assert verdict.evidence.startswith("exit status 3")
    assert verdict.evidence.endswith("why")
    assert len(verdict.evidence) < 4000


async def test_python_is_there_for_commands(project: Project) -> None:
    verdict = await project.check("cmd:python -c 'import solution'", {"src/solution.py": ""})
    assert verdict.result == "pass", verdict.evidence


async def test_a_command_that_hangs_fails_at_the_time_limit(project: Project) -> None:
    project.sandbox = SandboxSettings(timeout_s=0.5)
    verdict = await project.check("cmd:sleep 60", {})
    assert verdict.result == "fail"
    assert "did not finish within 0.5 s" in verdict.evidence


async def test_a_command_cannot_change_the_users_project(project: Project) -> None:
    project.add("precious.txt", "precious")
    await project.check(f"cmd:rm -rf {project.base} precious.txt; true", {})
    assert (project.base / "precious.txt").read_text() == "precious"


async def test_output_that_is_not_text_gets_a_verdict(project: Project) -> None:
    script = "head -c 100000 /dev/urandom; printf '\\000\\033[2J'"
    verdict = await project.check(f"cmd:{script}", {})
    assert verdict.result == "pass"
    assert "\x1b" not in verdict.evidence
    assert "\x00" not in verdict.evidence


@pytest.mark.parametrize(
    ("passed", "confidence", "result"),
    [(True, 0.8, "pass"), (True, 0.79, "fail"), (False, 1.0, "fail"), (True, float("nan"), "fail")],
)
async def test_the_checker_must_agree_and_be_sure(
    project: Project, passed: bool, confidence: float, result: str
) -> None:
    asked: list[str] = []

    async def judge(criteria: Sequence[str], candidate: Candidate) -> Judgement:
        asked.append(f"{'+'.join(criteria)}: {candidate.text}")
        return Judgement(passed=passed, confidence=confidence, evidence="because")

    context = CheckContext(
        base=project.base, scratch=project.scratch, sandbox=project.sandbox, judge=judge
    )
    candidate = Candidate(text="hello", files={})
    [verdict] = await run_checks([parse_check("semantic:is polite; is short")], candidate, context)
    assert verdict.result == result
    assert "because" in verdict.evidence
    assert 0 <= verdict.confidence <= 1
    assert asked == ["is polite+is short: hello"]


@pytest.mark.parametrize(("passed", "result"), [(True, "unavailable"), (False, "fail")])
async def test_a_worker_that_judges_itself_can_only_find_fault(
    project: Project, passed: bool, result: str
) -> None:
    async def judge(_criteria: Sequence[str], _candidate: Candidate) -> Judgement:
        return Judgement(passed=passed, confidence=1.0, evidence="because", is_own_work=True)

    context = CheckContext(
        base=project.base, scratch=project.scratch, sandbox=project.sandbox, judge=judge
    )
    candidate = Candidate(text="hello", files={})
    [verdict] = await run_checks([parse_check("semantic:is polite")], candidate, context)
    assert verdict.result == result
    assert "because" in verdict.evidence


async def test_without_a_checker_nothing_is_agreed(project: Project) -> None:
    assert (await project.check_text("semantic:is polite", "hello")).result == "unavailable"


async def test_a_fast_command_is_fast_enough(project: Project) -> None:
    verdict = await project.check("bench:echo run >> runs.txt<=5", {})
    assert verdict.result == "pass"
    assert len((project.scratch / "runs.txt").read_text().split()) == 6
    assert "median" in verdict.evidence
    assert verdict.evidence.count(",") >= 5


async def test_a_slow_command_is_not(project: Project) -> None:
    verdict = await project.check("bench:sleep 0.05<=0.01", {})
    assert verdict.result == "fail"


async def test_a_command_that_fails_once_is_not_timed(project: Project) -> None:
    verdict = await project.check("bench:mkdir once<=5", {})
    assert verdict.result == "fail"
    assert "exit status 1" in verdict.evidence
