"""Tasks as files: `task.toml` holds what the options of `rung do` hold."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, cast

from rung.config.schema import nearest
from rung.errors import SchemaError, UsageError
from rung.escalation.task import Task, checked_task

# The names in the file are those of the command's options; `schema` is a file's path.
KEYS = (
    "text",
    "files",
    "out",
    "checks",
    "schema",
    "type",
    "chain",
    "budget_usd",
    "local_only",
    "at_end",
    "seed",
    "root",
)


def load_task(path: Path) -> Task:
    """Read a task file. Paths in it are relative to `root`, by default the file's own folder.

    Raises UsageError naming the file, the key and the nearest known key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    for key in table:
        if key not in KEYS:
            raise UsageError(f"{path}: unknown key {key!r}; {nearest(key, KEYS)}")
    if "text" not in table:
        raise UsageError(f"{path}: the key 'text' is missing: say what is to be done")
    root = path.parent / _text_of(table, "root", ".", path)
    if "schema" in table:
        table["schema"] = read_schema(root / _text_of(table, "schema", "", path))
    return checked_task({**table, "root": root}, str(path))


def _text_of(table: dict[str, Any], key: str, default: str, path: Path) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or "\0" in value:
        raise UsageError(f"{path}: {key} must be a path, not {value!r}")
    return value


def read_schema(path: Path) -> dict[str, Any]:
    """A JSON Schema from a file. Raises UsageError or SchemaError saying what is wrong with it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"the schema file {path} does not exist") from None
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"{path} is not valid JSON: {error}") from None
    except OSError as error:
        raise UsageError(f"the schema file {path} cannot be read: {error.strerror}") from None
    if not isinstance(value, dict):
        raise SchemaError(f"{path} is not a JSON Schema: it must be a JSON object")
    return cast("dict[str, Any]", value)
