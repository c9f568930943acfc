"""A task, an attempt at it, and the outcome: the shapes that every door prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from rung.chat import JsonObject, Locality
from rung.config.settings import MOST_USD
from rung.errors import UsageError
from rung.validation.verdict import Verdict

TaskType = Literal["quick_edit", "standard", "architecture", "critical"]
TASK_TYPES: tuple[TaskType, ...] = ("quick_edit", "standard", "architecture", "critical")
AttemptResult = Literal["passed", "failed", "unchecked", "no_answer"]
Status = Literal["verified", "unverified", "needs_review", "skipped", "failed"]


class Task(msgspec.Struct, frozen=True):
    """What is to be done, and what decides whether it was.

    `files` are given to the worker to read or change, `out` are the files it must produce; both
    are relative to `root` (the current folder by default). `checks` are specs such as
    `tests:tests/test_x.py`; without any, the task's type decides them. With a `seed` an engine
    that can repeats its answers; each attempt adds its number to it.
    """

    text: str
    checks: Sequence[str] = ()
    files: Sequence[str] = ()
    out: Sequence[str] = ()
    schema: JsonObject | None = None
    type: TaskType | None = None
    chain: Sequence[str] | None = None
    budget_usd: float | None = None
    local_only: bool = False
    at_end: Literal["review", "skip"] | None = None
    seed: int | None = None
    root: Path | None = None


def checked_task(fields: dict[str, Any], where: str = "the task") -> Task:
    """A Task of outside data. Raises UsageError naming the field, what it is and should be."""
    try:
        task = msgspec.convert(fields, Task, dec_hook=_path)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UsageError(f"{where}: {error}") from None
    if not task.text.strip():
        raise UsageError(f"{where} has no text: say what is to be done")
    budget = task.budget_usd
    if budget is not None and not (0 <= budget <= MOST_USD):
        raise UsageError(f"{where}: budget_usd must be 0 to {MOST_USD:,.0f}, not {budget}")
    return task


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path) and "\0" not in str(value):
        return Path(value)
    raise ValueError(f"expected a path, got {value!r}")


class Classification(msgspec.Struct, frozen=True, kw_only=True):
    """The task's type, its complexity from 0 to 10, and why.

    `is_unsure`: nothing speaks for this type, or something speaks for another as well.
    """

    type: TaskType
    complexity: float
    reasons: tuple[str, ...]
    is_unsure: bool = False


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One worker call with its verdicts. `error` is set where no answer could be checked.

    `result` is what the verdicts amount to; `failed` too where the model refused, or gave no valid
    object. `failed_rungs` counts the other models that had failed at the task before; `try_on_rung`
    is 1 for a model's first attempt at it. `checker` is who judged it, where a check asks a model.
    """

    n: int
    model: str
    engine: str
    tier: str
    temperature: float
    served_model: str | None = None
    verdicts: tuple[Verdict, ...] = ()
    repairs: tuple[str, ...] = ()
    error: str | None = None
    tokens_in: int | None = None
    tokens_cached: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    seconds: float = 0.0
    locality: Locality | None = None
    checker: str | None = None
    result: AttemptResult | None = None
    failed_rungs: int = 0
    try_on_rung: int = 1


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a task.

    `cost_usd` is `None` where a price was unknown. `saved_usd` is what the same tokens would have
    cost on the cheapest paid rung of the chain; `None` where there is none to compare with.
    `files` maps each changed path to its new content, `base_sha256` to the SHA-256 of what it held
    when the task began (`None`: there was no such file). `answered` is the number of the attempt
    whose answer this is.
    """

    task_id: str
    status: Status
    type: TaskType
    complexity: float
    reason: str
    answer: str = ""
    object: Any = None
    files: dict[str, str] = {}
    base_sha256: dict[str, str | None] = {}
    model: str | None = None
    engine: str | None = None
    tier: str | None = None
    answered: int | None = None
    attempts: tuple[Attempt, ...] = ()
    cost_usd: float | None = 0.0
    saved_usd: float | None = None
    seconds: float = 0.0
    review_id: int | None = None


EXIT_STATUS: dict[Status, int] = {
    "verified": 0,
    "failed": 1,
    "needs_review": 3,
    "skipped": 4,
    "unverified": 5,
}
