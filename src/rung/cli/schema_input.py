"""Schemas and JSON documents that a command is given: a file, or stdin for `-`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rung.cli.piped import piped_text
from rung.errors import UsageError
from rung.structured import check_schema
from rung.structured.audit.files import UnreadableError, text_of
from rung.structured.parse import NotJsonError, parse
from rung.structured.references import Schema


def read_json(name: str) -> Any:
    """The JSON value in a file, or on stdin for "-". Raises `UsageError` saying what to mend."""
    shown = "stdin" if name == "-" else name
    try:
        return parse(_text(name))
    except NotJsonError as error:
        raise UsageError(f"{shown} is not valid JSON: {error}") from None


def read_schema(name: str) -> Schema:
    """The JSON Schema in a file, or on stdin for "-". Raises `UsageError` or `SchemaError`."""
    value = read_json(name)
    check_schema(value)
    return value


def _text(name: str) -> str:
    if name == "-":
        text = piped_text()
        if not text:
            raise UsageError("nothing came on stdin: pipe a JSON document in, or name a file")
        return text
    path = Path(name)
    if "\0" in name or not path.exists():
        raise UsageError(f"{name} does not exist")
    if path.suffix == ".py":
        raise UsageError(
            f"{name} is Python; pipe in what your model's model_json_schema() gives, as JSON"
        )
    if path.is_dir():
        raise UsageError(f"{name} is a folder; name a JSON file in it")
    try:
        return text_of(path)
    except UnreadableError as error:
        raise UsageError(f"{name}: {error}") from None
