"""`tests:PATH`: a pytest file or folder, run on the candidate; forged passes are noticed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from rung.errors import UsageError
from rung.validation.checks import judging
from rung.validation.checks.endings import forced_end
from rung.validation.checks.expected import Expected, collect_base
from rung.validation.checks.junit import TestCase
from rung.validation.checks.planting import FalseTest, Planted, false_tests, make_false, prepare
from rung.validation.checks.pytest_run import Run, run_pytest
from rung.validation.paths import UnsafePathError, safe_path
from rung.validation.registry import validator
from rung.validation.verdict import Candidate, CheckContext, Verdict
from rung.validation.workspace import copied

# More failures than these are no accident, and not worth another run.
_MOST_FLAKY = 3


def check_tests_path(argument: str, base: Path) -> None:
    if not argument:
        raise UsageError("check 'tests' needs a path: tests:PATH.")
    name = _target(argument)
    try:
        path = base if name == "." else safe_path(base, name)
    except UnsafePathError as error:
        raise UsageError(f"check 'tests:{argument}': {error}.") from error
    if not path.exists():
        raise UsageError(f"check 'tests:{argument}': there is no {path}.")
    if path.is_file() and path.suffix != ".py":
        raise UsageError(f"check 'tests:{argument}': a pytest file ends in .py.")


def _target(argument: str) -> str:
    return argument.removeprefix("./").rstrip("/") or "."


@validator(
    "tests",
    form="tests:PATH",
    rank=40,
    check_argument=check_tests_path,
    runs=6,
    of_files=True,
    needs="sandbox",
)
async def tests(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`tests:PATH`: every test in this pytest file or folder runs and passes.

    Tests, conftest.py and settings come from the project, not from the candidate. The report must
    list every test that the project's own collection lists, none skipped that was not before, and
    one planted test as failed. A second run beside the first has the tests made false, and must not
    pass them. Failures that another whole run does not have are accidents, and said to be.
    """
    target = _target(argument)
    planted = await asyncio.to_thread(prepare, candidate, context, target)
    return await _Suite(candidate, context, target, planted).verdict()


class _Suite:
    """The tests of one candidate. Each run has a copy of the scratch folder that nothing ran in."""

    def __init__(
        self, candidate: Candidate, context: CheckContext, target: str, planted: Planted
    ) -> None:
        self._files = candidate.files.keys()
        self._context = context
        self._target = target
        self._planted = planted

    async def verdict(self) -> Verdict:
        context, target = self._context, self._target
        chosen = await asyncio.to_thread(false_tests, context.base, target)
        collecting = asyncio.create_task(collect_base(context, target))
        falsified = asyncio.create_task(self._false_report(chosen))
        try:
            run, folder = await self._run()
            expected = await collecting
            if expected is None:
                return judging.verdict("unavailable", "pytest is not installed for this project")
            found = self._judge(run, folder, expected)
            if isinstance(found, judging.Failed):
                found = await self._again(found, expected)
            if isinstance(found, Verdict):
                return found
            verdict = await self._compare_skips(found, expected)
            if verdict.result != "pass":
                return verdict
            doubt = await self._doubt(found, chosen, await falsified)
            return verdict if doubt is None else doubt
        finally:
            collecting.cancel()
            falsified.cancel()
            await asyncio.gather(collecting, falsified, return_exceptions=True)

    async def _run(self, nodes: Sequence[str] = ()) -> tuple[Run, Path]:
        """Run all tests, or only these, in a fresh copy, which is gone afterwards."""
        async with copied(self._context.scratch) as folder:
            arguments = nodes or [self._target, self._planted.path]
            return await run_pytest(self._context, folder, arguments), folder

    def _judge(
        self, run: Run, folder: Path, expected: Expected
    ) -> judging.Passed | judging.Failed | Verdict:
        forced = forced_end("tests", run.ended, self._context.sandbox)
        return forced or judging.judge(
            run.report,
            run.ended,
            planted=self._planted.id,
            expected=expected,
            may_skip=lambda case: self._may_skip(case, folder),
        )

    def _may_skip(self, case: TestCase, folder: Path) -> bool:
        """Whether the tests can have skipped this one, and not the code that they test."""
        place = folder / case.skipped_in
        if case.skipped_in and place.is_relative_to(folder):
            return place.relative_to(folder).as_posix() not in self._files
        # pytest does not say where an expected failure or unittest's SkipTest comes from.
        words = (b"xfail",) if case.is_xfail else (b"SkipTest", b"skipTest", b"unittest.skip")
        return any(word in self._planted.sources for word in words)

    async def _again(self, found: judging.Failed, expected: Expected) -> judging.Passed | Verdict:
        """Another whole run, if the few tests that failed pass when they are run again."""
        nodes = [expected.nodes[case] for case in found.failed if case in expected.nodes]
        if len(nodes) < len(found.failed) or len(nodes) > _MOST_FLAKY:
            return found.verdict
        alone, _ = await self._run(nodes)
        if alone.ended.exit_status != 0 or alone.ended.killed_reason:
            return found.verdict
        run, folder = await self._run()
        again = self._judge(run, folder, expected)
        if not isinstance(again, judging.Passed):
            return found.verdict
        said = f"{again.verdict.evidence}, in the second run; the first had\n"
        evidence = said + found.verdict.evidence
        verdict = msgspec.structs.replace(again.verdict, evidence=evidence)
        return judging.Passed(verdict=verdict, passed=again.passed, skipped=again.skipped)

    async def _compare_skips(self, found: judging.Passed, expected: Expected) -> Verdict:
        """A test that is skipped now must be skipped by the project itself, too."""
        nodes = [expected.nodes[case] for case in found.skipped if case in expected.nodes]
        if not nodes:
            return found.verdict
        base = await run_pytest(self._context, self._context.base, nodes, is_base=True)
        return judging.compare_skips(found, base.report)

    async def _false_report(self, chosen: Sequence[FalseTest]) -> bytes:
        """The report of a run in which these tests of the project's are false."""
        if not chosen:
            return b""
        async with copied(self._context.scratch) as folder:
            await asyncio.to_thread(make_false, self._context.base, folder, chosen)
            arguments = [self._target, self._planted.path]
            return (await run_pytest(self._context, folder, arguments)).report

    async def _doubt(
        self, found: judging.Passed, chosen: Sequence[FalseTest], report: bytes
    ) -> Verdict | None:
        """What the run with false tests says against the candidate.

        A test that fails half-way may upset those after it, so one alone must confirm it.
        """
        tests = {test.id: test for test in chosen if test.id in _ids(found.passed)}
        passing = judging.still_passing(report, tests.keys())
        if not tests or passing == []:
            return None
        suspect = tests[secrets.choice(passing or sorted(tests))]
        passing = judging.still_passing(await self._false_report([suspect]), [suspect.id])
        return None if passing == [] else judging.doubt(suspect.id, is_known=passing is not None)


def _ids(cases: Iterable[str]) -> set[str]:
    """The tests that these cases belong to, each with all its parameters."""
    return {judging.owner_of(case) for case in cases}
