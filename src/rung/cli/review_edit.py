"""`rung review edit`: the answer in the user's own editor."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from rung.cli.confirm import confirm
from rung.cli.fail import fail
from rung.cli.printable import say
from rung.cli.review_show import verdict_lines
from rung.cli.run import print_json, run
from rung.config.environment import child_environment, environment
from rung.errors import RungError, UsageError
from rung.escalation.review import Edited, check_editable
from rung.escalation.reviewed import Answer, answer_of, base_sha256, beside_of
from rung.escalation.task import EXIT_STATUS
from rung.facade import Rung
from rung.ledger.rows import ReviewItem
from rung.validation.paths import safe_path

EDITORS = ("sensible-editor", "nano", "vi")
TEXT, OBJECT = "answer.md", "answer.json"


def edit_item(review_id: int, note: str, *, apply: bool, force: bool, as_json: bool) -> int:
    """Edit, check, approve; the exit status, which says where the item still waits."""
    item = run(_editable(review_id))
    folder = Path(tempfile.mkdtemp(prefix="rung-review-"))
    try:
        answer = edited_in(folder, item)
        edited = run(_edit(item, answer, note, apply=apply, force=force, is_quiet=as_json))
    except RungError as error:
        say(f"what you wrote is in {folder}", err=True)
        fail(error)
    shutil.rmtree(folder)
    if as_json:
        print_json(edited)
    elif edited.item.state == "open":
        say(f"still open: a check failed; `rung review edit {review_id}` goes on from your version")
    else:
        say(f"{edited.item.state}: {edited.item.title}")
        if edited.written:
            say(f"written: {', '.join(edited.written)}")
    return EXIT_STATUS["needs_review"] if edited.item.state == "open" else 0


def edited_in(folder: Path, item: ReviewItem) -> Answer:
    """The answer as the editor leaves it. Raises UsageError where it cannot be read back."""
    answer = _to_edit(item)
    contents = _contents(answer)
    for name, text in contents.items():
        path = safe_path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    _run_editor([folder / name for name in contents])
    texts = {name: _read(folder / name, name) for name in contents}
    if texts == contents:
        return answer_of(item)  # an editor's own last line feed is no change either
    if answer.files:
        return msgspec.structs.replace(answer, files=texts)
    if answer.object is None:
        return msgspec.structs.replace(answer, answer=texts[TEXT].rstrip("\n"))
    return msgspec.structs.replace(answer, object=_object(texts[OBJECT]))


def _to_edit(item: ReviewItem) -> Answer:
    """The answer as it stands; where there is none, the files that it should have changed."""
    answer = answer_of(item)
    if answer.answer or answer.files or answer.object is not None:
        return answer
    root = Path(beside_of(item).root)
    return Answer(
        files={
            path: _read(root / path, path) if (root / path).is_file() else ""
            for path in base_sha256(item)
        }
    )


def _contents(answer: Answer) -> dict[str, str]:
    if answer.files:
        return answer.files
    if answer.object is None:
        return {TEXT: answer.answer + "\n" if answer.answer else ""}
    return {OBJECT: json.dumps(answer.object, ensure_ascii=False, indent=2) + "\n"}


def _run_editor(paths: list[Path]) -> None:
    command = _editor()
    try:
        done = subprocess.run(
            [*command, *map(str, paths)], check=False, env=child_environment(keep_secrets=True)
        )
    except OSError as error:
        raise UsageError(f"the editor {command[0]} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        raise UsageError(f"the editor {command[0]} ended with {done.returncode}: nothing was kept")


def _editor() -> list[str]:
    """The command that the user named. Raises UsageError where there is none."""
    named = environment().get("VISUAL") or environment().get("EDITOR")
    if named:
        try:
            return shlex.split(named)
        except ValueError as error:
            raise UsageError(f"VISUAL or EDITOR is not a command: {error}: {named}") from None
    found = next((editor for editor in EDITORS if shutil.which(editor)), None)
    if found is None or not (sys.stdin and sys.stdin.isatty()):
        raise UsageError("set VISUAL or EDITOR to the command that edits a file")
    return [found]


def _read(path: Path, name: str) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise UsageError(f"{name} was removed: an answer cannot leave a file out") from None
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8 text") from None


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"the object is not JSON: {error}") from None


async def _editable(review_id: int) -> ReviewItem:
    async with Rung() as rung:
        item = await rung.reviews.show(review_id)
    check_editable(item)
    return item


async def _edit(
    seen: ReviewItem, answer: Answer, note: str, *, apply: bool, force: bool, is_quiet: bool
) -> Edited:
    review_id = seen.id or 0
    async with Rung() as rung:
        edited = await rung.reviews.edit(
            review_id, answer, note, apply=apply, force=force, seen=seen
        )
        if is_quiet:
            return edited
        console = Console(stderr=True, highlight=False, emoji=False)
        for verdict in edited.verdicts:
            console.print(verdict_lines(verdict), soft_wrap=True, end="")
        is_terminal = sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()
        if edited.item.state != "open" or not is_terminal:
            return edited
        if not await confirm("A check fails. Approve it all the same?"):
            return edited
        item, written = await rung.reviews.decide(review_id, "approved", note, apply=apply)
        return msgspec.structs.replace(edited, item=item, written=tuple(written))
