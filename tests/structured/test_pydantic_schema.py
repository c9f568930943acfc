"""Pydantic models in: what is drawn from the compiled schema, the model itself takes."""

from __future__ import annotations

import datetime
import enum
import ipaddress
import subprocess
import sys
import uuid
from decimal import Decimal
from random import Random
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AnyUrl,
    BaseModel,
    Field,
    IPvAnyAddress,
    RootModel,
    TypeAdapter,
    conint,
    constr,
)

from rung.errors import SchemaError
from rung.structured import compile_schema, violations
from rung.structured.instances import random_instance
from rung.structured.pydantic_schema import schema_of

INSTANCES = 20


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Person(BaseModel):
    name: constr(min_length=1, max_length=20)  # type: ignore[valid-type]
    age: conint(ge=0, le=120) | None = None  # type: ignore[valid-type]
    colour: Colour
    level: Level = Level.LOW


class Money(BaseModel):
    amount: Decimal
    rate: Annotated[Decimal, Field(ge=0, le=1)]


class Host(BaseModel):
    address: IPvAnyAddress
    four: ipaddress.IPv4Address
    home: AnyUrl | None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    friends: list[Person]


class Pets(BaseModel):
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]]


class Names(RootModel[list[Person]]):
    pass


class Moments(BaseModel):
    day: datetime.date
    at: datetime.datetime
    took: datetime.timedelta
    id: uuid.UUID
    pair: tuple[int, str]
    tags: set[Colour]


class Counts(BaseModel):
    by_colour: dict[Colour, int]
    by_code: dict[Annotated[str, Field(pattern="^[a-z]{2}$")], int]


class Plain:
    pass


class Tree(BaseModel):
    value: int
    kids: list[Tree] = []


MODELS = [Person, Money, Host, Pets, Names, Moments, Counts, Tree, Cat | Dog, list[Level]]


@pytest.mark.parametrize("target", ["llamacpp", "llguidance", "generic"])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_a_model_takes_all_that_its_compiled_schema_allows(model: Any, target: str) -> None:
    adapter = TypeAdapter(model)
    schema = schema_of(model)
    compiled = compile_schema(model, target).schema
    for seed in range(INSTANCES):
        answer = random_instance(compiled, Random(seed))
        if isinstance(answer, dict) and "tags" in answer:
            answer["tags"] = list(dict.fromkeys(answer["tags"]))  # no grammar keeps a set apart
        adapter.validate_python(answer)
        assert violations(answer, schema) == []


def test_the_keys_of_a_dictionary_by_an_enum_are_properties() -> None:
    counts = compile_schema(Counts, "llamacpp").schema["properties"]["by_colour"]
    assert list(counts["properties"]) == ["red", "green"]
    assert counts["additionalProperties"] is False


def test_a_schema_is_its_own_schema() -> None:
    assert schema_of({"type": "object"}) == {"type": "object"}
    assert schema_of(True) is True


@pytest.mark.parametrize("wrong", [None, 5, "Person", [], Plain, set[Plain]])
def test_what_has_no_schema_is_refused(wrong: Any) -> None:
    with pytest.raises(SchemaError):
        schema_of(wrong)


def test_a_schema_as_json_does_not_cost_the_import_of_pydantic() -> None:
    code = (
        "import sys; from rung.structured.portable import compile_schema; "
        "compile_schema({'type': 'object'}, 'llamacpp'); assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
