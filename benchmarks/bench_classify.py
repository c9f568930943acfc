"""Measure the task classifier on labelled requests: totals only, unless --mistakes is given.

`python -m benchmarks.bench_classify second` (or another part, or any .jsonl of the same shape)
prints, for the rules alone and for the whole, accuracy, recall and precision by type with 95 %
Wilson intervals, the confusion matrix and the time per request. The packaged weights were trained
on `development` and `third`, their limits chosen on `second`; `frozen`, `unseen` and `sealed` had
no part in them. `--mistakes` lists the wrong ones, never of those three.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rung.escalation.classify import classify, read_by_rules
from rung.escalation.rulebook import rulebook
from rung.escalation.task import TASK_TYPES, Classification, TaskType
from rung.escalation.text_model import blend

FOLDER = Path(__file__).parent / "requests"
FROZEN = ("frozen", "unseen", "sealed", "everyday")
Z_95 = 1.959964


@dataclass(frozen=True)
class Row:
    """A labelled request and what the classifier made of it in how long."""

    key: str
    text: str
    paths: tuple[str, ...]
    label: str
    by_rules: TaskType
    found: Classification
    seconds: float


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    if not total:
        return 0.0, 1.0
    share, z2 = hits / total, Z_95**2
    middle = share + z2 / (2 * total)
    half = Z_95 * ((share * (1 - share) + z2 / (4 * total)) / total) ** 0.5
    scale = 1 + z2 / total
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def measured(path: Path) -> list[Row]:
    """Classify every row of a file."""
    classify("warm up")
    rows: list[Row] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        start = time.perf_counter()
        found = classify(row["text"], row["paths"])
        seconds = time.perf_counter() - start
        paths = tuple(row["paths"])
        by_rules = read_by_rules(row["text"], paths, rulebook())[0].kind
        rows.append(Row(row["id"], row["text"], paths, row["type"], by_rules, found, seconds))
    return rows


def report(rows: list[Row]) -> str:
    """Totals in Markdown, of the rules alone and of the whole."""
    times = sorted(row.seconds * 1000 for row in rows)
    slow = times[int(len(times) * 0.99)]
    return "\n".join(
        (
            "rules alone: " + "\n".join(_totals([(row.label, row.by_rules) for row in rows])),
            "",
            f"{blend.described()[0]}: "
            + "\n".join(_totals([(row.label, row.found.type) for row in rows])),
            "",
            f"time: median {statistics.median(times):.2f} ms, 99 % below {slow:.2f} ms",
        )
    )


def _totals(found: list[tuple[str, TaskType]]) -> list[str]:
    """Accuracy, recall, precision and the confusion matrix of pairs of label and finding."""
    pairs = Counter(found)
    right = sum(pairs[kind, kind] for kind in TASK_TYPES)
    lines = [f"accuracy {_share(right, len(found))}", "", "| type | recall | precision |"]
    lines.append("|---|---|---|")
    for kind in TASK_TYPES:
        labelled = sum(pairs[kind, other] for other in TASK_TYPES)
        said = sum(pairs[other, kind] for other in TASK_TYPES)
        hits = pairs[kind, kind]
        lines.append(f"| `{kind}` | {_share(hits, labelled)} | {_share(hits, said)} |")
    lines += ["", "| labelled \\ found | " + " | ".join(f"`{kind}`" for kind in TASK_TYPES) + " |"]
    lines.append("|---" * (len(TASK_TYPES) + 1) + "|")
    for kind in TASK_TYPES:
        cells = " | ".join(str(pairs[kind, other]) for other in TASK_TYPES)
        lines.append(f"| `{kind}` | {cells} |")
    return lines


def _share(hits: int, total: int) -> str:
    low, high = wilson(hits, total)
    share = f"{hits / total:.1%}" if total else "-"
    return f"{share} ({hits} of {total}; {low:.1%} to {high:.1%})"


def main(argv: list[str] | None = None) -> int:
    """Print the report; 1 where the mistakes of a frozen part are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "part", help="development, second, third, frozen, unseen, sealed, or a file"
    )
    parser.add_argument("--mistakes", action="store_true", help="list the wrong ones")
    options = parser.parse_args(argv)
    path = Path(options.part)
    path = path if path.suffix == ".jsonl" else FOLDER / f"{path}.jsonl"
    if options.mistakes and path.stem in FROZEN:
        print("single rows of a frozen part are not to be looked at", file=sys.stderr)
        return 1
    rows = measured(path)
    print(report(rows))
    for row in rows:
        if options.mistakes and row.found.type != row.label:
            print(
                f"{row.key} {row.label} -> {row.found.type} {row.found.reasons}: {row.text[:160]!r}"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
