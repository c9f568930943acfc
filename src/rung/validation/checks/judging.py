"""What a pytest report proves. Pure: from the report's bytes and the exit status to a verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rung.validation.checks.endings import exit_words
from rung.validation.checks.expected import Expected
from rung.validation.checks.junit import (
    ReportError,
    TestCase,
    assertion_lines,
    owner_of,
    parse_report,
)
from rung.validation.checks.planting import FalseTest, split_case
from rung.validation.sandbox import SandboxResult
from rung.validation.verdict import Result, Verdict
from rung.wording import counted

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
    planted: Collection[str],
    expected: Expected,
    may_skip: Callable[[TestCase], bool],
    false: Sequence[FalseTest] = (),
) -> Passed | Failed | Verdict:
    """Passed only if every planted and every `false` test failed, nothing else did, and all
    `expected` are there.

    The planted failures make pytest's exit status 1 when everything else is well. `may_skip` tells
    whether a skip can be the tests' own, not that of the code they test.
    """
    try:
        cases = parse_report(report)
    except ReportError as error:
        reason = "pytest left no report" if not report else str(error)
        return verdict("fail", f"{reason} ({exit_words(ended.exit_status)})\n{_tail(ended)}")
    to_fail = {*planted, *_false_among(cases, false)}
    real = [case for case in cases.values() if _is_broken(case) and case.id not in to_fail]
    if real:
        says = verdict("fail", _failures(real, [*cases.values()]))
        return Failed(verdict=says, failed=tuple(case.id for case in real))
    states = [cases[name].outcome if name in cases else "missing" for name in sorted(planted)]
    state = next((state for state in states if state != "failed"), None)
    if state is not None:
        return verdict(
            "fail",
            f"the run was tampered with: a planted test that must fail is {state} "
            f"({exit_words(ended.exit_status)})\n{_tail(ended)}",
        )
    if ended.exit_status != _EXIT_TESTS_FAILED:
        return verdict("fail", f"pytest ended with {exit_words(ended.exit_status)}\n{_tail(ended)}")
    kept = [test.id for test in spared(report, false)]
    return tampered(kept) if kept else _complete(cases, expected, may_skip, false)


def tampered(spared: Sequence[str]) -> Verdict:
    why = "the run was tampered with: a test passes also where what it asserts was made false"
    return verdict("fail", f"{why}:\n{_listed(spared)}")


def _is_broken(case: TestCase) -> bool:
    return case.outcome in ("failed", "error")


def _complete(
    cases: Mapping[str, TestCase],
    expected: Expected,
    may_skip: Callable[[TestCase], bool],
    false: Sequence[FalseTest],
) -> Passed | Verdict:
    told = {owner_of(case) for case in cases}
    # A false test may have other parameters than it had.
    of_false = {node for node in _false_among(expected.nodes, false) if owner_of(node) in told}
    missing = sorted((expected.nodes.keys() - cases.keys() - of_false) | (expected.untold - told))
    if missing:
        return verdict("fail", f"{counted(len(missing), 'test')} did not run:\n{_listed(missing)}")
    skipped = [case for case in cases.values() if case.outcome == "skipped"]
    by_candidate = [case.id for case in skipped if not may_skip(case)]
    if by_candidate:
        return verdict("fail", f"skipped by the code under test:\n{_listed(by_candidate)}")
    passed = frozenset(case.id for case in cases.values() if case.outcome == "passed")
    return _passed(passed, tuple(case.id for case in skipped))


def _passed(passed: frozenset[str], skipped: tuple[str, ...]) -> Passed:
    words = f"{len(passed)} passed" + (f", {len(skipped)} skipped" if skipped else "")
    return Passed(verdict=verdict("pass", words), passed=passed, skipped=skipped)


def shown(found: Passed) -> Verdict:
    """The verdict on all runs: a suite of which nothing was run shows nothing."""
    if found.passed:
        return found.verdict
    return verdict("fail", "every test was skipped" if found.skipped else "no test ran")


def _false_among(cases: Iterable[str], false: Sequence[FalseTest]) -> dict[str, FalseTest]:
    """The cases that are of a false test."""
    by_name: dict[str, list[FalseTest]] = {}
    for test in false:
        by_name.setdefault(split_case(test.id)[1], []).append(test)
    return {
        case: test
        for case in cases
        for test in by_name.get(split_case(case)[1], ())
        if test.is_of(case)
    }


def spared(report: bytes, false: Sequence[FalseTest]) -> list[FalseTest]:
    """The tests that pass although they were made `false`."""
    try:
        cases = parse_report(report)
    except ReportError:
        return []
    of_them = _false_among(cases, false)
    return [test for case, test in of_them.items() if cases[case].outcome == "passed"]


def merged(runs: Sequence[Passed]) -> Passed:
    """What several runs show, each of other tests; a test that is false in one is not in it."""
    passed = frozenset[str]().union(*(run.passed for run in runs))
    skipped = dict.fromkeys(case for run in runs for case in run.skipped if case not in passed)
    return _passed(passed, tuple(skipped))


def unlike(test: str) -> Verdict:
    """All passed alone, but not beside this false `test`, which cannot have disturbed them."""
    why = "all passed, but the run with a false test in it does not show the same"
    return verdict("error", f"{why}, so that the pass cannot be trusted:\n{test}")


def compare_skips(found: Passed, report: bytes) -> Verdict:
    """`report` is of the skipped tests, run in the project without the candidate."""
    try:
        before = parse_report(report)
    except ReportError as error:
        return verdict("error", f"skipped tests cannot be compared with the project: {error}")
    new = [case for case in found.skipped if case in before and before[case].outcome != "skipped"]
    if new:
        return verdict("fail", f"skipped only with this answer:\n{_listed(new)}")
    return shown(found)


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
