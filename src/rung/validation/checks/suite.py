"""`tests:PATH`: a pytest file or folder, run on the candidate; forged passes are noticed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rung.errors import UsageError
from rung.validation.checks import judging
from rung.validation.checks.endings import forced_end
from rung.validation.checks.expected import Expected, expected_of_base
from rung.validation.checks.junit import TestCase
from rung.validation.checks.planting import (
    FalseTest,
    Planted,
    false_tests,
    halves,
    make_false,
    prepare,
)
from rung.validation.checks.pytest_run import Run, run_pytest
from rung.validation.paths import UnsafePathError, safe_path
from rung.validation.registry import validator
from rung.validation.verdict import Candidate, CheckContext, Verdict
from rung.validation.workspace import copied

# More failures than these are no accident, and not worth another run.
_MOST_FLAKY = 3
# A run may have an accident.
_LOOKS_AT_LAST = 2


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
    runs=8,
    of_files=True,
    needs="sandbox",
)
async def tests(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`tests:PATH`: every test in this pytest file or folder runs and passes.

    Tests, conftest.py and settings come from the project, not from the candidate. There are two
    runs, in each of which another half of the project's tests was made false: in both exactly the
    false ones must fail, and some that were planted. Every test that the project's own collection
    lists must be there, none skipped that was not before. Where that is not so, a run of the tests
    as they are decides. Failures that another whole run does not have are accidents, and said so.
    """
    target = _target(argument)
    planted = await asyncio.to_thread(prepare, candidate, context, target)
    return await _Suite(candidate, context, target, planted).verdict()


@dataclass(frozen=True, kw_only=True)
class _Run(Run):
    """A run in `folder`, which is gone by now, with these tests made false."""

    folder: Path
    false: tuple[FalseTest, ...]


class _Suite:
    """The tests of one candidate. Each run has a copy of the scratch folder that nothing ran in."""

    def __init__(
        self, candidate: Candidate, context: CheckContext, target: str, planted: Planted
    ) -> None:
        self._files = candidate.files.keys()
        self._context = context
        self._target = target
        self._planted = planted
        self._chosen: list[FalseTest] = []

    async def verdict(self) -> Verdict:
        context, target = self._context, self._target
        self._chosen = await asyncio.to_thread(false_tests, context.base, target)
        collecting = asyncio.create_task(expected_of_base(context, target))
        try:
            runs = await _together([self._run(false) for false in self._parts()])
            expected = await collecting
        finally:
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)
        if expected is None:
            return judging.verdict("unavailable", "pytest is not installed for this project")
        looks = [self._judge(run, expected) for run in runs]
        passed = [look for look in looks if isinstance(look, judging.Passed)]
        if len(passed) == len(looks):
            return await self._compare_skips(judging.merged(passed), expected)
        return await self._looked_at_again(runs, looks, expected)

    def _parts(self) -> list[list[FalseTest]]:
        """What is false in each run: each test that can be made false is so in one of the two."""
        return halves(self._chosen) if self._chosen else [[]]

    async def _looked_at_again(
        self,
        runs: Sequence[_Run],
        looks: Sequence[judging.Passed | judging.Failed | Verdict],
        expected: Expected,
    ) -> Verdict:
        """A false test may disturb those after it, so a run without any decides."""
        as_it_is = [look for run, look in zip(runs, looks, strict=True) if not run.false]
        if all(run.ended.killed_reason and not run.report for run in runs):
            as_it_is = looks
        found = as_it_is[0] if as_it_is else self._judge(await self._run(), expected)
        if isinstance(found, judging.Failed):
            found = await self._again(found, expected)
        if isinstance(found, Verdict):
            return found
        verdict = await self._compare_skips(found, expected)
        if verdict.result != "pass":
            return verdict
        spared = [test for run in runs for test in judging.spared(run.report, run.false)]
        doubt = await self._doubt(spared, expected)
        return verdict if doubt is None else doubt

    async def _run(self, false: Sequence[FalseTest] = (), nodes: Sequence[str] = ()) -> _Run:
        """Run all tests, or only `nodes`, in a fresh copy, some of them made false."""
        base = self._context.base
        async with copied(self._context.scratch) as folder:
            await asyncio.to_thread(make_false, base, folder, self._chosen, false)
            arguments = nodes or [self._target, self._planted.path]
            run = await run_pytest(self._context, folder, arguments)
            return _Run(ended=run.ended, report=run.report, folder=folder, false=tuple(false))

    def _judge(self, run: _Run, expected: Expected) -> judging.Passed | judging.Failed | Verdict:
        forced = forced_end("tests", run.ended, self._context.sandbox)
        return forced or judging.judge(
            run.report,
            run.ended,
            planted=self._planted.ids,
            expected=expected,
            may_skip=lambda case: self._may_skip(case, run.folder),
            false=run.false,
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
        alone = await self._run(nodes=nodes)
        if alone.ended.exit_status != 0 or alone.ended.killed_reason:
            return found.verdict
        again = self._judge(await self._run(), expected)
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
            return judging.shown(found)
        base = await run_pytest(self._context, self._context.base, nodes, is_base=True)
        return judging.compare_skips(found, base.report)

    async def _doubt(self, spared: Sequence[FalseTest], expected: Expected) -> Verdict | None:
        """What runs with one false test say against a pass.

        The last test can disturb no other, so nothing else may change with it.
        """
        if not self._chosen:
            return None
        suspects = [self._chosen[-1], *([secrets.choice(spared)] if spared else [])]
        for _ in range(_LOOKS_AT_LAST):
            runs = await _together([self._run([suspect]) for suspect in suspects])
            kept = [test.id for run in runs for test in judging.spared(run.report, run.false)]
            if kept:
                return judging.tampered(kept)
            if isinstance(self._judge(runs[0], expected), judging.Passed):
                return None
        return judging.unlike(suspects[0].id)


async def _together(work: Sequence[Coroutine[None, None, _Run]]) -> list[_Run]:
    """The runs at the same time; if one cannot be made none goes on."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
