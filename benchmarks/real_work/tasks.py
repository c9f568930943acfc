"""What a task is here: a project, a request, tests that are shown and tests that are not."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["right", "wrong", "bad"]
REPAIRS = Path(__file__).with_name("repairs")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the stand-in says. `files` is what becomes of the project; `None`: nothing usable."""

    kind: Kind
    what: str
    text: str
    files: Mapping[str, str] | None


@dataclass(frozen=True, kw_only=True)
class WorkTask:
    """One task, of a number in its suite.

    `project` is laid on disk, visible tests included; `hidden` decides what is true. The worker is
    given `given` and writes `out`, as in `rung.escalation.task.Task`.
    """

    name: str
    number: int
    suite: Literal["HumanEval", "repairs"]
    topic: str
    text: str
    project: Mapping[str, str]
    hidden: Mapping[str, str]
    right: Answer
    wrong: tuple[Answer, ...]
    bad: Answer
    given: tuple[str, ...] = ()
    out: tuple[str, ...] = ()

    @property
    def visible(self) -> dict[str, str]:
        return {path: text for path, text in self.project.items() if path.startswith("tests/")}

    @property
    def answers(self) -> tuple[Answer, ...]:
        return (self.right, *self.wrong, self.bad)


def repairs() -> list[WorkTask]:
    """The small repair tasks that lie beside this module, one file each, by name."""
    paths = sorted(REPAIRS.glob("*.toml"))
    return [repair(path, number) for number, path in enumerate(paths)]


def repair(path: Path, number: int) -> WorkTask:
    """Read a repair task. Raises ValueError for an edit whose text is not found exactly once.

    Every other task of one file asks for the whole file, all others for edits.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    project: dict[str, str] = table["project"]
    edited = {edit.get("path") for edit in table["bad"].get("edits", ())}
    # Who edits a test must have been given it.
    given = tuple(path for path in project if "test" not in path or path in edited)
    out = given if number % 2 and len(given) == 1 else ()

    def answer(kind: Kind) -> Answer:
        return _answer(kind, table[kind], project, given[0], is_whole=bool(out))

    return WorkTask(
        name=f"repair/{path.stem}",
        number=number,
        suite="repairs",
        topic=table["topic"],
        text=table["text"].strip(),
        project=project,
        hidden=table["hidden"],
        given=given,
        out=out,
        right=answer("right"),
        wrong=(answer("wrong"),),
        bad=answer("bad"),
    )


def _answer(
    kind: Kind, table: Mapping[str, Any], project: Mapping[str, str], path: str, *, is_whole: bool
) -> Answer:
    """Edits are of the file `path` where they do not say of which."""
    if "text" in table:
        return Answer(kind=kind, what=table["what"], text=table["text"], files=None)
    edits = [{"path": path, **edit} for edit in table["edits"]]
    files = _edited(edits, project)
    if is_whole:
        files = {path: files.get(path, project[path])}
        text = f"```python\n{files[path].strip()}\n```"
    else:
        text = json.dumps({"answer": "Repaired.", "edits": edits})
    return Answer(kind=kind, what=table["what"], text=text, files=files)


def _edited(edits: Sequence[Mapping[str, str]], project: Mapping[str, str]) -> dict[str, str]:
    files = dict(project)
    for edit in edits:
        name, find = edit["path"], edit["find"]
        if files[name].count(find) != 1:
            raise ValueError(f"{name}: {find!r} is not there exactly once")
        files[name] = files[name].replace(find, edit["replace"])
    return {name: text for name, text in files.items() if text != project[name]}
