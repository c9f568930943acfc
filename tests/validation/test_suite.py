"""`tests:PATH`: what passes, what does not, and what is noticed as forged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from rung.config.settings import SandboxSettings
from rung.validation import CheckContext
from rung.validation.checks import expected, suite
from rung.validation.checks.pytest_run import Run
from tests.validation.conftest import Project

TESTS = """
from solution import add

def test_adds():
    assert add(1, 2) == 3

def test_adds_nothing():
    assert add(0, 0) == 0
"""
RIGHT = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return a - b\n"


# Rung's own plugins are installed beside pytest here; without them a run takes a fifth of the time.
PLUGINS = ("hypothesispytest", "asyncio", "xdist", "xdist.looponfail", "pytest_cov", "timeout")
QUICK = " ".join(f"-p no:{name}" for name in PLUGINS)


@pytest.fixture(autouse=True)
def quick(project: Project) -> None:
    project.add("pytest.ini", f"[pytest]\naddopts = {QUICK}\n")


@pytest.fixture
def adding(project: Project) -> Project:
    """A project whose tests cannot be collected yet: there is no `solution.py`."""
    project.add("tests/test_add.py", TESTS)
    return project


async def test_a_right_solution_passes(adding: Project) -> None:
    verdict = await adding.check("tests:tests/test_add.py", {"solution.py": RIGHT})
    assert (verdict.result, verdict.evidence) == ("pass", "2 passed")


async def test_a_folder_of_tests_and_an_existing_module_work_too(adding: Project) -> None:
    adding.add("solution.py", WRONG)
    verdict = await adding.check("tests:tests", {"solution.py": RIGHT})
    assert verdict.result == "pass", verdict.evidence


async def test_a_failure_names_the_test_and_shows_the_assertion(adding: Project) -> None:
    verdict = await adding.check("tests:tests/test_add.py", {"solution.py": WRONG})
    assert verdict.result == "fail"
    assert "tests.test_add::test_adds\n" in verdict.evidence
    assert "assert -1 == 3" in verdict.evidence
    assert "1 failed, 1 passed" in verdict.evidence


async def test_a_solution_that_cannot_be_imported_fails(adding: Project) -> None:
    verdict = await adding.check("tests:tests/test_add.py", {"solution.py": "def add(a, b:\n"})
    assert verdict.result == "fail"
    assert "SyntaxError" in verdict.evidence


async def test_tests_that_hang_fail_at_the_time_limit(adding: Project) -> None:
    adding.sandbox = SandboxSettings(timeout_s=1.5)
    verdict = await adding.check("tests:tests", {"solution.py": "while True: pass\n"})
    assert verdict.result == "fail"
    assert "did not finish within 1.5 s" in verdict.evidence


async def test_a_source_layout_is_importable(project: Project) -> None:
    project.add("tests/test_add.py", TESTS)
    verdict = await project.check("tests:tests", {"src/solution.py": RIGHT})
    assert verdict.result == "pass", verdict.evidence


async def test_settings_that_stop_at_the_first_failure_do_not_hide_tests(adding: Project) -> None:
    adding.add("pytest.ini", f"[pytest]\naddopts = {QUICK} -x -qq\n")
    adding.add("solution.py", WRONG)
    verdict = await adding.check("tests:tests", {"solution.py": RIGHT})
    assert (verdict.result, verdict.evidence) == ("pass", "2 passed")


async def test_a_conftest_of_the_projects_own_still_counts(project: Project) -> None:
    project.add("tests/test_add.py", "def test_value(value):\n    assert value == 3\n")
    project.add(
        "tests/conftest.py", "import pytest\n\n@pytest.fixture\ndef value():\n    return 3\n"
    )
    verdict = await project.check("tests:tests", {"other.py": "x = 1\n"})
    assert verdict.result == "pass", verdict.evidence


async def test_tests_beside_the_source_run_against_the_candidates_source(project: Project) -> None:
    project.add("app/test_add.py", TESTS.replace("from solution", "from app.solution"))
    project.add("app/__init__.py", "")
    project.add("app/solution.py", RIGHT)
    verdict = await project.check("tests:app", {"app/solution.py": WRONG})
    assert verdict.result == "fail"


async def test_tests_that_the_project_skips_may_be_skipped(adding: Project) -> None:
    skipped = "\nimport pytest\n\n@pytest.mark.skip(reason='later')\ndef test_later():\n    pass\n"
    adding.add("tests/test_add.py", TESTS + skipped)
    adding.add("solution.py", WRONG)
    verdict = await adding.check("tests:tests", {"solution.py": RIGHT})
    assert (verdict.result, verdict.evidence) == ("pass", "2 passed, 1 skipped")


async def test_a_test_that_was_not_skipped_before_may_not_be_skipped_now(project: Project) -> None:
    project.add("solution.py", "READY = True\n")
    project.add(
        "tests/test_ready.py",
        "import pytest, solution\n\n"
        "@pytest.mark.skipif(not solution.READY, reason='not ready')\n"
        "def test_hard():\n    assert False\n\n"
        "def test_easy():\n    pass\n",
    )
    verdict = await project.check("tests:tests", {"solution.py": "READY = False\n"})
    assert verdict.result == "fail"
    assert "skipped only with this answer" in verdict.evidence


async def test_a_test_that_vanishes_is_a_failure(project: Project) -> None:
    project.add("cases.py", "CASES = [1, 2, 3]\n")
    project.add(
        "tests/test_cases.py",
        "import pytest, cases\n\n"
        "@pytest.mark.parametrize('case', cases.CASES)\n"
        "def test_case(case):\n    assert case == 1\n",
    )
    verdict = await project.check("tests:tests", {"cases.py": "CASES = [1]\n"})
    assert verdict.result == "fail"
    assert "2 tests did not run" in verdict.evidence


async def test_a_module_that_cannot_be_collected_yet_hides_nothing(project: Project) -> None:
    """Of it the tests are known by name; of the others as the project collects them."""
    project.add("cases.py", "CASES = [1, 2, 3]\n")
    project.add("tests/test_add.py", TESTS)
    project.add(
        "tests/test_cases.py",
        "import pytest, cases\n\n"
        "@pytest.mark.parametrize('case', cases.CASES)\n"
        "def test_case(case):\n    assert case > 0\n",
    )
    verdict = await project.check("tests:tests", {"solution.py": RIGHT, "cases.py": "CASES = [1]"})
    assert verdict.result == "fail"
    assert "2 tests did not run" in verdict.evidence
    dropping = (
        "def pytest_collection_modifyitems(items):\n"
        "    items[:] = [item for item in items if item.name != 'test_adds']\n"
    )
    files = {"solution.py": RIGHT, "conftest.py": dropping, "cases.py": "CASES = [1, 2, 3]\n"}
    verdict = await project.check("tests:tests", files)
    assert verdict.result == "fail"
    assert "1 test did not run:\ntests.test_add::test_adds" in verdict.evidence


async def test_what_the_tests_import_from_their_folder_is_the_projects(project: Project) -> None:
    project.add("tests/helper.py", "def same(a, b):\n    assert a == b\n")
    project.add(
        "tests/test_a.py",
        "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent))\n"
        "from helper import same\nfrom solution import add\n\n"
        "def test_adds():\n    same(add(1, 2), 3)\n",
    )
    files = {"solution.py": WRONG, "tests/helper.py": "def same(a, b):\n    pass\n"}
    verdict = await project.check("tests:tests/test_a.py", files)
    assert verdict.result == "fail"


async def test_a_failure_that_does_not_come_again_is_an_accident(
    adding: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine has a bad moment in the first three runs, two of them of false tests."""
    adding.add("solution.py", WRONG)
    adding.add("tests/test_add.py", TESTS.replace("def", "from pathlib import Path\n\ndef", 1))
    shaky = "\ndef test_shakes():\n    assert not Path('bad_moment').exists()\n"
    adding.add("tests/test_add.py", (adding.base / "tests/test_add.py").read_text() + shaky)
    run, runs = suite.run_pytest, 0

    async def run_in_bad_moments(context: CheckContext, folder: Path, nodes: Sequence[str]) -> Run:
        nonlocal runs
        runs += 1
        if runs <= 3 or is_always_bad:
            (folder / "bad_moment").touch()
        return await run(context, folder, nodes)

    monkeypatch.setattr(suite, "run_pytest", run_in_bad_moments)
    is_always_bad = False
    verdict = await adding.check("tests:tests", {"solution.py": RIGHT})
    assert verdict.result == "pass"
    assert verdict.evidence.startswith("3 passed, in the second run; the first had\n1 failed")
    is_always_bad = True
    verdict = await adding.check("tests:tests", {"solution.py": RIGHT})
    assert verdict.result == "fail"
    assert "test_shakes" in verdict.evidence


async def test_a_state_that_false_tests_leave_behind_is_not_held_against_an_answer(
    project: Project,
) -> None:
    """The second test depends on what the first does after its assertion."""
    project.add(
        "tests/test_state.py",
        "from solution import add\n\nSEEN = []\n\n"
        "def test_first():\n    assert add(1, 2) == 3\n    SEEN.append(1)\n\n"
        "def is_first():\n    return not SEEN\n\n"
        "def test_second():\n    assert not is_first()\n",
    )
    verdict = await project.check("tests:tests", {"solution.py": RIGHT})
    assert verdict.result == "pass", verdict.evidence


async def test_a_conftest_that_nobody_asked_for_is_not_used(adding: Project) -> None:
    """An earlier check ran code of the candidate's, which left a conftest and changed the tests."""
    forged = "import os\ndef pytest_sessionstart():\n    os._exit(0)\n"
    for name in ("conftest.py", "tests/conftest.py"):
        (adding.scratch / name).write_text(forged)
    (adding.scratch / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    (adding.scratch / "tests" / "test_add.py").write_text("def test_adds(): pass\n")
    verdict = await adding.check("tests:tests", {"solution.py": RIGHT})
    assert (verdict.result, verdict.evidence) == ("pass", "2 passed")
    verdict = await adding.check("tests:tests", {"solution.py": WRONG})
    assert verdict.result == "fail"


async def test_a_folder_replaced_by_a_link_is_not_written_through(adding: Project) -> None:
    outside = adding.base.parent / "outside"
    outside.mkdir()
    (outside / "test_add.py").write_text("precious")
    (adding.scratch / "tests" / "test_add.py").unlink()
    (adding.scratch / "tests").rmdir()
    (adding.scratch / "tests").symlink_to(outside)
    verdict = await adding.check("tests:tests", {"solution.py": RIGHT})
    assert verdict.result == "pass", verdict.evidence
    assert [path.name for path in outside.iterdir()] == ["test_add.py"]
    assert (outside / "test_add.py").read_text() == "precious"


async def test_the_candidates_version_of_an_existing_test_does_not_count(adding: Project) -> None:
    files = {"solution.py": WRONG, "tests/test_add.py": "def test_adds(): pass\n"}
    verdict = await adding.check("tests:tests", files)
    assert verdict.result == "fail"


async def test_a_test_that_the_candidate_was_asked_for_runs(adding: Project) -> None:
    new = "from solution import add\n\ndef test_more():\n    assert add(2, 2) == 4\n"
    files = {"solution.py": RIGHT, "tests/test_more.py": new}
    verdict = await adding.check("tests:tests", files)
    assert (verdict.result, verdict.evidence) == ("pass", "3 passed")


async def test_the_users_project_is_not_touched(adding: Project) -> None:
    adding.add("solution.py", WRONG)
    before = sorted(str(path) for path in adding.base.rglob("*"))
    await adding.check("tests:tests", {"solution.py": RIGHT})
    assert sorted(str(path) for path in adding.base.rglob("*")) == before
    assert (adding.base / "solution.py").read_text() == WRONG


async def test_the_projects_own_tests_are_collected_once_until_it_changes(
    adding: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected: list[str] = []
    collect = expected.collect_base

    async def counting(context: CheckContext, target: str) -> expected.Expected | None:
        collected.append(target)
        return await collect(context, target)

    monkeypatch.setattr(expected, "collect_base", counting)
    for solution in (RIGHT, WRONG):
        await adding.check("tests:tests", {"solution.py": solution})
    assert collected == ["tests"]
    more = TESTS + "\ndef test_more():\n    assert add(2, 2) == 5\n"
    (adding.base / "tests/test_add.py").write_text(more)
    verdict = await adding.check("tests:tests", {"solution.py": RIGHT})
    assert collected == ["tests", "tests"]
    assert "test_more" in verdict.evidence


async def test_neither_age_nor_place_of_a_file_tells_which_tests_are_false(
    adding: Project,
) -> None:
    """Of two test files, each has false tests in one of the two runs."""
    look = (
        "from pathlib import Path\n\n"
        "def looks():\n"
        "    files = sorted(Path('tests').glob('test_[a-z]*_.py'))\n"
        "    found = [path.stat() for path in files]\n"
        "    return all(file.st_mtime < 1e9 for file in found) and len(found)\n"
    )
    for name in ("one", "two"):
        test = f"from solution import looks\n\ndef test_{name}():\n    assert looks() == 2\n"
        adding.add(f"tests/test_{name}_.py", test)
        for folder in (adding.base, adding.scratch):
            os.utime(folder / f"tests/test_{name}_.py", (1e8, 1e8))
    verdict = await adding.check("tests:tests", {"solution.py": RIGHT + look})
    assert verdict.result == "pass", verdict.evidence


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("pytest.ini", "[pytest]\npython_files =\n    check_*.py\n    test_*.py\n"),
        ("pyproject.toml", "[tool.pytest.ini_options]\npython_files = [\n  'check_*.py',\n]\n"),
    ],
)
async def test_tests_under_names_that_the_project_chose_are_the_projects(
    project: Project, name: str, setting: str
) -> None:
    for folder in (project.base, project.scratch):
        (folder / "pytest.ini").unlink()
    project.add(name, setting)
    project.add("checks/check_add.py", TESTS)
    files = {"solution.py": WRONG, "checks/check_add.py": "def test_adds(): pass\n"}
    assert (await project.check("tests:checks", files)).result == "fail"
    verdict = await project.check("tests:checks", {**files, "solution.py": RIGHT})
    assert (verdict.result, verdict.evidence) == ("pass", "2 passed")
