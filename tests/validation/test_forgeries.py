"""Candidates that make a test run look passed, and honest ones that look a little like them.

Each file of `forgeries/` is one candidate: its files by name. To add a kind, add a file.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

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


def files_of(path: Path) -> dict[str, str]:
    return tomllib.loads(path.read_text())


def test_the_corpus_is_as_large_as_is_promised() -> None:
    assert len(FORGED) >= 40
    assert len(HONEST) >= 8


@pytest.mark.parametrize("path", FORGED, ids=lambda path: path.stem)
async def test_a_forged_pass_is_not_a_pass(adding: Project, path: Path) -> None:
    verdict = await adding.check("tests:tests/test_add.py", files_of(path))
    assert verdict.result == "fail", verdict.evidence


@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.stem)
async def test_an_honest_twin_passes(adding: Project, path: Path) -> None:
    verdict = await adding.check("tests:tests/test_add.py", files_of(path))
    assert verdict.result == "pass", verdict.evidence


@pytest.mark.parametrize("solution", [RIGHT, WRONG], ids=["right", "wrong"])
async def test_a_tests_verdict_is_that_of_the_solution(adding: Project, solution: str) -> None:
    verdict = await adding.check("tests:.", {"solution.py": solution})
    assert verdict.result == ("pass" if solution == RIGHT else "fail"), verdict.evidence
