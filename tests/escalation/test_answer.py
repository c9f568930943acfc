"""From what a model wrote to a candidate."""

from __future__ import annotations

from typing import Any

import pytest

from rung.chat import Completion, FinishReason, Usage
from rung.escalation.answer import (
    UnusableAnswer,
    answer_schema,
    apply_edits,
    candidate_from,
    file_content,
    form_of,
)
from rung.escalation.task import Task


def completion(
    text: str = "", parsed: Any = None, finish_reason: FinishReason = "stop"
) -> Completion:
    return Completion(
        text=text,
        engine="e",
        model="m",
        parsed=parsed,
        finish_reason=finish_reason,
        usage=Usage(tokens_out=7),
    )


@pytest.mark.parametrize(
    ("task", "form"),
    [
        (Task("t"), "text"),
        (Task("t", files=["a.py"]), "edits"),
        (Task("t", out=["a.py"]), "file"),
        (Task("t", files=["a.py"], out=["a.py"]), "file"),
        (Task("t", out=["a.py", "b.py"]), "files"),
        (Task("t", schema={"type": "object"}), "object"),
        (Task("t", schema={"type": "object"}, out=["a.json"]), "object"),
    ],
)
def test_the_form_follows_from_what_the_task_wants(task: Task, form: str) -> None:
    assert form_of(task) == form


@pytest.mark.parametrize(
    ("text", "path", "content"),
    [
        ("```python\nx = 1\n```", "a.py", "x = 1\n"),
        ("Here it is:\n\n```py\nx = 1\n```\nIt sets x.", "a.py", "x = 1\n"),
        ("```bash\npip install x y z long\n```\n```python\nx = 1\n```", "a.py", "x = 1\n"),
        ("```python\nx = 1\n```\nUse it:\n```python\nprint(x, x, x)\n```", "a.py", "x = 1\n"),
        ("x = 1", "a.py", "x = 1\n"),
        ("```python\nx = 1\n", "a.py", "x = 1\n"),
        ("~~~\nx = 1\n~~~", "a.py", "x = 1\n"),
        ("````\n```\nnested\n```\n````", "a.txt", "```\nnested\n```\n"),
        ("# Title\n\n```sh\nls\n```\n\nMore.", "a.md", "# Title\n\n```sh\nls\n```\n\nMore.\n"),
        ("```markdown\n# Title\n```", "a.md", "# Title\n"),
        ("```Makefile\nall:\n\ttrue\n```", "Makefile", "all:\n\ttrue\n"),
    ],
)
def test_the_file_is_taken_from_the_answer(text: str, path: str, content: str) -> None:
    assert file_content(text, path) == content


@pytest.mark.parametrize("text", ["", "```python\n```", "   \n"])
def test_an_answer_without_content_is_unusable(text: str) -> None:
    with pytest.raises(UnusableAnswer, match="no content"):
        file_content(text, "a.py")


def test_a_cut_off_answer_is_unusable_however_it_looks() -> None:
    cut = completion("```python\nx = 1\n```", finish_reason="length")
    with pytest.raises(UnusableAnswer, match="cut off after 7 tokens"):
        candidate_from(cut, Task("t", out=["a.py"]), {})


def test_an_object_becomes_the_one_file_that_was_asked_for() -> None:
    task = Task("t", schema={"type": "object"}, out=["a.json"])
    candidate = candidate_from(completion("{}", {"a": "ü"}), task, {})
    assert candidate.files == {"a.json": '{\n  "a": "ü"\n}\n'}
    assert candidate.object == {"a": "ü"}


def test_all_files_that_were_asked_for_must_be_there() -> None:
    task = Task("t", out=["a.py", "b.py"])
    whole = {"files": [{"path": "a.py", "content": "1"}, {"path": "b.py", "content": "2"}]}
    assert candidate_from(completion(parsed=whole), task, {}).files == {"a.py": "1", "b.py": "2"}
    with pytest.raises(UnusableAnswer, match=r"lacks b\.py"):
        candidate_from(completion(parsed={"files": whole["files"][:1]}), task, {})


def test_only_the_named_paths_are_allowed_by_the_schema() -> None:
    schema = answer_schema(Task("t", out=["a.py", "b.py"]), "files")
    assert schema is not None
    item = schema["properties"]["files"]["items"]
    assert item["properties"]["path"]["enum"] == ["a.py", "b.py"]
    assert schema["properties"]["files"]["minItems"] == 2


def test_edits_are_exact_and_only_changed_files_are_returned() -> None:
    base = {"a.py": "x = 1\ny = 2\n", "b.py": "z = 3\n"}
    edits = [
        {"path": "a.py", "find": "x = 1", "replace": "x = 10"},
        {"path": "a.py", "find": "y = 2", "replace": "y = 20"},
    ]
    assert apply_edits(edits, base) == {"a.py": "x = 10\ny = 20\n"}
    assert apply_edits([], base) == {}


@pytest.mark.parametrize(
    ("find", "words"),
    [("q", "found 0 times"), ("x", "found 2 times"), ("", "is empty")],
)
def test_an_edit_that_is_not_found_exactly_once_is_unusable(find: str, words: str) -> None:
    with pytest.raises(UnusableAnswer, match=words):
        apply_edits([{"path": "a", "find": find, "replace": "r"}], {"a": "x x"})


def test_an_answer_with_the_line_ends_of_windows_is_read_like_any_other() -> None:
    text = "```python\r\nx = 1\r\n```\r\nRun it with Python.\r\n"
    assert file_content(text, "x.py") == "x = 1\n"


def test_an_edit_is_found_whatever_line_ends_it_was_written_with() -> None:
    edit = {"path": "a", "find": "x\r\ny", "replace": "z\r\ny"}
    assert apply_edits([edit], {"a": "x\ny\n"}) == {"a": "z\ny\n"}
