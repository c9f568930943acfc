"""JSON Schema in, valid object out."""

from __future__ import annotations

from rung.structured.answer import BadOutputError, require_object
from rung.structured.budget import BudgetError
from rung.structured.complete import complete_object, with_instructions
from rung.structured.instructions import instructions
from rung.structured.partial import PartialObject
from rung.structured.portable import CompiledSchema, compile_schema, tokens_needed
from rung.structured.refusal import RefusedError, with_refusal
from rung.structured.stream import stream_object
from rung.structured.validate import check_schema, violations

__all__ = [
    "BadOutputError",
    "BudgetError",
    "CompiledSchema",
    "PartialObject",
    "RefusedError",
    "check_schema",
    "compile_schema",
    "complete_object",
    "instructions",
    "require_object",
    "stream_object",
    "tokens_needed",
    "violations",
    "with_instructions",
    "with_refusal",
]
