"""Validators that other installed packages bring: entry points of the group `rung.validators`.

An entry point is named as its check, and leads to the decorated function:

    [project.entry-points."rung.validators"]
    todo = "my_package.checks:todo"
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import metadata

GROUP = "rung.validators"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A check that a package announces; `source` is its name and version."""

    kind: str
    source: str
    entry_point: metadata.EntryPoint


@functools.cache
def installed() -> tuple[Plugin, ...]:
    """What is announced, by package; nothing is imported."""
    found = [
        Plugin(kind=entry.name, source=_source(entry), entry_point=entry)
        for entry in metadata.entry_points(group=GROUP)
    ]
    return tuple(sorted(found, key=lambda plugin: (plugin.source, plugin.kind)))


def _source(entry: metadata.EntryPoint) -> str:
    package = entry.dist
    return "unknown" if package is None else f"{package.name} {package.version}"
