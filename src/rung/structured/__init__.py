"""JSON Schema in, valid object out."""

from __future__ import annotations

from rung.structured.answer import BadOutputError, read_object
from rung.structured.complete import complete_object, with_instructions
from rung.structured.instructions import instructions
from rung.structured.portable import CompiledSchema, compile_schema
from rung.structured.validate import check_schema, violations

__all__ = [
    "BadOutputError",
    "CompiledSchema",
    "check_schema",
    "compile_schema",
    "complete_object",
    "instructions",
    "read_object",
    "violations",
    "with_instructions",
]
