"""A completion in, a valid object out, or an error that says why there is none."""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec

from rung.chat import Completion
from rung.errors import EngineError
from rung.structured.closing import closed
from rung.structured.mend import is_echo, mended
from rung.structured.parse import NotJsonError, parse
from rung.structured.references import Schema
from rung.structured.refusal import RefusedError, reason_in
from rung.structured.salvage import readings
from rung.structured.validate import check_schema, violations

_SHOWN_CHARACTERS = 500


class BadOutputError(EngineError):
    """An answer without a valid object in it, of kind `bad_output`.

    `completion` is the answer, with the usage of all calls that were made for it; `problems` are
    the validation errors, or the one reason why there is nothing to validate. `value` is the JSON
    that is not valid, None if there is none.
    """

    def __init__(
        self, completion: Completion, problems: tuple[str, ...], value: Any = None
    ) -> None:
        self.completion = completion
        self.problems = problems
        self.value = value
        message = (
            f"no valid object in the answer: {'; '.join(problems)} ({_circumstances(completion)})"
        )
        super().__init__("bad_output", message, engine=completion.engine, model=completion.model)


def require_object(
    completion: Completion, schema: Schema, *, may_refuse: bool = False
) -> Completion:
    """The completion with `parsed`, valid under the caller's original `schema`.

    Tried in order: the text; the text without thinking, fences, or words around the one JSON value
    in it; the same with Python's or JavaScript's syntax; the reasoning, if the text is empty. A
    value that is not valid may be mended (see `mended`). Each step that was needed is added to
    `repairs`. A cut-off answer is judged by whether it parses. `parsed` is never None, and never
    half of an answer.

    Raises `BadOutputError`; `RefusedError` if the model `may_refuse` and does, and `EngineError` of
    the same kind if a content filter stopped the answer; `SchemaError` if the schema is not one.
    """
    check_schema(schema)
    problems: tuple[str, ...] = ()
    value: Any = None
    for reading in chain(readings(completion), closed(completion, schema)):
        try:
            value = parse(reading.text)
        except NotJsonError as error:
            cause = f"it is not JSON: {error}" if reading.text else "there is only thinking in it"
            # What is said about rewritten text helps nobody who has not seen it.
            problems = (cause,) if not problems or not reading.is_rewritten else problems
            continue
        reason = reason_in(value) if may_refuse else None
        if reason is not None and violations(value, schema):
            raise RefusedError(completion, reason)
        value, mends = mended(value, schema)
        problems = _problems(value, schema, completion)
        if not problems:
            repairs = (*completion.repairs, *reading.steps, *mends)
            return msgspec.structs.replace(completion, parsed=value, repairs=repairs)
        break  # JSON that is wrong is the answer: something inside it would be half of it
    if completion.finish_reason == "content_filter":
        raise EngineError(
            "refused",
            f"the model's provider stopped the answer ({_circumstances(completion)})",
            engine=completion.engine,
            model=completion.model,
        )
    if not completion.text.strip():
        problems = (_emptiness(completion),)
    raise BadOutputError(completion, problems, value)


def _problems(value: Any, schema: Schema, completion: Completion) -> tuple[str, ...]:
    """Why a value is not the answer; none if it is."""
    if is_echo(value, schema):
        return ("it is the JSON Schema itself, and no object of that form",)
    found = tuple(violations(value, schema))
    if not found and value is None:
        return ("it is null",)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not found and is_number and completion.finish_reason == "length":
        return ("it is a number that may have been cut off",)
    return found


def _emptiness(completion: Completion) -> str:
    if completion.tool_calls:
        return "it is empty: the model called a tool instead"
    if completion.reasoning and completion.finish_reason == "length":
        return (
            "it is empty: all tokens went into reasoning; allow more of them, or turn thinking off"
        )
    if completion.reasoning:
        return "it is empty: there is only reasoning, with no valid object in it"
    return "it is empty"


def _circumstances(completion: Completion) -> str:
    parts = [f"finish reason {completion.finish_reason}"]
    if completion.reasoning:
        parts.append(f"{len(completion.reasoning)} characters of reasoning")
    if completion.text:
        shown = completion.text[:_SHOWN_CHARACTERS]
        parts.append(
            f"it begins {shown!r}" if len(shown) < len(completion.text) else f"it is {shown!r}"
        )
    return ", ".join(parts)
