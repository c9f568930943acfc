"""The schemas of a folder, for benchmarks: `.json` files, and `.jsonl` files with one a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

_WRAPPERS = ("json_schema", "schema")
_NAMES = ("unique_id", "id", "name")
_SIGNS = {"type", "properties", "$schema", "$defs", "definitions", "anyOf", "allOf", "oneOf"}


class Sample(NamedTuple):
    """One schema; `group` is its category where the file names one, else the file's name."""

    name: str
    group: str
    schema: Any


def samples(folder: Path) -> list[Sample]:
    """All schemas under `folder`, or of one file, in a stable order."""
    files = sorted(folder.rglob("*.json*")) if folder.is_dir() else [folder]
    return [sample for file in files for sample in _samples(file)]


def _samples(file: Path) -> Iterator[Sample]:
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines() if file.suffix == ".jsonl" else [text]
    for number, line in enumerate(lines, 1):
        found: Any = json.loads(line) if line.strip() else None
        if not isinstance(found, dict):
            continue
        record = cast("dict[str, Any]", found)
        wrapper = next((key for key in _WRAPPERS if isinstance(record.get(key), dict)), None)
        if wrapper is None and not _SIGNS & record.keys():
            continue
        name = next((record[key] for key in _NAMES if wrapper and key in record), None)
        default = f"{file.name}:{number}" if file.suffix == ".jsonl" else file.name
        group = record.get("category", file.name) if wrapper else file.name
        yield Sample(str(name or default), str(group), record[wrapper] if wrapper else record)
