"""A place in a schema for "I cannot": without one, a grammar makes a model invent an answer."""

from __future__ import annotations

from typing import Any, cast

from rung.chat import Completion, JsonObject
from rung.errors import EngineError
from rung.structured.references import Schema

_KEY = "cannot_answer"
# What references by pointer may lead to. Before draft 6 a schema was named by "id".
_DEFINITIONS = ("$defs", "definitions")
# A hierarchical one: else relative references in the schema could not be resolved.
_BASE = "https://answer.invalid/schema"
MAX_REASON_CHARACTERS = 300

REFUSAL: JsonObject = {
    "type": "object",
    "properties": {
        _KEY: {
            "type": "object",
            "properties": {
                "reason": {"type": "string", "minLength": 1, "maxLength": MAX_REASON_CHARACTERS}
            },
            "required": ["reason"],
            "additionalProperties": False,
        }
    },
    "required": [_KEY],
    "additionalProperties": False,
}


class RefusedError(EngineError):
    """The model says that it cannot answer, of kind `refused`. `reason` is the model's own."""

    def __init__(self, completion: Completion, reason: str) -> None:
        self.completion = completion
        self.reason = reason
        message = f"the model says that it cannot answer: {reason}"
        super().__init__("refused", message, engine=completion.engine, model=completion.model)


def with_refusal(schema: Schema) -> JsonObject:
    """A schema that also allows `{"cannot_answer": {"reason": …}}`.

    The given schema keeps its meaning: it gets a base URI of its own, to which its references are
    relative, and its definitions stand at the root too, for drafts that ignore what is beside a
    `$ref`.
    """
    if not isinstance(schema, dict):
        return {"anyOf": [schema, REFUSAL]}
    draft = schema.get("$schema")
    name = "id" if isinstance(draft, str) and "draft-04" in draft else "$id"
    inner = {name: _BASE, **{key: value for key, value in schema.items() if key != "$schema"}}
    outer = {key: schema[key] for key in ("$schema", "title", *_DEFINITIONS) if key in schema}
    return {**outer, "anyOf": [inner, REFUSAL]}


def reason_in(value: Any) -> str | None:
    """The reason of a refusal; None if the value is none."""
    if not isinstance(value, dict) or value.keys() != {_KEY}:
        return None
    said = cast(JsonObject, value)[_KEY]
    reason = cast(JsonObject, said).get("reason") if isinstance(said, dict) else said
    return reason.strip() if isinstance(reason, str) and reason.strip() else None
