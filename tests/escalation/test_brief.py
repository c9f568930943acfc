"""What a worker is told, and how it is made smaller."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.escalation.brief import MAX_EVIDENCE, MAX_PREVIOUS, Brief, brief_of, shrunk
from rung.escalation.prompt import worker_messages
from rung.escalation.task import Task

LONG = "def helper(x):\n" + "    x += 1\n" * 400 + "    return x\n"
LONGER = LONG + LONG.replace("helper", "other")
FILES = {"a.py": LONG, "pkg/b.py": LONGER, "notes.txt": "word " * 900}


def size(brief: Brief) -> int:
    return sum(len(text) for text in brief.files.values()) + len(brief.evidence + brief.previous)


def small(brief: Brief, task: Task, limit: int) -> Brief:
    return shrunk(brief, task, lambda some: size(some) <= limit)


def test_what_fits_is_left_as_it_is() -> None:
    brief = brief_of(FILES, previous="p", evidence="e")
    assert small(brief, Task("Do it."), 10**6) is brief


def test_the_largest_files_become_outlines_first_and_it_says_so() -> None:
    brief = small(brief_of(FILES), Task("Do it.", files=list(FILES)), 10_000)
    assert brief.outlined == {"pkg/b.py"}
    assert brief.files["pkg/b.py"].splitlines() == ["def helper(x): …", "def other(x): …"]
    assert brief.whole == {"a.py": LONG, "notes.txt": FILES["notes.txt"]}
    assert brief.notes == ("compressed: pkg/b.py to its outline",)


@pytest.mark.parametrize(
    ("task", "evidence"),
    [
        (Task("Look at b.py."), ""),
        (Task("Look at pkg/b.py, please"), ""),
        (Task("Fix it.", checks=["tests:pkg/b.py"]), ""),
        (Task("Fix it.", out=["pkg/b.py"]), ""),
        (Task("Fix it."), 'File "pkg/b.py", line 3: NameError'),
        (Task("Fix it."), "E   from pkg.b import helper"),
    ],
)
def test_a_file_that_is_spoken_of_stays_whole(task: Task, evidence: str) -> None:
    brief = small(brief_of(FILES, evidence=evidence), task, 0)
    assert set(brief.whole) == {"pkg/b.py"}


def test_a_name_inside_another_word_does_not_count() -> None:
    brief = small(brief_of({"b.py": LONG, "c.py": LONG}), Task("See ab.py, b.pyc, c.py."), 0)
    assert set(brief.whole) == {"c.py"}


def test_where_files_are_edited_one_stays_whole() -> None:
    assert small(brief_of({"x.py": LONG}), Task("Fix it.", files=["x.py"]), 0).outlined == set()
    only_read = Task("Fix it.", files=["x.py"], out=["y.py"])
    assert small(brief_of({"x.py": LONG}), only_read, 0).outlined == {"x.py"}


def test_history_is_cut_before_any_file_is() -> None:
    brief = small(
        brief_of({"x.txt": "x"}, previous="p" * 5000, evidence="e" * 1900), Task("?"), 3000
    )
    assert brief.files == {"x.txt": "x"}
    assert brief.notes == (
        "compressed: the evidence to its beginning and end",
        "compressed: the answer before to its beginning and end",
    )


def test_answers_and_evidence_are_bounded_plain_text() -> None:
    brief = brief_of({}, previous="<think>x</think>" + "p" * 99_999, evidence="e" * 99_999)
    assert brief.previous.startswith("ppp")
    assert len(brief.previous) < MAX_PREVIOUS + 100
    assert len(brief.evidence) < MAX_EVIDENCE + 100


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.text(max_size=2000), max_size=5),
    st.integers(0, 4000),
)
def test_a_smaller_brief_is_never_a_silent_one(texts: dict[str, str], limit: int) -> None:
    files = {f"{name}.py": text for name, text in texts.items()}
    task = Task("Do it.", files=list(files))
    brief = small(brief_of(files), task, limit)
    assert brief == small(brief_of(files), task, limit)
    changed = {path for path in files if brief.files[path] != files[path]}
    assert changed <= brief.outlined
    assert len(brief.notes) == len(brief.outlined)
    shown = worker_messages(task, brief)[1].content
    assert task.text in shown
    assert all(f"Outline of the file `{path}`" in shown for path in brief.outlined)
