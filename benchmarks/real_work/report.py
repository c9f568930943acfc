"""The report of a run, as Markdown. All of it but the times follows from the answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

from rung.escalation.learning.rates import wilson

Record = dict[str, Any]
# How many tasks each suite has.
SUITES = {"repairs": 49, "HumanEval": 164}
HEAD = """# Real work, measured

What `rung do` makes of real tasks, where it is known which answers are right. Written by

    python -m benchmarks.real_work --out real.jsonl --report docs/real-work.md

The tasks are small repairs in `benchmarks/real_work/repairs`, written for this, and the problems of
HumanEval (Chen et al., 2021), which pip fetches for the run. Each has *visible* tests, which are in
the project and which Rung runs, and *hidden* ones, which only this benchmark has. For HumanEval the
visible tests are the examples of the docstring; where it has none that a machine can read, or the
reference solution contradicts all of them, the first assertion of the hidden test.

The ladder has two rungs. The first is the embedded SmolLM2-135M, which is far too small for this
work: it is there to fail in the ways that a model fails. The second is a stand-in for a stronger
model behind an OpenAI-compatible server. By a plan it answers right, wrong in one place, or with
rubbish (a syntax error, a stub, an edited test, a process that ends itself, skipped tests, values
that only fit the tests), and to the one retry something else or the same again. HumanEval's wrong
answers are mutants of the reference solution with one change, chosen by whether they fail the
hidden tests. The plan is in `benchmarks/real_work/stand_in.py`; a plan without a right answer is
there to see that nothing is made of it.

The task type is `standard`, so an answer must pass syntax, compile and tests, and each rung has
two attempts. Answers have at most 160 tokens; learning is off; all else is Rung's default. What
is true of an answer is found without Rung's checks, by calling the test functions in a process of
their own."""
# Ever more checks, in the order in which they run.
CHECKS = ("syntax", "compile", "tests")
ANSWERERS = {
    "model": "SmolLM2-135M",
    "wrong": "stand-in, one subtle mistake",
    "bad": "stand-in, rubbish",
    "right": "stand-in, right",
}


def wrongly_accepted(records: Sequence[Record]) -> list[Record]:
    """Verified tasks whose visible tests fail outside Rung. There must be none."""
    return [record for record in records if _is_verified(record) and not record["visible"]]


def markdown(records: Sequence[Record]) -> str:
    """The whole report; of a run that is not finished it says so."""
    left = sum(SUITES.values()) - len(records)
    parts = [
        HEAD,
        f"**This run is not finished: {left} tasks are missing.**" if left else "",
        _outcomes(records),
        _accepts(records),
        _attempts(records),
        _explained(records),
        _times(records),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _is_verified(record: Record) -> bool:
    return record["status"] == "verified"


def _is_right(record: Record) -> bool:
    """Of a task its served answer's truth, of an attempt its own."""
    return record["visible"] and record["hidden"]


def _outcomes(records: Sequence[Record]) -> str:
    columns: list[tuple[str, Callable[[Record], bool]]] = [
        ("verified", _is_verified),
        ("verified and right", lambda r: _is_verified(r) and _is_right(r)),
        ("verified, fails hidden tests", lambda r: _is_verified(r) and not r["hidden"]),
        ("verified, fails visible tests", lambda r: _is_verified(r) and not r["visible"]),
        ("not verified", lambda r: not _is_verified(r)),
    ]
    rows: list[list[object]] = []
    for suite in SUITES:
        of_suite = [record for record in records if record["suite"] == suite]
        climbs = sum(len({a["engine"] for a in r["attempts"]}) - 1 for r in of_suite)
        cost = sum(record["cost_usd"] or 0.0 for record in of_suite)
        counts = [sum(map(holds, of_suite)) for _, holds in columns]
        attempts = sum(len(record["attempts"]) for record in of_suite)
        rows.append([suite, len(of_suite), *counts, attempts, climbs, f"{cost:.4f}"])
    head = ["suite", "tasks", *(name for name, _ in columns), "attempts", "climbs", "USD"]
    by_command = sum(record["door"] == "rung do" for record in records)
    return f"""## Outcomes

{_table(head, rows)}

{by_command} of these tasks went through the command `rung do` in a process of its own, the others
through `Rung.execute`, which is the same code. Everything paid is the second rung, at the price of
a small cloud model; the first is free."""


def _accepts(records: Sequence[Record]) -> str:
    wrong_rows: list[list[object]] = []
    right_rows: list[list[object]] = []
    for suite in SUITES:
        usable = [a for r in records if r["suite"] == suite for a in r["attempts"] if _is_usable(a)]
        for kind in ("model", "wrong", "bad"):
            wrong = [a for a in usable if a["kind"] == kind and not _is_right(a)]
            if wrong:
                shares = [
                    _share(_passes(a, CHECKS[: n + 1]) for a in wrong) for n in range(len(CHECKS))
                ]
                seen = [a for a in wrong if not a["visible"]]
                caught = _share(_passes(a, CHECKS) for a in seen) if seen else "none of them"
                wrong_rows.append([suite, ANSWERERS[kind], len(wrong), *shares, caught])
        right = [a for a in usable if _is_right(a)]
        if right:
            shares = [
                _share(not _passes(a, CHECKS[: n + 1]) for a in right) for n in range(len(CHECKS))
            ]
            right_rows.append([suite, len(right), *shares])
    sets = [CHECKS[0], *(f"and {check}" for check in CHECKS[1:])]
    wrong_head = ["suite", "answers by", "wrong answers", *sets, "of those that visible tests fail"]
    return f"""## Wrong answers that were accepted

The share of wrong answers that each set of checks lets pass, with its 95 % interval (Wilson). An
answer is wrong if it fails a visible or a hidden test. The last column must be 0: these answers
fail a test that Rung had.

{_table(wrong_head, wrong_rows)}

HumanEval's wrong answers were chosen without a look at the visible tests, so their share is a
measurement of how much a docstring's examples show. Those of the repairs were written, some of them
to slip through, so theirs is only a count.

## Right answers that were refused

The share of right answers that each set of checks refuses.

{_table(["suite", "right answers", *sets], right_rows)}"""


def _is_usable(attempt: Record) -> bool:
    """Whether there was anything to check."""
    verdicts = attempt["verdicts"]
    return attempt["is_usable"] and bool(verdicts) and verdicts[0]["validator"] != "answer"


def _passes(attempt: Record, checks: Sequence[str]) -> bool:
    """Whether these checks alone would have accepted the answer."""
    results = {v["validator"].partition(":")[0]: v["result"] for v in attempt["verdicts"]}
    return all(results.get(check) == "pass" for check in checks)


def _share(values: Iterable[bool]) -> str:
    every = list(values)
    share = wilson(sum(every), len(every))
    return f"{sum(every)} ({sum(every) / len(every):.0%}, {share.low:.0%} to {share.high:.0%})"


def _attempts(records: Sequence[Record]) -> str:
    ends: Counter[tuple[str, int, str]] = Counter()
    for attempt in (attempt for record in records for attempt in record["attempts"]):
        ends[ANSWERERS[attempt["kind"]], attempt["try_on_rung"], _end(attempt)] += 1
    rows = [[*key, count] for key, count in sorted(ends.items())]
    return f"""## Attempts

{_table(["answer by", "try on its rung", "end", "attempts"], rows)}"""


def _end(attempt: Record) -> str:
    if attempt["result"] == "passed":
        return "passed" if _is_right(attempt) else "passed, but wrong"
    if attempt["error"]:
        return "no valid object" if attempt["result"] == "failed" else "no answer"
    last = attempt["verdicts"][-1]
    if last["validator"] != "answer":
        return f"{last['result']} of {last['validator'].partition(':')[0]}"
    return "unusable: cut off" if "cut off" in last["evidence"] else "unusable edits"


def _explained(records: Sequence[Record]) -> str:
    failures = [r for r in records if not (_is_verified(r) and _is_right(r))]
    rows = [[r["name"], _status(r), " / ".join(r["plan"]), _cause(r)] for r in failures]
    causes = Counter(_class_of(r) for r in failures)
    counted = _table(["cause", "tasks"], [[cause, n] for cause, n in causes.most_common()])
    head = ["task", "outcome", "the stand-in's plan", "what happened"]
    return f"""## Every failure, explained

{counted}

{_table(head, rows)}"""


def _status(record: Record) -> str:
    return "verified, wrong" if _is_verified(record) else record["status"]


def _class_of(record: Record) -> str:
    if _is_verified(record):
        if not record["visible"]:
            return "accepted against a visible test"
        kind = record["attempts"][-1]["kind"]
        answer = {"model": "SmolLM2's answer", "bad": "an answer that hard-codes"}
        return f"{answer.get(kind, 'a subtle mistake')}: no visible test shows it"
    refused = [a for a in record["attempts"] if _is_right(a)]
    if refused:
        check = refused[-1]["verdicts"][-1]["validator"].partition(":")[0]
        return f"a right answer was refused by {check}"
    if record["attempts"][-1]["result"] == "unchecked":
        return "the answer changes no file, so nothing checks it and nothing climbs"
    return "no rung had a right answer, and none was accepted"


def _cause(record: Record) -> str:
    last = record["attempts"][-1]
    if _is_verified(record):
        return _plain(f"{last['what'] or 'the model was wrong'}; hidden: {record['why']}")
    refused = next((a for a in record["attempts"] if _is_right(a)), None)
    if refused is not None:
        verdict = refused["verdicts"][-1]
        return _plain(f"{verdict['validator']}: {verdict['evidence']}")
    if last["result"] == "unchecked":
        return _plain(last["verdicts"][-1]["evidence"])
    seen = dict.fromkeys(f"{a['what']}: {_end(a)}" for a in record["attempts"] if a["what"])
    return _plain("; ".join(seen) or record["reason"])


def _times(records: Sequence[Record]) -> str:
    attempts = [attempt for record in records for attempt in record["attempts"]]
    rows: list[list[object]] = []
    for engine in ("embedded", "stand-in"):
        of_engine = [attempt for attempt in attempts if attempt["engine"] == engine]
        rows.append([f"{engine}: the model's answer", *_spread(a["model_s"] for a in of_engine)])
    rows += [[f"check `{check}`", *_spread(_seconds(attempts, check))] for check in CHECKS]
    rows.append(["all else of an attempt", *_spread(map(_rest_s, attempts))])
    outside = (r["task_s"] - sum(a["seconds"] for a in r["attempts"]) for r in records)
    rows.append(["all else of a task", *_spread(outside)])
    command = (r["seconds"] - r["task_s"] for r in records if r["door"] == "rung do")
    rows.append(["`rung do` around its task", *_spread(command)])
    rows.append(["a whole task", *_spread(r["seconds"] for r in records)])
    return f"""## Where the time goes

Seconds, on a machine of two cores that did other work as well: what they are of each other counts.

{_table(["part", "times", "median", "90 % are below"], rows)}"""


def _rest_s(attempt: Record) -> float:
    checks_s = sum(verdict["seconds"] for verdict in attempt["verdicts"])
    return attempt["seconds"] - attempt["model_s"] - checks_s


def _seconds(attempts: Sequence[Record], check: str) -> list[float]:
    verdicts = [verdict for attempt in attempts for verdict in attempt["verdicts"]]
    return [v["seconds"] for v in verdicts if v["validator"].partition(":")[0] == check]


def _spread(values: Iterable[float]) -> tuple[int, str, str]:
    found = sorted(values)
    if not found:
        return 0, "", ""
    return len(found), f"{median(found):.3f}", f"{found[int(0.9 * len(found))]:.3f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _plain(text: str) -> str:
    """One line of a table's cell."""
    line = " ".join(text.split())
    parts = (line if len(line) <= 240 else f"{line[:240]}…").split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]  # code is shown as it is
    return "`".join(parts).replace("|", "\\|")
