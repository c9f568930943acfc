"""`schema:FILE`: the answer's object against a JSON Schema."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import msgspec

from rung.errors import SchemaError, UsageError
from rung.validation.paths import UnsafePathError, safe_path
from rung.validation.registry import validator
from rung.validation.verdict import Candidate, CheckContext, Result, Verdict

_MOST_ERRORS = 20
_LONGEST_MESSAGE = 300


def check_schema_file(argument: str, base: Path) -> None:
    _compile(_load(argument, base))


@validator("schema", form="schema:FILE", rank=10, check_argument=check_schema_file, runs=1)
async def schema(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`schema:FILE`: the answer is JSON and valid against the JSON Schema in FILE.

    FILE is relative to the project. An inline schema, `schema:{"type": …}`, works too.
    """
    compiled = _compile(_load(argument, context.base))
    instance = candidate.object
    if instance is None:
        try:
            instance = msgspec.json.decode(candidate.text.encode("utf-8", "replace"))
        except (msgspec.DecodeError, RecursionError) as error:
            return _verdict("fail", f"the answer is not JSON: {error}")
    try:
        errors = list(itertools.islice(compiled.iter_errors(instance), _MOST_ERRORS + 1))
    except ValueError as error:  # nested too deeply, or holds what JSON cannot
        return _verdict("fail", f"the answer cannot be validated: {error}")
    if not errors:
        return _verdict("pass", "valid")
    lines = [_line(error) for error in errors[:_MOST_ERRORS]]
    if len(errors) > _MOST_ERRORS:
        lines.append("… and more")
    return _verdict("fail", "\n".join(lines))


def _verdict(result: Result, evidence: str) -> Verdict:
    return Verdict(validator="schema", result=result, evidence=evidence)


def _line(error: jsonschema_rs.ValidationError) -> str:
    """JSON pointer (RFC 6901) and message."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in error.instance_path)
    pointer = "".join(f"/{part}" for part in parts)
    return f"{pointer or '(root)'}: {error.message[:_LONGEST_MESSAGE]}"


def _load(argument: str, base: Path) -> Any:
    if not argument:
        raise UsageError("check 'schema' needs a file: schema:FILE.")
    if argument.startswith("{"):
        text, name = argument.encode(), "the inline schema"
    else:
        path, name = _inside(base, argument), argument
        try:
            text = path.read_bytes()
        except OSError as error:
            raise UsageError(f"check 'schema:{argument}': {error.strerror}: {path}.") from error
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SchemaError(f"{name} is not JSON: {error}") from error


def _inside(base: Path, argument: str) -> Path:
    try:
        return safe_path(base, argument)
    except UnsafePathError as error:
        raise UsageError(f"check 'schema:{argument}': {error}.") from error


def _compile(document: Any) -> jsonschema_rs.Validator:
    if not isinstance(document, dict):
        raise SchemaError(f"a JSON Schema is an object, not {type(document).__name__}.")
    whole = cast("dict[str, Any]", document)
    try:
        # offline: a `$ref` to a web page must not make a check fetch it
        return jsonschema_rs.validator_for(whole, validate_formats=True, offline=True)
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        message = getattr(error, "message", str(error))
        raise SchemaError(f"not a valid JSON Schema: {message}") from error
