"""`tests:PATH`: a pytest file or folder, run on the candidate; forged passes are noticed."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rung.errors import UsageError
from rung.validation import sandbox
from rung.validation.checks import judging
from rung.validation.checks.endings import forced_end
from rung.validation.checks.junit import TestCase, collected_nodes, id_of_node
from rung.validation.folders import remove_tree
from rung.validation.interpreter import import_path, project_python
from rung.validation.paths import UnsafePathError, safe_path
from rung.validation.registry import validator
from rung.validation.sandbox import SandboxResult
from rung.validation.verdict import Candidate, CheckContext, Verdict
from rung.validation.workspace import (
    lay_over,
    restore_from,
    restore_steering_files,
    without_tests_of,
)

_OPTIONS = (
    "--maxfail=0",  # the planted test fails, and must not end the run
    "-o",
    "junit_family=xunit2",
)
_PLANTED = """import unittest


class {name}(unittest.TestCase):
    def {test}(self):
        found = "{found}"
        assert found == "{wanted}"
"""


def check_tests_path(argument: str, base: Path) -> None:
    if not argument:
        raise UsageError("check 'tests' needs a path: tests:PATH.")
    try:
        path = safe_path(base, argument.rstrip("/"))
    except UnsafePathError as error:
        raise UsageError(f"check 'tests:{argument}': {error}.") from error
    if not path.exists():
        raise UsageError(f"check 'tests:{argument}': there is no {path}.")
    if path.is_file() and path.suffix != ".py":
        raise UsageError(f"check 'tests:{argument}': a pytest file ends in .py.")


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One pytest process: how it ended and the report that it left (empty: none)."""

    ended: SandboxResult
    report: bytes


@validator("tests", form="tests:PATH", rank=40, check_argument=check_tests_path, runs=3)
async def tests(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`tests:PATH`: every test in this pytest file or folder runs and passes.

    Tests, conftest.py and settings come from the project, not from the candidate. The report must
    list every test that the project's own collection lists, none skipped that was not before, and
    one planted test as failed: a run that reports it otherwise was tampered with.
    """
    target = argument.rstrip("/")
    planted = await asyncio.to_thread(_prepare, candidate, context, target)
    collecting = asyncio.create_task(_collect_base(context, target))
    try:
        run = await _pytest(context, context.scratch, [target, planted.path])
        forced = forced_end("tests", run.ended, context.sandbox)
        if forced is not None:
            return forced
        expected = await collecting
        if expected is None:
            return judging.verdict("unavailable", "pytest is not installed for this project")
        found = judging.judge(
            run.report,
            run.ended,
            planted=planted.id,
            expected=expected,
            may_skip=lambda case: _may_skip(case, context, candidate.files, planted.sources),
        )
        if isinstance(found, Verdict):
            return found
        return await _compare_skips(context, found, expected)
    finally:
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)


@dataclass(frozen=True, kw_only=True)
class _Planted:
    """The test that must fail, and the source of the tests that it was planted among."""

    path: str
    id: str
    sources: bytes


def _may_skip(case: TestCase, context: CheckContext, files: Collection[str], tests: bytes) -> bool:
    """Whether the tests can have skipped this one, and not the code that they test."""
    place = context.scratch / case.skipped_in
    if case.skipped_in and place.is_relative_to(context.scratch):
        return place.relative_to(context.scratch).as_posix() not in files
    # pytest does not say where an expected failure or unittest's SkipTest comes from.
    words = (b"xfail",) if case.is_xfail else (b"SkipTest", b"skipTest", b"unittest.skip")
    return any(word in tests for word in words)


def _prepare(candidate: Candidate, context: CheckContext, target: str) -> _Planted:
    """Put back what the tests are made of, as an earlier check's code may have changed it."""
    restore_from(context.base, context.scratch, [target])
    restore_steering_files(context.base, context.scratch, keep=candidate.files.keys())
    lay_over(context.scratch, without_tests_of(context.base, candidate.files, [target]))
    place = context.scratch / target
    files = list(place.rglob("*.py")) if place.is_dir() else [place]
    sources = b"\n".join(file.read_bytes() for file in files if file.is_file())
    folder = target if place.is_dir() else target.rpartition("/")[0]
    nonce = secrets.token_hex(6)
    path = f"{folder}/test_{nonce}.py".lstrip("/")
    name, test = f"Test{nonce}", f"test_{nonce}"
    found, wanted = secrets.token_hex(6), secrets.token_hex(6)
    text = _PLANTED.format(name=name, test=test, found=found, wanted=wanted)
    lay_over(context.scratch, {path: text})
    identity = id_of_node(f"{path}::{name}::{test}")
    return _Planted(path=path, id=identity, sources=sources)


async def _collect_base(context: CheckContext, target: str) -> dict[str, str] | None:
    """Node ids of the project's tests by their id in reports; `None` if there is no pytest.

    It is normal that none can be collected: the module under test may not exist yet.
    """
    if not (context.base / target).exists():
        return {}
    arguments = [target, "--collect-only", "--verbosity=-1"]
    run = await _pytest(context, context.base, arguments, is_base=True)
    if run.ended.exit_status == 1 and run.ended.output.endswith(": No module named pytest\n"):
        return None
    if run.ended.exit_status != 0 or run.ended.killed_reason:
        return {}
    return {id_of_node(node): node for node in collected_nodes(run.ended.output)}


async def _compare_skips(
    context: CheckContext, found: judging.Passed, expected: dict[str, str]
) -> Verdict:
    """A test that is skipped now must be skipped by the project itself, too."""
    nodes = [expected[case] for case in found.skipped if case in expected]
    if not nodes:
        return found.verdict
    base = await _pytest(context, context.base, nodes, is_base=True)
    return judging.compare_skips(found, base.report)


async def _pytest(
    context: CheckContext, folder: Path, arguments: Sequence[str], *, is_base: bool = False
) -> _Run:
    """Run pytest in `folder`, which the project's own files may only be read in."""
    python = project_python(context.base, context.sandbox, module="pytest")
    private = Path(tempfile.mkdtemp(prefix="rung-tests-"))
    try:
        report = private / "report.xml"
        options = [
            f"--rootdir={folder}",
            f"--junitxml={report}",
            "-o",
            f"cache_dir={private / 'cache'}",
            *_OPTIONS,
        ]
        ended = await sandbox.run(
            [str(python), "-m", "pytest", *options, *arguments],
            cwd=folder,
            writable=[private] if is_base else [private, folder],
            readable=[folder] if is_base else [],
            settings=context.sandbox,
            python=python,
            env=import_path(folder),
        )
        is_plain = report.is_file() and not report.is_symlink()
        content = await asyncio.to_thread(report.read_bytes) if is_plain else b""
        return _Run(ended=ended, report=content)
    finally:
        await remove_tree(private)
