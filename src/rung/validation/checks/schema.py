"""`schema:FILE`: the answer's object against a JSON Schema."""

from __future__ import annotations

from pathlib import Path

from rung.chat import Completion, JsonObject
from rung.errors import SchemaError, UsageError
from rung.structured.answer import BadOutputError, require_object
from rung.structured.parse import NotJsonError, parse
from rung.structured.validate import check_schema, violations
from rung.validation.paths import UnsafePathError, safe_path
from rung.validation.registry import validator
from rung.validation.verdict import Candidate, CheckContext, Verdict


def check_schema_file(argument: str, base: Path) -> None:
    check_schema(_load(argument, base))


@validator("schema", form="schema:FILE", rank=10, check_argument=check_schema_file, reads_only=True)
async def schema(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`schema:FILE`: the answer is JSON and valid against the JSON Schema in FILE.

    FILE is relative to the project. An inline schema, `schema:{"type": …}`, works too. Of an answer
    that is text, the one JSON value in it counts; of one file, its content.
    """
    wanted = _load(argument, context.base)
    if candidate.object is not None:
        problems = tuple(violations(candidate.object, wanted))
    else:
        problems = _problems_of_text(candidate, wanted)
    return Verdict(
        validator="schema",
        result="fail" if problems else "pass",
        evidence="\n".join(problems) or "valid",
    )


def _problems_of_text(candidate: Candidate, wanted: JsonObject) -> tuple[str, ...]:
    contents = list(candidate.files.values())
    is_file = len(contents) == 1
    text = contents[0] if is_file else candidate.text
    try:
        read = require_object(Completion(text=text, engine="", model=""), wanted)
    except BadOutputError as error:
        return error.problems
    # What was mended to be read is not mended where the answer is used.
    mends = [name for name in read.repairs if is_file or not name.startswith("stripped_")]
    return (f"it is valid only after mending: {', '.join(mends)}",) if mends else ()


def _load(argument: str, base: Path) -> JsonObject:
    if not argument:
        raise UsageError("check 'schema' needs a file: schema:FILE.")
    name = "the inline schema" if argument.startswith("{") else argument
    text = argument if argument.startswith("{") else _read(argument, base)
    try:
        value = parse(text)
    except NotJsonError as error:
        raise SchemaError(f"{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise SchemaError(f"{name} is not a JSON Schema: it must be an object")
    return value  # pyright: ignore[reportUnknownVariableType]


def _read(argument: str, base: Path) -> str:
    try:
        return safe_path(base, argument).read_text(encoding="utf-8")
    except UnsafePathError as error:
        raise UsageError(f"check 'schema:{argument}': {error}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"check 'schema:{argument}': it is not UTF-8 text.") from error
    except OSError as error:
        raise UsageError(f"check 'schema:{argument}': {error.strerror}.") from error
