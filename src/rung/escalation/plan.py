"""What a task will be tried with; all of it is decided before any model is asked."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from rung.config.settings import Settings
from rung.errors import UsageError
from rung.escalation.answer import form_of
from rung.escalation.apply import file_bytes, sha256
from rung.escalation.checker import free_judges, pick_checker
from rung.escalation.classify import classify, complexity_of, own_words
from rung.escalation.ladder import arm_number, best_of_tier, resolve_chain
from rung.escalation.matrix import Row, arms, checker_rule, matrix
from rung.escalation.signals import signals_of
from rung.escalation.task import Classification, Task, checked_task
from rung.routing.models import RoutedModel
from rung.routing.router import Router
from rung.structured.validate import check_schema
from rung.validation.languages import of_path
from rung.validation.paths import UnsafePathError, safe_path
from rung.validation.registry import check_arguments, parse_check
from rung.validation.type_tools import has_types
from rung.validation.verdict import Check, Verdict

CRITERION = "It does what the task asks, completely and correctly, and nothing else."
SEMANTIC = Check(kind="semantic", argument=CRITERION)
TEST_FOLDERS = ("tests", "test")
MAX_FILE_BYTES = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A task made ready.

    `base` holds the given files' contents by path relative to `root`; `before` the SHA-256 of
    every file that the worker may write, as it was (`None`: there was none); `crlf` names those
    whose lines end in CRLF, which `base` has without the CR and answers get back; `missing` is what
    the task's type wants checked and this project has nothing for; `judges` are the free models
    outside the chain, which may judge. The row's `checker` is a rule that needs no complexity.
    """

    task_id: str
    task: Task
    root: Path
    base: Mapping[str, str]
    before: Mapping[str, str | None]
    crlf: frozenset[str]
    classification: Classification
    row: Row
    chain: tuple[RoutedModel, ...]
    checks: tuple[Check, ...]
    missing: tuple[Verdict, ...] = ()
    judges: tuple[RoutedModel, ...] = ()

    @property
    def check_names(self) -> list[str]:
        """Everything that decides, in words: the schema first, then the checks."""
        names = [check.spec for check in self.checks] + [item.validator for item in self.missing]
        return ["schema", *names] if self.task.schema is not None else names

    @property
    def needs_project(self) -> bool:
        """Whether a check looks at more than the candidate's own files."""
        return any(check.kind not in ("syntax", "schema", "semantic") for check in self.checks)

    @property
    def is_checkable(self) -> bool:
        """Whether the task gives anything by which a check could tell good from bad."""
        task = self.task
        return bool(task.checks or task.schema is not None or task.out or task.files)

    def checker_of(self, worker: int) -> RoutedModel | None:
        """The model that judges the worker at this index of the chain, where a check asks one."""
        if not any(check.kind == "semantic" for check in self.checks):
            return None
        return pick_checker(self.row, self.chain, worker, self.judges)


async def make_plan(
    task: Task, settings: Settings, router: Router, *, task_id: str | None = None
) -> Plan:
    """Classify, resolve the chain, read the files and check every argument.

    A task that goes on keeps its `task_id`. Raises UsageError for whatever is wrong with the task
    itself, before any model is asked.
    """
    task = checked_task({name: getattr(task, name) for name in Task.__struct_fields__})
    root = (task.root or Path.cwd()).resolve()
    if not root.is_dir():
        raise UsageError(f"the task's folder {root} does not exist")
    check_paths(root, (*task.files, *task.out))
    if task.schema is not None:
        check_schema(task.schema)
    classification = classified(task, settings, root)
    row = matrix(settings.matrix, router.tiers)[classification.type]
    checks, missing = chosen_checks(task, row, root)
    task_id = task_id or secrets.token_hex(8)
    chain, judges = await chain_of(task, row, router, task_id)
    for check in checks:
        if not _is_to_be_written(check, task):
            check_arguments(check, root)
    # Each file is read once: what the worker is shown is what the hash is of.
    contents = {path: file_bytes(root / path) for path in (*task.files, *task.out)}
    return Plan(
        task_id=task_id,
        task=task,
        root=root,
        base={path: given_text(root, path, contents[path]) for path in task.files},
        crlf=frozenset(path for path, content in contents.items() if has_crlf(content or b"")),
        before={path: sha256(content) for path, content in contents.items()},
        classification=classification,
        row=_with_checker(row, classification, checks),
        chain=chain,
        checks=checks,
        missing=missing,
        judges=judges,
    )


def _with_checker(row: Row, found: Classification, checks: Sequence[Check]) -> Row:
    """The row with its checker's rule made concrete for the task."""
    is_asked = any(check.kind == "semantic" for check in checks)
    return replace(row, checker=checker_rule(row.checker, found.complexity, is_asked=is_asked))


def _is_to_be_written(check: Check, task: Task) -> bool:
    """Whether these are tests that the worker itself is to write, which are not there yet."""
    return check.kind == "tests" and check.argument in task.out


def check_paths(root: Path, paths: Sequence[str]) -> None:
    """Raise UsageError for a path that leads out of the project, or that nobody can edit."""
    for path in paths:
        try:
            full = safe_path(root, path)
        except UnsafePathError as error:
            raise UsageError(str(error)) from None
        if full.is_dir():
            raise UsageError(f"{path} is a folder: name the files in it")
        if full.exists() and not full.is_file():
            raise UsageError(f"{path} is no plain file")
        if full.exists() and full.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{path} has more than {MAX_FILE_BYTES:,} bytes: name smaller files")
        if any(other.startswith(f"{path}/") for other in paths):
            raise UsageError(f"{path} cannot be a file and a folder at once")


def classified(task: Task, settings: Settings, root: Path) -> Classification:
    """The type that the user gave, else the one that the rules say; the complexity with what the
    repository at `root` says of the task's files, and with `learning.complexity`.
    """
    paths = (*task.files, *task.out)
    signals = signals_of(root, paths)
    if task.type is None:
        found = classify(task.text, paths, own_words(settings.classify), signals)
    else:
        found = Classification(
            type=task.type,
            complexity=complexity_of(task.type, task.text, len(paths), signals),
            reasons=("given by the caller",),
        )
    return _shifted(found, settings.learning.complexity)


def _shifted(found: Classification, shifts: Mapping[str, float]) -> Classification:
    """The classification with the settings' shift of its type's complexity, within 0 to 10."""
    shift = shifts.get(found.type, 0.0)
    if not shift:
        return found
    return structs.replace(
        found,
        complexity=min(10.0, max(0.0, found.complexity + shift)),
        reasons=(*found.reasons, f"complexity {shift:+g} by learning.complexity"),
    )


async def chain_of(
    task: Task, row: Row, router: Router, task_id: str
) -> tuple[tuple[RoutedModel, ...], tuple[RoutedModel, ...]]:
    """The models to try, and those beside them that may judge.

    Every name in the task's own chain must exist; tiers may be empty. A named model whose engine is
    down keeps its place: its attempt will say so, and climb.
    """
    models = await router.models(task.local_only)
    if task.chain:
        chain = await _given_chain(task, router, models, task_id)
    else:
        chain = resolve_chain(row, models, router.tiers, task_id)
    return chain, free_judges(models, chain)


async def _given_chain(
    task: Task, router: Router, models: Sequence[RoutedModel], task_id: str
) -> tuple[RoutedModel, ...]:
    chain: list[RoutedModel] = []
    for entry in task.chain or ():
        there: list[RoutedModel] = []
        for name in arms(entry):
            if name in router.tiers:
                best = best_of_tier(name, models)
                there += [best.model] if best else []
            else:
                there.append(await router.rung(name, task.local_only))
        if there:
            chain.append(there[arm_number(entry, task_id, len(there))])
    return tuple(dict.fromkeys(chain))


def chosen_checks(
    task: Task, row: Row, root: Path
) -> tuple[tuple[Check, ...], tuple[Verdict, ...]]:
    """The task's own checks, else the row's made concrete; and what there is nothing for."""
    if task.checks:
        return tuple(parse_check(spec) for spec in task.checks), ()
    if form_of(task) == "object":
        return tuple(SEMANTIC for kind in row.checks if kind == "semantic"), ()
    found = [_default_check(kind, task, root) for kind in row.checks]
    return (
        tuple(item for item in found if isinstance(item, Check)),
        tuple(item for item in found if isinstance(item, Verdict)),
    )


def _default_check(kind: str, task: Task, root: Path) -> Check | Verdict | None:
    paths = (*task.out, *task.files)
    if kind == "semantic":
        return SEMANTIC
    if kind in ("syntax", "compile") and paths and not any(of_path(path) for path in paths):
        return None
    if kind == "types" and not has_types(paths, root):
        return None  # there is no checker here, which shows nothing about the answer
    if kind == "tests":
        if not any(of_path(path) for path in paths):
            return None
        folder = next((name for name in TEST_FOLDERS if (root / name).is_dir()), None)
        if folder is None:
            advice = "the project has no tests folder; name what to run with --check tests:PATH"
            return Verdict(validator="tests", result="unavailable", evidence=advice)
        return Check(kind="tests", argument=folder)
    return Check(kind=kind)


def has_crlf(content: bytes) -> bool:
    """Whether most lines end in CRLF."""
    return content.count(b"\r\n") * 2 > content.count(b"\n")


def given_text(root: Path, path: str, content: bytes | None) -> str:
    """A given file's text, without the CR of CRLF. Raises UsageError where it cannot be shown."""
    if content is None:
        raise UsageError(f"{path} does not exist in {root}")
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
