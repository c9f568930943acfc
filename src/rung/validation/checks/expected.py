"""Which tests a project has by itself: what a run on a candidate must not leave out."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rung.validation.checks.falsify import names_of_tests
from rung.validation.checks.junit import collected_nodes, id_of_node
from rung.validation.checks.pytest_run import run_pytest
from rung.validation.copies import NEVER_COPIED
from rung.validation.folders import entries_below
from rung.validation.interpreter import project_python
from rung.validation.verdict import CheckContext

_COLLECTED, _COLLECTED_IN_PART = 0, 2
_BROKEN_MODULE = re.compile(r"^ERROR (\S.*?\.py)(?: - |$)", re.MULTILINE)
# Settings by which pytest collects other tests than those it would by their names.
_SELECTING = re.compile(r"python_(functions|classes)|--deselect|--ignore|-[km]\b|collect_ignore")
_SETTINGS = ("pyproject.toml", "pytest.ini", ".pytest.ini", "setup.cfg", "tox.ini", "conftest.py")


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The project's own tests: `nodes` are node ids by their id in reports.

    `untold` are tests, by id without parameters, of modules that the project cannot import, as
    when they import what the answer is to bring.
    """

    nodes: Mapping[str, str]
    untold: frozenset[str] = frozenset()


# What was collected lately. A task's attempts have the same project below them.
_collected: OrderedDict[str, Expected] = OrderedDict()
_MOST_KEPT = 16


async def expected_of_base(context: CheckContext, target: str) -> Expected | None:
    """As `collect_base`, which is asked again only where a file of the project has changed."""
    key = await asyncio.to_thread(_state_of, context, target)
    if key in _collected:
        _collected.move_to_end(key)
        return _collected[key]
    found = await collect_base(context, target)
    if found is not None and key == await asyncio.to_thread(_state_of, context, target):
        _collected[key] = found
        if len(_collected) > _MOST_KEPT:
            _collected.popitem(last=False)
    return found


def _state_of(context: CheckContext, target: str) -> str:
    """All that a collection depends on, as a digest: the files, by when and where they are written,
    and the interpreter with its packages.
    """
    base, settings = context.base, context.sandbox
    python = project_python(base, settings, module="pytest")
    digest = hashlib.sha256(repr((str(base), target, str(python), settings)).encode())
    packages = python.parent.parent.glob("lib/python*/site-packages")
    for path in [*sorted(packages), *sorted(entries_below(base, NEVER_COPIED))]:
        with contextlib.suppress(OSError):  # it is gone, as from the digest
            found = path.lstat()
            state = (
                found.st_ino,
                found.st_mode,
                found.st_size,
                found.st_mtime_ns,
                found.st_ctime_ns,
            )
            digest.update(repr((str(path), state)).encode())
    return digest.hexdigest()


async def collect_base(context: CheckContext, target: str) -> Expected | None:
    """What the project has at `target` without the candidate; `None` if there is no pytest."""
    if not (context.base / target).exists():
        return Expected(nodes={})
    arguments = [target, "--collect-only", "--verbosity=-1"]
    ended = (await run_pytest(context, context.base, arguments, is_base=True)).ended
    if ended.exit_status == 1 and ended.output.endswith("No module named pytest\n"):
        return None
    is_whole = ended.exit_status in (_COLLECTED, _COLLECTED_IN_PART) and not ended.killed_reason
    nodes = collected_nodes(ended.output) if is_whole else []
    untold = await asyncio.to_thread(_tests_in, context.base, _BROKEN_MODULE.findall(ended.output))
    return Expected(nodes={id_of_node(node): node for node in nodes}, untold=frozenset(untold))


def _tests_in(base: Path, modules: Sequence[str]) -> list[str]:
    """What pytest would find in these modules, unless the project's settings choose otherwise."""
    files = [base / name for name in _SETTINGS if (base / name).is_file()]
    if any(_SELECTING.search(file.read_text("utf-8", "replace")) for file in files):
        return []
    sources = {name: base / name for name in modules if (base / name).is_file()}
    return [
        id_of_node(f"{name}::{test}")
        for name, path in sources.items()
        for test in names_of_tests(path.read_text("utf-8", "replace"))
    ]
