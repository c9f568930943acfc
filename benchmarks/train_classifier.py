"""Train the word weights of the task classifier, and measure them on authors who were left out.

    pip install scikit-learn==1.9.1
    python -m benchmarks.train_classifier              # writes the packaged linear.json
    python -m benchmarks.train_classifier --measure    # on others: `second`, and authors left out

On `second` it also asks the packaged encoder, which was not trained on it either. The frozen parts
are never read. Same rows, same file.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import scipy.sparse as sparse
from sklearn.linear_model import LogisticRegression

from benchmarks.bench_classify import wilson
from benchmarks.labelled import Labelled, digest, labelled
from rung.escalation.classify import read_by_rules
from rung.escalation.mentions import wanted_text
from rung.escalation.rulebook import rulebook
from rung.escalation.task import TASK_TYPES
from rung.escalation.text_model import blend, encoder, linear
from rung.escalation.text_model.features import in_text, weighed

STRENGTH = 1.2  # inverse of the regularisation
MIN_ROWS = 5  # a word, or a part of one, is used if this many rows have it
UNIT = 0.002
LIMITS = ((1.0, 1.0), (0.4, 0.05), (0.33, 0.05), (0.28, 0.05), (0.22, 0.05), (0.15, 0.05))
CRITICAL_FROM, CRITICAL_FROM_IF_RULES_AGREE, ENCODER_SHARE = 0.28, 0.05, 0.6
Seen = tuple[dict[str, float], frozenset[str]]


def seen(row: Labelled) -> Seen:
    """A row's features by rules and of its text."""
    _, by_rules = read_by_rules(row.text, row.paths, rulebook())
    return by_rules, in_text(row.text, row.paths)


def trained(features: Sequence[Seen], labels: Sequence[int], about: str) -> linear.LinearModel:
    """Logistic regression; weights that round to nothing are left away."""
    counts = Counter(name for _, names in features for name in names)
    names = {name for name, count in counts.items() if count >= MIN_ROWS}
    names |= {name for by_rules, _ in features for name in by_rules}
    order = {name: at for at, name in enumerate(sorted(names))}
    cells = [
        (row, order[name], value)
        for row, (by_rules, texts) in enumerate(features)
        for name, value in weighed(by_rules, texts, order).items()
    ]
    rows, columns, values = zip(*cells, strict=True)
    table = sparse.csr_matrix((values, (rows, columns)), (len(features), len(order)))
    model = LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-4).fit(table, labels)
    weights = np.rint(model.coef_ / UNIT).astype(int).T
    return linear.LinearModel(
        format=linear.FORMAT,
        trained_on=about,
        bias=tuple(round(float(value), 4) for value in model.intercept_),
        unit=UNIT,
        critical_from=CRITICAL_FROM,
        critical_from_if_rules_agree=CRITICAL_FROM_IF_RULES_AGREE,
        encoder_share=ENCODER_SHARE,
        weights={n: tuple(weights[at].tolist()) for n, at in order.items() if weights[at].any()},
    )


def told(name: str, rows: Sequence[Labelled], features: Sequence[Seen], scores: Any) -> None:
    """Accuracy and recall on critical, by the limits from which a request is critical."""
    critical = [n for n, row in enumerate(rows) if TASK_TYPES[row.label] == "critical"]
    for limits in LIMITS:
        right: list[bool] = []
        for row, (by_rules, _), score in zip(rows, features, scores, strict=True):
            limit = limits["d:critical" in by_rules]
            right.append(TASK_TYPES.index(blend.decided(score, limit).kind) == row.label)
        hits, found = sum(right), sum(right[n] for n in critical)
        low, high = wilson(hits, len(rows))
        bottom, top = wilson(found, len(critical))
        print(
            f"{name:32} from {limits[0]:.2f}, {limits[1]:.2f} if rules agree: "
            f"{hits / len(rows):.1%} ({low:.1%} to {high:.1%}), "
            f"critical {found / len(critical):.1%} ({bottom:.1%} to {top:.1%})"
        )


def measure(rows: Sequence[Labelled], features: Sequence[Seen]) -> None:
    """On the part `second` with all that is packaged; then by words on each author left out."""
    others = labelled(["second"])
    seen_of = [seen(row) for row in others]
    model = trained(features, [row.label for row in rows], "")
    scores = [model.scores(weighed(*one, model.weights)) for one in seen_of]
    told("second: rules and words", others, seen_of, scores)
    reader = encoder.packaged()
    if not isinstance(reader, str):
        read = [reader.scores(wanted_text(row.text, rulebook()), row.paths) for row in others]
        told("second: encoder alone", others, seen_of, read)
        both = [blend.blended(a, b, model) for a, b in zip(scores, read, strict=True)]
        told("second: with encoder", others, seen_of, both)
    for author in dict.fromkeys(row.author for row in rows):
        inside = [n for n, row in enumerate(rows) if row.author != author]
        own = [n for n, row in enumerate(rows) if row.author == author]
        model = trained([features[n] for n in inside], [rows[n].label for n in inside], "")
        scores = [model.scores(weighed(*features[n], model.weights)) for n in own]
        of, seen_of = [rows[n] for n in own], [features[n] for n in own]
        told(f"{author}: rules and words", of, seen_of, scores)


def main() -> None:
    """Write the packaged file, or measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="write nothing")
    options = parser.parse_args()
    rows = labelled()
    features = [seen(row) for row in rows]
    if options.measure:
        measure(rows, features)
        return
    about = f"{len(rows)} rows, SHA-256 {digest()}"
    model = trained(features, [row.label for row in rows], about)
    text = msgspec.json.format(msgspec.json.encode(model), indent=0).replace(b",\n", b", ")
    Path(linear.__file__).with_name(linear.FILE).write_bytes(text + b"\n")
    print(f"{len(model.weights)} weights, {len(text)} bytes")


if __name__ == "__main__":
    main()
