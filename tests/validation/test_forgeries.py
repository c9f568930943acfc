"""Candidates that make a test run look passed, and honest ones that look a little like them.

Each file of `forgeries/` is one candidate: its files by name, and in the table `project` files of
the user's project that are not as `adding` has them. To add a kind, add a file.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import cast

import pytest

from rung.validation import Verdict
from tests.validation.conftest import Project
from tests.validation.test_suite import QUICK, RIGHT, TESTS, WRONG

CORPUS = Path(__file__).parent / "forgeries"
FORGED = sorted((CORPUS / "forged").glob("*.toml"))
HONEST = sorted((CORPUS / "honest").glob("*.toml"))


@pytest.fixture
def adding(project: Project) -> Project:
    """A project whose tests nothing passes yet: there is no `solution.py`."""
    project.add("pytest.ini", f"[pytest]\naddopts = {QUICK}\n")
    project.add("tests/test_add.py", TESTS)
    return project


async def check(project: Project, path: Path) -> Verdict:
    files = cast("dict[str, str]", tomllib.loads(path.read_text()))
    theirs = cast("dict[str, str]", files.pop("project", {}))
    for name, text in theirs.items():
        project.add(name, text)
    return await project.check("tests:tests/test_add.py", files)


def test_the_corpus_is_as_large_as_is_promised() -> None:
    assert len(FORGED) >= 80
    assert len(HONEST) >= 14


@pytest.mark.parametrize("path", FORGED, ids=lambda path: path.stem)
async def test_a_forged_pass_is_not_a_pass(adding: Project, path: Path) -> None:
    verdict = await check(adding, path)
    assert verdict.result in ("fail", "error"), verdict.evidence


@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.stem)
async def test_an_honest_twin_passes(adding: Project, path: Path) -> None:
    verdict = await check(adding, path)
    assert verdict.result == "pass", verdict.evidence


@pytest.mark.parametrize("solution", [RIGHT, WRONG], ids=["right", "wrong"])
async def test_a_tests_verdict_is_that_of_the_solution(adding: Project, solution: str) -> None:
    verdict = await adding.check("tests:.", {"solution.py": solution})
    assert verdict.result == ("pass" if solution == RIGHT else "fail"), verdict.evidence
