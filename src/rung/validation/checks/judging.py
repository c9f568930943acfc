"""What a pytest report proves. Pure: from the report's bytes and the exit status to a verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from rung.validation.checks.endings import exit_words
from rung.validation.checks.junit import ReportError, TestCase, assertion_lines, parse_report
from rung.validation.sandbox import SandboxResult
from rung.validation.verdict import Result, Verdict

_MOST_SHOWN = 8
_TAIL_CHARACTERS = 2500
_EXIT_TESTS_FAILED = 1


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A run with nothing against it, but for tests that it skipped (by id)."""

    verdict: Verdict
    skipped: tuple[str, ...]


def verdict(result: Result, evidence: str) -> Verdict:
    return Verdict(validator="tests", result=result, evidence=evidence)


def judge(
    report: bytes,
    ended: SandboxResult,
    *,
    planted: str,
    expected: Collection[str],
    may_skip: Callable[[TestCase], bool],
) -> Passed | Verdict:
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
        return verdict("fail", _failures(real, [*cases.values()]))
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
    cases: dict[str, TestCase], expected: Collection[str], may_skip: Callable[[TestCase], bool]
) -> Passed | Verdict:
    missing = sorted(set(expected) - cases.keys())
    if missing:
        return verdict("fail", f"{len(missing)} tests did not run:\n{_listed(missing)}")
    skipped = [case for case in cases.values() if case.outcome == "skipped"]
    by_candidate = [case.id for case in skipped if not may_skip(case)]
    if by_candidate:
        return verdict("fail", f"skipped by the code under test:\n{_listed(by_candidate)}")
    passed = len(cases) - len(skipped)
    if passed == 0:
        return verdict("fail", "no test ran" if not skipped else "every test was skipped")
    words = f"{passed} passed" + (f", {len(skipped)} skipped" if skipped else "")
    return Passed(verdict=verdict("pass", words), skipped=tuple(case.id for case in skipped))


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
