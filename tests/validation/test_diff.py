"""`diff:PATHS[<=N]`: what an answer may touch, and how much of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.errors import UsageError
from rung.validation.checks.diff import changed_lines, parse_scope
from tests.validation.conftest import Project, write

OLD = "one\ntwo\nthree\nfour\n"
LINES = st.lists(st.sampled_from("abc"))


@pytest.fixture
def changing(project: Project) -> Project:
    """Two files of the project; the scratch copy, where answers are laid over, does not count."""
    write(project.base / "src/app.py", OLD)
    write(project.base / "docs/use.md", OLD)
    return project


@pytest.mark.parametrize(
    ("scope", "files", "result", "said"),
    [
        ("src/app.py", {"src/app.py": OLD + "five\n"}, "pass", "1 line changed in 1 file"),
        ("src", {"src/app.py": OLD + "five\n"}, "pass", "1 line "),
        ("src/*.py<=1", {"src/app.py": "one\nTWO\nthree\nfour\n"}, "pass", "1 line "),
        ("src/*.py<=1", {"src/app.py": "one\nTWO\nTHREE\nfour\n"}, "fail", "more than 1"),
        ("docs/*", {"src/app.py": ""}, "fail", "outside docs/*:\nsrc/app.py"),
        ("docs", {"documents/a.md": "x\n"}, "fail", "outside docs"),
        ("docs,src/new.py", {"src/new.py": "x\ny\n"}, "pass", "2 lines changed in 1 file"),
        ("<=1", {"anywhere.txt": "x\n"}, "pass", "1 line "),
        ("<=1", {"src/app.py": "", "docs/use.md": ""}, "fail", "src/app.py: 4\ndocs/use.md: 4"),
        ("docs", {"src/app.py": OLD, "docs/use.md": "x\n"}, "pass", "in 1 file"),
        ("docs", {"../outside": "x\n"}, "fail", "unsafe path"),
        ("docs", {"src/app.py": OLD.replace("\n", "\r\n")}, "fail", "changes 1 file outside docs"),
        ("docs", {"src/app.py": OLD.rstrip("\n")}, "fail", "changes 1 file outside docs"),
    ],
)
async def test_only_named_files_and_so_many_lines_may_change(
    changing: Project, scope: str, files: dict[str, str], result: str, said: str
) -> None:
    verdict = await changing.check(f"diff:{scope}", files)
    assert (verdict.result, said in verdict.evidence) == (result, True), verdict.evidence


async def test_an_answer_without_files_shows_nothing(changing: Project) -> None:
    verdict = await changing.check_text("diff:src", "words")
    assert verdict.result == "unavailable"


@pytest.mark.parametrize("argument", ["", " , ", "src<=", "src<=many", "src<=-1"])
def test_a_scope_that_says_nothing_is_refused(argument: str) -> None:
    with pytest.raises(UsageError, match="diff"):
        parse_scope(argument)


@given(LINES, LINES)
def test_no_changed_line_is_missed_and_no_more_count_than_there_are(
    before: list[str], after: list[str]
) -> None:
    count = changed_lines(before, after)
    assert (count == 0) == (before == after)
    assert abs(len(before) - len(after)) <= count <= max(len(before), len(after))


def test_what_is_too_long_to_compare_counts_as_a_whole() -> None:
    before = [f"old {n}" for n in range(50_000)]
    assert changed_lines(before, [f"new {n}" for n in range(40_000)]) == 50_000
    assert changed_lines(before, [*before[:100], "new", *before[101:]]) == 1
