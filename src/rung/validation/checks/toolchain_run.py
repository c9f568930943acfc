"""A toolchain at work on a candidate's sources, in the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rung.config.settings import SandboxSettings
from rung.errors import SandboxUnavailable
from rung.validation import sandbox
from rung.validation.checks.toolchains import Installed, Toolchain, find_installed
from rung.validation.folders import remove_tree
from rung.validation.sandbox import SandboxResult
from rung.validation.sources import Source
from rung.validation.temporary import make_folder
from rung.validation.verdict import CheckContext

# In the scratch copy, for blocks of text and for what compilers write.
PRIVATE = ".rung-compile"


async def run_toolchain(
    chain: Toolchain,
    installed: Installed,
    paths: Sequence[str],
    scratch: Path,
    settings: SandboxSettings,
) -> list[SandboxResult]:
    """How it ended on the files, or on each in turn; nothing comes after one that was killed."""
    (scratch / PRIVATE / "out").mkdir(parents=True, exist_ok=True)
    options = [option.replace("{out}", f"{PRIVATE}/out") for option in chain.options]
    results: list[SandboxResult] = []
    for batch in [[path] for path in paths] if chain.one_at_a_time else [paths]:
        result = await sandbox.run(
            [*installed.command, *options, *batch],
            cwd=scratch,
            writable=[scratch],
            readable=installed.readable,
            settings=settings,
        )
        results.append(result)
        if result.killed_reason:
            break
    return results


async def parser_accepts(chain: Toolchain, source: Source, context: CheckContext) -> bool:
    """Whether the language's own parser is installed, can be asked, and accepts the source."""
    installed = await asyncio.to_thread(find_installed, chain, context.base)
    if installed is None:
        return False
    folder = make_folder("syntax")
    try:
        path = folder / f"source{source.language.extensions[0]}"
        path.write_bytes(source.text.encode("utf-8", "replace"))
        [result] = await run_toolchain(
            chain, installed, [f"./{path.name}"], folder, context.sandbox
        )
        return result.exit_status == 0 and not result.killed_reason
    except SandboxUnavailable:  # then there is no second opinion
        return False
    finally:
        await remove_tree(folder)
