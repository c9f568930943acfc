"""A pydantic model, or any type that pydantic knows, as a JSON Schema.

What pydantic itself says of a type is mended where engines and validators would take it wrongly.
"""

from __future__ import annotations

from typing import Any, cast

from rung.chat import JsonObject
from rung.errors import SchemaError
from rung.structured.references import Schema

# Formats of pydantic's own, as those that JSON Schema knows.
_FORMATS: dict[str, list[JsonObject]] = {
    "ipvanyaddress": [{"format": "ipv4"}, {"format": "ipv6"}],
    "multi-host-uri": [{"format": "uri"}],
    "ipv4network": [{"format": "ipv4"}],
    "ipv4interface": [{"format": "ipv4"}],
    "ipvanynetwork": [{"format": "ipv4"}],
    "ipvanyinterface": [{"format": "ipv4"}],
    "name-email": [{"format": "email"}],
}
# Keywords whose values are data, and those whose values are named schemas.
_DATA = ("enum", "const", "default", "examples", "discriminator")
_NAMED = ("properties", "$defs", "patternProperties")


def schema_of(given: Any) -> Schema:
    """The JSON Schema of what a caller gives: itself, or that of a type such as a pydantic model.

    Raises `SchemaError` if it is neither, or a type that has no JSON Schema.
    """
    if isinstance(given, dict | bool):
        return cast(Schema, given)
    if given is None or isinstance(given, str | int | float | list | tuple):
        kind = "nothing" if given is None else f"a {type(cast(object, given)).__name__}"
        raise SchemaError(f"a JSON Schema is an object or a boolean, not {kind}")
    try:
        return _mended(_pydantic_schema(given))
    except ImportError:
        raise SchemaError("a type can be a schema only where pydantic is installed") from None


def _pydantic_schema(given: Any) -> JsonObject:
    # Imported here: whoever gives a model has it, and others need not pay for it.
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError
    from pydantic.json_schema import GenerateJsonSchema

    class Numbers(GenerateJsonSchema):
        """Decimals as numbers only: the string that pydantic takes as well may be any text."""

        def decimal_schema(self, schema: Any) -> JsonObject:
            found = super().decimal_schema(schema)
            return next(iter(found.get("anyOf", [found])))

    try:
        return TypeAdapter[Any](given).json_schema(schema_generator=Numbers)
    except (PydanticUserError, NameError, TypeError) as error:
        raise SchemaError(f"{given!r} has no JSON Schema: {error}") from error


def _mended(schema: JsonObject) -> JsonObject:
    mended = {keyword: _inside(keyword, value) for keyword, value in schema.items()}
    if "patternProperties" in mended:
        # A dictionary whose keys have a pattern has no others.
        mended.setdefault("additionalProperties", False)
    if (known := _FORMATS.get(str(mended.get("format")))) is not None:
        del mended["format"]
        mended |= known[0] if len(known) == 1 else {"anyOf": known}
    return mended


def _inside(keyword: str, value: Any) -> Any:
    if keyword in _DATA:
        return value
    if keyword in _NAMED:
        named = cast(JsonObject, value)
        return {name: _inside("", sub) for name, sub in named.items()}
    if isinstance(value, dict):
        return _mended(cast(JsonObject, value))
    if isinstance(value, list):
        return [_inside(keyword, item) for item in cast("list[Any]", value)]
    return value
