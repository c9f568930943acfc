"""pytest in the sandbox: on a copy of the project, or to see what the project has by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rung.validation import sandbox
from rung.validation.folders import remove_tree
from rung.validation.interpreter import import_path, project_python
from rung.validation.sandbox import SandboxResult
from rung.validation.temporary import make_folder
from rung.validation.verdict import CheckContext

_START = Path(__file__).with_name("pytest_start.py")
_OPTIONS = (
    "--maxfail=0",  # the planted test fails, and must not end the run
    "-o",
    "junit_family=xunit2",
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One pytest process: how it ended and the report that it left (empty: none)."""

    ended: SandboxResult
    report: bytes


async def run_pytest(
    context: CheckContext, folder: Path, arguments: Sequence[str], *, is_base: bool = False
) -> Run:
    """Run pytest in `folder`, which the project's own files may only be read in."""
    python = project_python(context.base, context.sandbox, module="pytest")
    path = import_path(folder)
    private = make_folder("tests")
    try:
        report = private / "report.xml"
        options = [
            f"--rootdir={folder}",
            f"--junitxml={report}",
            "-o",
            f"cache_dir={private / 'cache'}",
            *_OPTIONS,
        ]
        sources = path.get("PYTHONPATH", "")
        ended = await sandbox.run(
            [str(python), "-I", str(_START), sources, *options, *arguments],
            cwd=folder,
            writable=[private] if is_base else [private, folder],
            readable=[_START, folder] if is_base else [_START],
            settings=context.sandbox,
            python=python,
            env=path,
        )
        is_plain = report.is_file() and not report.is_symlink()
        content = await asyncio.to_thread(report.read_bytes) if is_plain else b""
        return Run(ended=ended, report=content)
    finally:
        await remove_tree(private)
