"""How often random answers under a compiled schema are valid under the original, and where not.

What an engine writes under a schema that it enforces is one of the answers that the schema allows.
So a compiled schema is tried out, before any model is asked, on answers drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from rung.chat import JsonObject
from rung.structured.instances import random_instance
from rung.structured.mend import mended
from rung.structured.references import Schema, escaped
from rung.structured.validate import errors_of, validator_of

SAMPLES = 8

# What small decimals and large ones are worth is more than an engine's mistakes with them: a part
# that has such a bound is kept, and validation judges what is said in it.
_KEPT = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})


@dataclass(frozen=True, slots=True)
class Trial:
    """`share` of the answers were valid.

    `places` (pointers, `*` for items) is what went wrong in the others and may be left out.
    """

    share: float
    places: frozenset[str] = frozenset()


def trial(compiled: JsonObject, original: Schema, samples: int = SAMPLES) -> Trial:
    """The same answers for the same schema. They are read as a model's: unambiguous mends count."""
    validator = validator_of(original)
    places: set[str] = set()
    valid = 0
    for seed in range(samples):
        answer = random_instance(compiled, Random(seed))  # noqa: S311 (not a secret)
        if validator.is_valid(answer) or not errors_of(mended(answer, original)[0], original):
            valid += 1
        else:
            errors = errors_of(answer, original)
            places.update(_place(e.instance_path) for e in errors if e.kind.name not in _KEPT)
    return Trial(valid / samples, frozenset(places))


def _place(path: list[str | int]) -> str:
    return "".join(f"/{escaped(step)}" if isinstance(step, str) else "/*" for step in path)
