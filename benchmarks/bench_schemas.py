"""Schemas: how many compile for every target, how sound what comes out is, and how long it takes.

    python -m benchmarks.bench_schemas FOLDER [--tokens N] [--instances N] [--groups] [TARGET…]

FOLDER has schemas in .json files, and in .jsonl files with one a line. Random answers under each
compiled schema are held against the original schema: as they are ("raw"), and as Rung reads them
("read"), which takes a null for an optional property as left out. A compiled schema has no keyword
that its engine does not enforce, so a random answer is one that the engine may let through. Numbers
that nothing bounds are drawn from ±1,000, strings from 0 to 12 letters of several scripts.

"hint" counts the schemas that a strict mode cannot take. Their engine is only shown what is wanted,
so their answers, which count all the same, say how whole that is, not what is enforced. "no room"
counts those whose required parts cannot fit the budget, which is said before the call. Below each
row stand the keywords of the original that answers fail, and with --groups the group that is worst.

Times are of the processor, for a first compile with calibration, and for the same schema again.
The bars: 99 % compile or are refused for want of room, 99 % of answers valid, 2 ms.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from benchmarks.schema_folder import Sample, samples
from rung.chat import JsonObject
from rung.errors import SchemaError
from rung.structured.budget import BudgetError
from rung.structured.instances import random_instance
from rung.structured.mend import mended
from rung.structured.portable import compile_schema
from rung.structured.targets import TARGETS
from rung.structured.validate import errors_of, violations

BAR = 0.99
BAR_MS = 2.0
FIRST_SEED = 1_000  # not the answers that schemas are calibrated with


@dataclass
class Tally:
    """What came out for one target."""

    schemas: int = 0
    hints: int = 0
    no_room: int = 0
    whole: int = 0  # schemas of which every answer was valid
    raw: int = 0
    answers: Counter[str] = field(default_factory=Counter[str])  # by group
    read: Counter[str] = field(default_factory=Counter[str])
    failed: Counter[str] = field(default_factory=Counter[str])  # by keyword
    first_ms: list[float] = field(default_factory=list[float])
    again_ms: list[float] = field(default_factory=list[float])
    complaints: list[str] = field(default_factory=list[str])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("targets", nargs="*", default=sorted(TARGETS))
    parser.add_argument("--tokens", type=int, help="the budget of each answer")
    parser.add_argument("--instances", type=int, default=20, help="random answers a schema")
    parser.add_argument("--complaints", type=int, default=0, help="failures to show a target")
    parser.add_argument("--groups", action="store_true", help="show the worst group of schemas")
    given = parser.parse_args()
    schemas = samples(given.folder)
    if not schemas:
        print(f"there are no schemas in {given.folder}", file=sys.stderr)
        return 2
    print(f"{len(schemas)} schemas, {given.instances} random answers each")
    print(
        f"{'target':>10} {'compile':>8} {'no room':>8} {'hint':>5} {'raw':>7} {'read':>7}", end=""
    )
    print(f" {'whole':>7} {'first ms':>9} {'p95':>8} {'again ms':>9}")
    is_met = True
    for target in given.targets:
        tally = measured(schemas, target, given.tokens, given.instances)
        is_met &= show(target, len(schemas), tally)
        show_causes(tally, given.groups, given.complaints)
    return 0 if is_met else 1


def measured(schemas: list[Sample], target: str, tokens: int | None, each: int) -> Tally:
    tally = Tally()
    for sample in schemas:
        started = time.process_time()
        try:
            compiled = compile_schema(sample.schema, target, tokens)
        except BudgetError as error:
            tally.no_room += 1
            tally.complaints.append(f"{sample.name}: {error}")
            continue
        except SchemaError as error:
            tally.complaints.append(f"{sample.name}: {error}")
            continue
        between = time.process_time()
        compile_schema(sample.schema, target, tokens)
        tally.again_ms.append((time.process_time() - between) * 1000)
        tally.first_ms.append((between - started) * 1000)
        tally.hints += TARGETS[target].is_closed and not compiled.is_strict
        judge(compiled.schema, sample, each, tally)
    return tally


def judge(compiled: JsonObject, sample: Sample, each: int, tally: Tally) -> None:
    """Holds random answers against the original."""
    tally.schemas += 1
    tally.answers[sample.group] += each
    complaints: list[str] = []
    for index in range(each):
        answer = random_instance(compiled, Random(FIRST_SEED + index))
        tally.raw += not violations(answer, sample.schema)
        mine = mended(answer, sample.schema)[0]
        wrong = violations(mine, sample.schema)
        tally.read[sample.group] += not wrong
        complaints += wrong[:1]
        if wrong:
            causes = {error.kind.name for error in errors_of(mine, sample.schema)}
            tally.failed.update(causes)
    tally.whole += not complaints
    if complaints:
        tally.complaints.append(f"{sample.name}: {len(complaints)} of {each}: {complaints[0]}")


def show(target: str, schemas: int, tally: Tally) -> bool:
    """Prints a row; whether the bars are met."""
    answers = max(tally.answers.total(), 1)
    compiled, read = tally.schemas / schemas, tally.read.total() / answers
    first = sorted(tally.first_ms) or [0.0]
    median, again = statistics.median(first), statistics.median(tally.again_ms or [0.0])
    print(
        f"{target:>10} {compiled:>8.1%} {tally.no_room:>8} {tally.hints:>5} "
        f"{tally.raw / answers:>7.2%} {read:>7.2%} {tally.whole / schemas:>7.1%} "
        f"{median:>9.2f} {first[int(len(first) * 0.95)]:>8.1f} {again:>9.3f}"
    )
    is_whole = (tally.schemas + tally.no_room) / schemas >= BAR
    return is_whole and read >= BAR and median <= BAR_MS


def show_causes(tally: Tally, has_groups: bool, complaints: int) -> None:
    if tally.failed:
        causes = ", ".join(f"{name} {count}" for name, count in tally.failed.most_common(6))
        print(f"{'':>10} answers that fail, by keyword: {causes}")
    shares = {group: tally.read[group] / count for group, count in tally.answers.items()}
    if has_groups and shares:
        worst = min(shares, key=lambda group: shares[group])
        print(f"{'':>10} worst group: {worst} {shares[worst]:.1%}")
    for complaint in tally.complaints[:complaints]:
        print(f"{'':>10} {complaint[:160]}")


if __name__ == "__main__":
    sys.exit(main())
