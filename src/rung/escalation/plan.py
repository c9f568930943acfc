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
from rung.escalation.classify import classify, complexity_of
from rung.escalation.matrix import Row, best_of_tier, matrix, resolve_chain
from rung.escalation.task import Classification, Task, checked_task
from rung.routing.models import RoutedModel
from rung.routing.router import Router
from rung.structured.validate import check_schema
from rung.validation.languages import of_path
from rung.validation.paths import UnsafePathError, safe_path
from rung.validation.registry import check_arguments, parse_check
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
    the task's type wants checked and this project has nothing for.
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

    @property
    def check_names(self) -> list[str]:
        """Everything that decides, in words: the schema first, then the checks."""
        names = [check.spec for check in self.checks] + [item.validator for item in self.missing]
        return ["schema", *names] if self.task.schema is not None else names

    @property
    def needs_project(self) -> bool:
        """Whether a check looks at more than the candidate's own files."""
        return any(check.kind in ("tests", "cmd", "bench", "compile") for check in self.checks)


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
    classification = classification_of(task)
    row = matrix(settings.matrix, router.tiers)[classification.type]
    if not row.checker and any(spec.startswith("semantic") for spec in task.checks):
        row = replace(row, checker="same")
    checks, missing = chosen_checks(task, row, root)
    for check in checks:
        # Tests that the worker itself is to write are not there yet.
        if not (check.kind == "tests" and check.argument in task.out):
            check_arguments(check, root)
    return Plan(
        task_id=secrets.token_hex(8),
        task=task,
        root=root,
        base={path: read_text(root, path).replace("\r\n", "\n") for path in task.files},
        crlf=frozenset(path for path in (*task.files, *task.out) if has_crlf(root / path)),
        before={path: file_sha256(root / path) for path in (*task.files, *task.out)},
        classification=classification,
        row=row,
        chain=await chain_of(task, row, router),
        checks=checks,
        missing=missing,
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


async def chain_of(task: Task, row: Row, router: Router) -> tuple[RoutedModel, ...]:
    """The models to try. Every name in the task's own chain must exist; tiers may be empty.

    A named model whose engine is down keeps its place: its attempt will say so, and climb.
    """
    models = await router.models(task.local_only)
    if not task.chain:
        return resolve_chain(row, models, router.tiers)
    chain: list[RoutedModel] = []
    for name in task.chain:
        if name in router.tiers:
            chain += best_of_tier(name, models)
        else:
            chain.append(await router.rung(name, task.local_only))
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
