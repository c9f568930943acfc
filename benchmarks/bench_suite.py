"""The official JSON-Schema-Test-Suite: what compiles, what is sound, and which keywords are not.

    python -m benchmarks.bench_suite FOLDER [--instances N] [--draft D]… [--wrong N] [TARGET…]

FOLDER is `tests` of https://github.com/json-schema-org/JSON-Schema-Test-Suite; the source archive
of the PyPI package "jsonschema" has it under `json/tests`. It does not ship with Rung.

Every schema of every draft is compiled for every target. "refused" are schemas for which that is
right: they refer outside themselves, or the suite has no valid instance for them. "lost" are those
that are refused although there is one. "random" is the share of random answers under the compiled
schema that, once read, are valid under the original. "unsound" counts instances of the suite that
are invalid, that the compiled schema takes, and whose schema does not say in `relaxed` that
something is not enforced. "let by" counts those that the final validation takes as well; the bar
for both is none. "kept" is the share of the suite's valid instances that the compiled schema takes:
it need not be high, for a schema that is sent to an engine has to be closed, small and bounded.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, cast

from rung.errors import SchemaError
from rung.structured.instances import random_instance
from rung.structured.mend import mended
from rung.structured.portable import CompiledSchema, compile_schema
from rung.structured.targets import TARGETS
from rung.structured.validate import is_valid_under, violations

DRAFTS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
ADMITTED = ("not enforced", "may not be", "are not bounded", "is not JSON Schema")


class Case(NamedTuple):
    """A schema of the suite; `keyword` is its file, `tests` are its instances."""

    draft: str
    keyword: str
    title: str
    schema: Any
    tests: list[dict[str, Any]]


@dataclass
class Tally:
    compiled: int = 0
    refused: int = 0
    kept: int = 0
    valid: int = 0
    let_by: int = 0
    lost: list[str] = field(default_factory=list[str])
    random: Counter[str] = field(default_factory=Counter[str])  # by keyword
    sound: Counter[str] = field(default_factory=Counter[str])
    unsound: list[str] = field(default_factory=list[str])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("targets", nargs="*", default=sorted(TARGETS))
    parser.add_argument("--instances", type=int, default=20, help="random answers a schema")
    parser.add_argument("--draft", action="append", choices=DRAFTS, help="only these drafts")
    parser.add_argument("--wrong", type=int, default=10, help="what to show of each failure")
    given = parser.parse_args()
    cases = list(read(given.folder, given.draft or list(DRAFTS)))
    if not cases:
        print(f"{given.folder} has none of {', '.join(DRAFTS)}", file=sys.stderr)
        return 2
    print(f"{len(cases)} schemas, {given.instances} random answers each")
    print(f"{'target':>10} {'compile':>8} {'refused':>8} {'lost':>5} {'random':>8}", end="")
    print(f" {'unsound':>8} {'let by':>7} {'kept':>7}")
    is_met = True
    for target in given.targets:
        tally = Tally()
        for case in cases:
            judge(case, target, given.instances, tally)
        is_met &= show(target, len(cases), tally, given.wrong)
    return 0 if is_met else 1


def read(folder: Path, drafts: list[str]) -> Iterator[Case]:
    for draft in drafts:
        for file in sorted((folder / draft).glob("*.json")):
            for case in json.loads(file.read_text(encoding="utf-8")):
                schema: Any = case["schema"]
                if isinstance(schema, dict):
                    schema = {"$schema": DRAFTS[draft], **cast("dict[str, Any]", schema)}
                yield Case(draft, file.stem, case["description"], schema, case["tests"])


def judge(case: Case, target: str, each: int, tally: Tally) -> None:
    name = f"{case.draft}/{case.keyword}: {case.title}"
    try:
        compiled = compile_schema(case.schema, target)
    except SchemaError as error:
        # The final validation is what says that an instance is valid: it asserts formats.
        is_remote = "outside this schema" in str(error) or "cannot be used" in str(error)
        if is_remote or not any(test["valid"] for test in case.tests):
            tally.refused += 1
        else:
            tally.lost.append(f"{name}: {error}")
        return
    tally.compiled += 1
    for index in range(each):
        answer = random_instance(compiled.schema, Random(index))
        tally.random[case.keyword] += 1
        tally.sound[case.keyword] += not violations(mended(answer, case.schema)[0], case.schema)
    for test in case.tests:
        weigh(test, compiled, case, name, tally)


def weigh(
    test: dict[str, Any], compiled: CompiledSchema, case: Case, name: str, tally: Tally
) -> None:
    """Holds one instance of the suite against what the compiled schema and validation say."""
    is_taken = is_valid_under(test["data"], compiled.schema)
    tally.valid += test["valid"]
    tally.kept += test["valid"] and is_taken is True
    if test["valid"] or not is_taken:
        return
    if not violations(test["data"], case.schema):
        tally.let_by += 1
    is_said = any(word in what for what in compiled.relaxed for word in ADMITTED)
    is_mended = not violations(mended(test["data"], case.schema)[0], case.schema)
    if not is_said and not is_mended:
        tally.unsound.append(f"{name}: {test['description']}: {json.dumps(test['data'])}")


def show(target: str, cases: int, tally: Tally, wrong: int) -> bool:
    drawn = max(tally.random.total(), 1)
    print(
        f"{target:>10} {tally.compiled / cases:>8.1%} {tally.refused:>8} {len(tally.lost):>5} "
        f"{tally.sound.total() / drawn:>8.2%} {len(tally.unsound):>8} {tally.let_by:>7} "
        f"{tally.kept / max(tally.valid, 1):>7.1%}"
    )
    missed = tally.random - tally.sound
    causes = [f"{word} {count / tally.random[word]:.0%}" for word, count in missed.most_common(8)]
    if causes:
        print(f"{'':>10} random answers that fail, by keyword: {', '.join(causes)}")
    for title, found in (("lost", tally.lost), ("unsound", tally.unsound)):
        for what in found[:wrong]:
            print(f"{'':>10} {title}: {what[:170]}")
    return not tally.unsound and not tally.let_by


if __name__ == "__main__":
    sys.exit(main())
