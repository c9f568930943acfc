"""What a task will be tried with; all of it is decided before any model is asked."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from rung.config.settings import Settings
from rung.errors import UsageError
from rung.escalation.answer import form_of
from rung.escalation.apply import file_sha256
from rung.escalation.checker import free_judges, pick_checker
from rung.escalation.classify import classify, complexity_of
from rung.escalation.ladder import arm_number, best_of_tier, resolve_chain
from rung.escalation.matrix import Row, arms, checker_rule, matrix
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


async def make_plan(task: Task, settings: Settings, router: Router) -> Plan:
    """Classify, resolve the chain, read the files and check every argument.

    Raises UsageError for whatever is wrong with the task itself, before any model is asked.
    """
    task = checked_task({name: getattr(task, name) for name in Task.__struct_fields__})
    root = (task.root or Path.cwd()).resolve()
    if not root.is_dir():
        raise UsageError(f"the task's folder {root} does not exist")
    check_paths(root, (*task.files, *task.out))
    if task.schema is not None:
        check_schema(task.schema)
    classification = shifted(classification_of(task), settings.learning.complexity)
    row = matrix(settings.matrix, router.tiers)[classification.type]
    checks, missing = chosen_checks(task, row, root)
    rule = checker_rule(
        row.checker,
        classification.complexity,
        is_asked=any(check.kind == "semantic" for check in checks),
    )
    task_id = secrets.token_hex(8)
    chain, judges = await chain_of(task, row, router, task_id)
    for check in checks:
        # Tests that the worker itself is to write are not there yet.
        if not (check.kind == "tests" and check.argument in task.out):
            check_arguments(check, root)
    return Plan(
        task_id=task_id,
        task=task,
        root=root,
        base={path: read_text(root, path).replace("\r\n", "\n") for path in task.files},
        crlf=frozenset(path for path in (*task.files, *task.out) if has_crlf(root / path)),
        before={path: file_sha256(root / path) for path in (*task.files, *task.out)},
        classification=classification,
        row=replace(row, checker=rule),
        chain=chain,
        checks=checks,
        missing=missing,
        judges=judges,
    )


def check_paths(root: Path, paths: Sequence[str]) -> None:
    """Raise UsageError for a path that leads out of the project."""
    for path in paths:
        try:
            full = safe_path(root, path)
        except UnsafePathError as error:
            raise UsageError(str(error)) from None
        if full.is_dir():
            raise UsageError(f"{path} is a folder: name the files in it")
        if any(other.startswith(f"{path}/") for other in paths):
            raise UsageError(f"{path} cannot be a file and a folder at once")


def classification_of(task: Task) -> Classification:
    """The type that the user gave, else the one that the rules say."""
    paths = (*task.files, *task.out)
    if task.type is None:
        return classify(task.text, paths)
    return Classification(
        type=task.type,
        complexity=complexity_of(task.type, task.text, len(paths)),
        reasons=("given by the caller",),
    )


def shifted(found: Classification, shifts: Mapping[str, float]) -> Classification:
    """The classification with the settings' shift of its type's complexity, within 0 to 10."""
    shift = shifts.get(found.type, 0.0)
    if not shift:
        return found
    return Classification(
        type=found.type,
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


def has_crlf(path: Path) -> bool:
    """Whether most lines of an existing file end in CRLF."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return content.count(b"\r\n") * 2 > content.count(b"\n")


def read_text(root: Path, path: str) -> str:
    """A given file's content. Raises UsageError where it is missing, not text, or too large."""
    full = root / PurePosixPath(path)
    try:
        if full.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{path} has more than {MAX_FILE_BYTES:,} bytes: give a smaller file")
        return full.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist in {root}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
