"""What a pytest report proves. Pure: from the report's bytes and the exit status to a verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from rung.validation.checks.endings import exit_words
from rung.validation.checks.expected import Expected
from rung.validation.checks.junit import ReportError, TestCase, assertion_lines, parse_report
from rung.validation.sandbox import SandboxResult
from rung.validation.verdict import Result, Verdict

_MOST_SHOWN = 8
_TAIL_CHARACTERS = 2500
_EXIT_TESTS_FAILED = 1


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A run with nothing against it; ids of the tests that passed, and of those it skipped."""

    verdict: Verdict
    passed: frozenset[str]
    skipped: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A run in which these tests failed, by id."""

    verdict: Verdict
    failed: tuple[str, ...]


def verdict(result: Result, evidence: str) -> Verdict:
    return Verdict(validator="tests", result=result, evidence=evidence)


def judge(
    report: bytes,
    ended: SandboxResult,
    *,
    planted: str,
    expected: Expected,
    may_skip: Callable[[TestCase], bool],
) -> Passed | Failed | Verdict:
    """Passed only if the planted test failed, nothing else did, and all `expected` are there.

    The planted failure makes pytest's exit status 1 when everything else is well. `may_skip` tells
    whether a skip can be the tests' own, not that of the code they test.
    """
    try:
        cases = parse_report(report)
    except ReportError as error:
        reason = "pytest left no report" if not report else str(error)
        return verdict("fail", f"{reason} ({exit_words(ended.exit_status)})\n{_tail(ended)}")
    broken = [case for case in cases.values() if case.outcome in ("failed", "error")]
    real = [case for case in broken if case.id != planted]
    if real:
        says = verdict("fail", _failures(real, [*cases.values()]))
        return Failed(verdict=says, failed=tuple(case.id for case in real))
    canary = cases.pop(planted, None)
    if canary is None or canary.outcome != "failed":
        state = canary.outcome if canary else "missing"
        return verdict(
            "fail",
            f"the run was tampered with: a planted test that must fail is {state} "
            f"({exit_words(ended.exit_status)})\n{_tail(ended)}",
        )
    if ended.exit_status != _EXIT_TESTS_FAILED:
        return verdict("fail", f"pytest ended with {exit_words(ended.exit_status)}\n{_tail(ended)}")
    return _complete(cases, expected, may_skip)


def _complete(
    cases: dict[str, TestCase], expected: Expected, may_skip: Callable[[TestCase], bool]
) -> Passed | Verdict:
    told = {owner_of(case) for case in cases}
    missing = sorted((expected.nodes.keys() - cases.keys()) | (expected.untold - told))
    if missing:
        return verdict("fail", f"{len(missing)} tests did not run:\n{_listed(missing)}")
    skipped = [case for case in cases.values() if case.outcome == "skipped"]
    by_candidate = [case.id for case in skipped if not may_skip(case)]
    if by_candidate:
        return verdict("fail", f"skipped by the code under test:\n{_listed(by_candidate)}")
    passed = frozenset(case.id for case in cases.values() if case.outcome == "passed")
    if not passed:
        return verdict("fail", "no test ran" if not skipped else "every test was skipped")
    words = f"{len(passed)} passed" + (f", {len(skipped)} skipped" if skipped else "")
    names = tuple(case.id for case in skipped)
    return Passed(verdict=verdict("pass", words), passed=passed, skipped=names)


def owner_of(case: str) -> str:
    """The id of the test that a case belongs to: the case's own without parameters."""
    return case.partition("[")[0]


def still_passing(report: bytes, false: Collection[str]) -> list[str] | None:
    """The tests that pass although they were made `false`; `None` if nothing is told of any."""
    try:
        cases = parse_report(report)
    except ReportError:
        return None
    of_them = [case for case in cases.values() if owner_of(case.id) in false]
    if not of_them:
        return None
    return [owner_of(case.id) for case in of_them if case.outcome == "passed"]


def doubt(test: str, *, is_known: bool) -> Verdict:
    """What to say of a pass when this `test` did not fail where it had to."""
    if not is_known:
        why = "all passed, but the run with a false test in it left no report of that"
        return verdict("error", f"{why}, so that the pass cannot be trusted:\n{test}")
    why = "the run was tampered with: a test passes also where what it asserts was made false"
    return verdict("fail", f"{why}:\n{test}")


def compare_skips(found: Passed, report: bytes) -> Verdict:
    """`report` is of the skipped tests, run in the project without the candidate."""
    try:
        before = parse_report(report)
    except ReportError as error:
        return verdict("error", f"skipped tests cannot be compared with the project: {error}")
    new = [case for case in found.skipped if case in before and before[case].outcome != "skipped"]
    if new:
        return verdict("fail", f"skipped only with this answer:\n{_listed(new)}")
    return found.verdict


def _failures(cases: Sequence[TestCase], every: Sequence[TestCase]) -> str:
    passed = sum(case.outcome == "passed" for case in every)
    shown = [f"{case.id}\n{assertion_lines(case.detail)}" for case in cases[:_MOST_SHOWN]]
    if len(cases) > _MOST_SHOWN:
        shown.append(f"… and {len(cases) - _MOST_SHOWN} more")
    return f"{len(cases)} failed, {passed} passed\n" + "\n".join(shown)


def _listed(names: Sequence[str]) -> str:
    more = f"\n… and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return "\n".join(names[:_MOST_SHOWN]) + more


def _tail(ended: SandboxResult) -> str:
    return ended.output[-_TAIL_CHARACTERS:].strip()
