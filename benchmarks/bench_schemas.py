"""Schemas: how many compile for every target, how sound what comes out is, and how long it takes.

    python -m benchmarks.bench_schemas FOLDER [--tokens N] [--instances N] [TARGET…]

FOLDER has schemas in .json files, and in .jsonl files with one a line, either bare or under
"json_schema" or "schema". Random answers under each compiled schema are held against the original
schema: as they are ("raw"), and as Rung reads them ("read"), which takes a null for an optional
property as left out. Hosted targets leave bounds to the model that they do not enforce.

Times are of the processor, for a first compile with calibration, and for the same schema again.
The bars, for engines that are bounded: 99 % compile, 99 % of answers valid.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from rung.errors import SchemaError
from rung.structured.instances import random_instance
from rung.structured.mend import mended
from rung.structured.portable import compile_schema
from rung.structured.targets import TARGETS
from rung.structured.validate import violations

BAR = 0.99
FIRST_SEED = 1_000  # not the answers that schemas are calibrated with


@dataclass
class Tally:
    """What came out for one target."""

    schemas: int = 0
    answers: int = 0
    raw: int = 0
    read: int = 0
    whole: int = 0  # schemas of which every answer was valid
    first_ms: list[float] = field(default_factory=list)
    again_ms: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("targets", nargs="*", default=sorted(TARGETS))
    parser.add_argument("--tokens", type=int, help="the budget of each answer")
    parser.add_argument("--instances", type=int, default=20, help="random answers a schema")
    parser.add_argument("--complaints", type=int, default=5, help="failures to show a target")
    given = parser.parse_args()
    schemas = list(read(given.folder))
    if not schemas:
        print(f"there are no schemas in {given.folder}", file=sys.stderr)
        return 2
    print(f"{len(schemas)} schemas, {given.instances} random answers each")
    print(f"{'target':>10} {'compile':>8} {'raw':>7} {'read':>7} {'whole':>7}", end="")
    print(f" {'first ms':>9} {'p95':>8} {'again ms':>9}")
    is_met = True
    for target in given.targets:
        tally = measured(schemas, target, given.tokens, given.instances)
        is_met &= show(target, len(schemas), tally, given.complaints)
    return 0 if is_met else 1


def measured(schemas: list[tuple[str, Any]], target: str, tokens: int | None, each: int) -> Tally:
    tally = Tally()
    for name, schema in schemas:
        started = time.process_time()
        try:
            compiled = compile_schema(schema, target, tokens).schema
        except SchemaError as error:
            tally.complaints.append(f"{name}: {error}")
            continue
        between = time.process_time()
        compile_schema(schema, target, tokens)
        tally.again_ms.append((time.process_time() - between) * 1000)
        tally.first_ms.append((between - started) * 1000)
        tally.schemas += 1
        tally.answers += each
        wrong = [wrong for i in range(each) if (wrong := judged(compiled, schema, i, tally))]
        tally.whole += not wrong
        tally.complaints += [f"{name}: {len(wrong)} of {each}: {wrong[0]}"] if wrong else []
    return tally


def judged(compiled: Any, original: Any, index: int, tally: Tally) -> str:
    """What is wrong with one random answer, once it is read."""
    answer = random_instance(compiled, Random(FIRST_SEED + index))
    tally.raw += not violations(answer, original)
    wrong = violations(mended(answer, original)[0], original)
    tally.read += not wrong
    return wrong[0] if wrong else ""


def show(target: str, schemas: int, tally: Tally, complaints: int) -> bool:
    """Prints a row; whether the bars are met, where they hold."""
    compiled, answers = tally.schemas / schemas, max(tally.answers, 1)
    row = f"{target:>10} {compiled:>8.1%} {tally.raw / answers:>7.2%} {tally.read / answers:>7.2%}"
    first = sorted(tally.first_ms) or [0.0]
    times = f"{statistics.median(first):>9.2f} {first[int(len(first) * 0.95)]:>8.1f}"
    again = statistics.median(tally.again_ms or [0.0])
    print(f"{row} {tally.whole / schemas:>7.1%} {times} {again:>9.3f}")
    for complaint in tally.complaints[:complaints]:
        print(f"{'':>10} {complaint[:160]}")
    is_sound = tally.read / answers >= BAR or not TARGETS[target].is_bounded
    return compiled >= BAR and is_sound


def read(folder: Path) -> Iterator[tuple[str, Any]]:
    for path in sorted(folder.rglob("*.json*")):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            yield path.stem, json.loads(text)
        for number, line in enumerate(text.splitlines() if path.suffix == ".jsonl" else [], 1):
            row = json.loads(line)
            schema = row.get("json_schema", row.get("schema"))
            if schema is not None or "unique_id" not in row:
                yield str(row.get("unique_id", f"{path.stem}:{number}")), schema or row


if __name__ == "__main__":
    sys.exit(main())
