"""From what a model wrote to a candidate: which form to ask for, and how to read it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from rung.chat import Completion, JsonObject
from rung.escalation.task import Task
from rung.validation.languages import named, of_path
from rung.validation.verdict import Candidate

Form = Literal["text", "object", "file", "files", "edits"]

_FENCE = re.compile(r"^(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:^\1[ \t]*$|\Z)", re.M | re.S)
_PROSE = frozenset({".md", ".markdown", ".txt", ".rst", ".adoc", ".html"})


class UnusableAnswer(Exception):  # noqa: N818 (a verdict on the answer, not a fault of Rung)
    """The answer cannot become a candidate; the message goes into the next attempt's prompt."""


def form_of(task: Task) -> Form:
    """How the worker is asked to answer."""
    if task.schema is not None:
        return "object"
    if len(task.out) == 1:
        return "file"
    if task.out:
        return "files"
    return "edits" if task.files else "text"


def answer_schema(
    task: Task, form: Form, editable: Collection[str] | None = None
) -> JsonObject | None:
    """The schema that the worker's answer must obey; `None` for free text.

    `editable` are those of the given files that edits may name; by default all of them.
    """
    if form == "object":
        return task.schema
    if form == "files":
        return _list_of("files", task.out, ("content",), minimum=len(task.out))
    if form == "edits":
        paths = [path for path in task.files if editable is None or path in editable]
        schema = _list_of("edits", paths, ("find", "replace"), minimum=0)
        schema["properties"]["answer"] = {"type": "string", "description": "what you did, or said"}
        schema["required"] = ["answer", "edits"]
        return schema
    return None


def _list_of(name: str, paths: Sequence[str], texts: Sequence[str], minimum: int) -> JsonObject:
    properties: dict[str, Any] = {"path": {"type": "string", "enum": list(paths)}}
    properties |= {text: {"type": "string"} for text in texts}
    item = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {name: {"type": "array", "items": item, "minItems": minimum}},
        "required": [name],
        "additionalProperties": False,
    }


def candidate_from(completion: Completion, task: Task, base: Mapping[str, str]) -> Candidate:
    """The answer as text, object and files. `base` holds the files that may be edited, by path.

    Raises UnusableAnswer where it was cut off, names no file that was asked for, or gives an edit
    whose text is not found exactly once.
    """
    form = form_of(task)
    if completion.finish_reason == "length" and form in ("text", "file"):
        raise UnusableAnswer(
            f"the answer was cut off after {completion.usage.tokens_out or 'too many'} tokens; "
            "answer more briefly"
        )
    text = completion.text.strip()
    if form == "file":
        return Candidate(text=text, files={task.out[0]: file_content(text, task.out[0])})
    if form == "text":
        return Candidate(text=text, files={})
    value = completion.parsed
    if form == "object":
        content = msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
        files = {task.out[0]: content} if len(task.out) == 1 else {}
        return Candidate(text=text, files=files, object=value)
    if form == "files":
        return Candidate(text=text, files=_whole_files(value["files"], task.out))
    return Candidate(text=value["answer"], files=apply_edits(value["edits"], base))


def with_crlf(candidate: Candidate, crlf: Collection[str]) -> Candidate:
    """The candidate with the line ends of the files that it replaces."""
    files = {
        path: text.replace("\r\n", "\n").replace("\n", "\r\n") if path in crlf else text
        for path, text in candidate.files.items()
    }
    return replace(candidate, files=files)


def file_content(text: str, path: str) -> str:
    """The part of an answer that is the file: its code block, or all of it for prose files."""
    suffix = PurePosixPath(path).suffix.lower()
    text = text.replace("\r\n", "\n")
    blocks = [(m[2], m[3]) for m in _FENCE.finditer(text)]
    language = of_path(path)
    fitting = [code for tag, code in blocks if language and named(tag) == language]
    is_one_block = len(blocks) == 1 and text.startswith(("```", "~~~"))
    if blocks and (suffix not in _PROSE or is_one_block):
        # What follows the first block in the file's language is usage, or an alternative.
        content = fitting[0] if fitting else max((code for _, code in blocks), key=len)
    else:
        content = text
    if not content.strip():
        raise UnusableAnswer(f"the answer has no content for {path}")
    return content.rstrip() + "\n"


def _whole_files(given: Sequence[Mapping[str, str]], wanted: Sequence[str]) -> dict[str, str]:
    files = {item["path"]: item["content"] for item in given}
    missing = [path for path in wanted if path not in files]
    if missing:
        raise UnusableAnswer(f"the answer lacks {', '.join(missing)}")
    return files


def apply_edits(edits: Sequence[Mapping[str, str]], base: Mapping[str, str]) -> dict[str, str]:
    """Exact replacements, each found exactly once; returns only the files that changed.

    Line ends are those of `base`, which has no CR before them.
    """
    files = dict(base)
    for edit in edits:
        path = edit["path"]
        find, replacement = (edit[name].replace("\r\n", "\n") for name in ("find", "replace"))
        if path not in files:
            raise UnusableAnswer(f"edit of {path}: it was not shown whole, so it cannot be edited")
        times = files[path].count(find) if find else 0
        if times != 1:
            found = f"is found {times} times" if find else "is empty"
            raise UnusableAnswer(
                f"edit of {path}: the text to find {found}, it must be found exactly once: "
                f"{find[:200]!r}"
            )
        files[path] = files[path].replace(find, replacement)
    return {path: text for path, text in files.items() if text != base[path]}
