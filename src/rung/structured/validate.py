"""Is this a schema, and is that valid under it? By jsonschema-rs, with formats asserted."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import islice
from typing import cast

import jsonschema_rs
from jsonschema_rs import Draft4Validator, Draft7Validator, ReferencingError, ValidationError

from rung.chat import JsonObject
from rung.errors import SchemaError
from rung.structured.parse import nesting
from rung.structured.references import References, Schema, escaped

MAX_VIOLATIONS = 20
MAX_NESTING = 100
_MAX_MESSAGE_CHARACTERS = 300
_MAX_BRANCHES = 4
_REFERENCE = re.compile(r'"\$(ref|dynamicRef|recursiveRef)"')

# What only an older draft allows, by the keyword at which the newest one fails, for schemas that
# do not say their draft.
_OLDER = {
    "items": Draft7Validator,
    "exclusiveMinimum": Draft4Validator,
    "exclusiveMaximum": Draft4Validator,
}


def check_schema(schema: object) -> None:
    """Raises `SchemaError`, with JSON Pointer and cause, if `schema` cannot be used as a schema.

    Its draft is what `$schema` says, else 2020-12. References must stay inside it.
    """
    _validator(_text(schema))


def violations(instance: object, schema: Schema) -> list[str]:
    """What makes `instance` invalid, at most 20, each as `JSON Pointer: message`; empty if valid.

    A validator that cannot judge (a pattern that backtracks too far, text that is not Unicode)
    says so as a violation. Raises `SchemaError` if `schema` is not a schema.
    """
    validator = _validator(_text(schema))
    try:
        errors = list(islice(validator.iter_errors(instance), MAX_VIOLATIONS))
    except (ValueError, RecursionError) as error:
        return [f"/: cannot be checked: {error}"]
    return [_message(error) for error in errors]


def is_valid_under(instance: object, schema: object) -> bool | None:
    """Whether `instance` satisfies `schema`, a part of a greater one; None if that is unknown.

    It is unknown where the part refers to the whole.
    """
    try:
        text = _text(schema)
        return None if _REFERENCE.search(text) else _validator(text).is_valid(instance)
    except (SchemaError, ValueError, RecursionError):
        return None


def validator_of(schema: Schema) -> jsonschema_rs.Validator:
    """The validator of a checked schema, for whoever has many answers to hold against it."""
    return _validator(_text(schema))


def errors_of(instance: object, schema: Schema) -> list[ValidationError]:
    """The validator's own errors, for whoever mends an answer by their kind; [] if unknown."""
    try:
        return list(_validator(_text(schema)).iter_errors(instance))
    except (ValueError, RecursionError):
        return []


def _text(schema: object) -> str:
    if not isinstance(schema, dict | bool):
        kind = "nothing" if schema is None else f"a {type(schema).__name__}"
        raise SchemaError(f"a JSON Schema is an object or a boolean, not {kind}")
    try:
        text = json.dumps(schema, allow_nan=False, ensure_ascii=False)
        text.encode()
    except RecursionError:
        raise SchemaError("the schema is nested too deeply, or contains itself") from None
    except (TypeError, ValueError) as error:
        raise SchemaError(f"the schema is not JSON: {error}") from error
    return text


@lru_cache(maxsize=128)
def _validator(text: str) -> jsonschema_rs.Validator:
    schema: JsonObject | bool = json.loads(text)
    if nesting(text) > MAX_NESTING:
        raise SchemaError(f"the schema is nested more than {MAX_NESTING} levels deep")
    kind = jsonschema_rs.validator_cls_for(schema)
    try:
        return _compiled(kind, schema)
    except ValidationError as error:
        keyword = error.instance_path[-1] if error.instance_path else None
        older = _OLDER.get(str(keyword))
        if older is None or (isinstance(schema, dict) and "$schema" in schema):
            raise SchemaError(_complaint(error, schema)) from error
    try:
        return _compiled(older, schema)
    except ValidationError as error:
        raise SchemaError(_complaint(error, schema)) from error


def _compiled(kind: type[jsonschema_rs.Validator], schema: Schema) -> jsonschema_rs.Validator:
    try:
        # Offline: a schema must not make Rung fetch things.
        return kind(schema, validate_formats=True, offline=True)
    except ValidationError:
        raise
    except (ReferencingError, ValueError) as error:
        raise SchemaError(f"the schema cannot be used: {error}") from error


def _complaint(error: ValidationError, schema: Schema) -> str:
    return f"not a JSON Schema: {References(schema).broken() or _message(error)}"


def _message(error: ValidationError) -> str:
    path = "".join(f"/{escaped(str(part))}" for part in error.instance_path)
    return f"{path or '/'}: {_shortened(_said(error))}"


def _said(error: ValidationError) -> str:
    """The validator's message; for alternatives, what each one of them has against the value."""
    branches = cast("list[list[ValidationError]]", getattr(error.kind, "context", []))
    causes = dict.fromkeys(
        f"at {'/'.join(map(str, deeper))}: {first.message}" if deeper else first.message
        for first in (branch[0] for branch in branches[:_MAX_BRANCHES] if branch)
        for deeper in [first.instance_path[len(error.instance_path) :]]
    )
    return "; or ".join(map(_shortened, causes)) or error.message


def _shortened(message: str) -> str:
    cut = message[:_MAX_MESSAGE_CHARACTERS]
    return cut if cut == message else f"{cut}…"
