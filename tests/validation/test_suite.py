"""`tests:PATH`: what passes, what does not, and what is noticed as forged."""

from __future__ import annotations

import pytest

from rung.config.settings import SandboxSettings
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


FORGERIES = {
    "exits at import": "import os\nos._exit(0)\n",
    "raises SystemExit": "import sys\nsys.exit(0)\n",
    "ends when the tests are done": "import atexit, os\natexit.register(os._exit, 0)\n" + WRONG,
    "exits in the function": "import os\ndef add(a, b):\n    os._exit(0)\n",
    "skips in the function": "import pytest\ndef add(a, b):\n    pytest.skip('no')\n",
    "skips everything at import": "import pytest\npytest.skip('no', allow_module_level=True)\n",
    "xfails in the function": "import pytest\ndef add(a, b):\n    pytest.xfail('no')\n",
    "xfails what it cannot do": """
import pytest
def add(a, b):
    return 0 if a == 0 else pytest.xfail("no")
""",
    "skips what it cannot do": """
import unittest
def add(a, b):
    if a: raise unittest.SkipTest("no")
    return 0
""",
    "ends the session": "import pytest\ndef add(a, b):\n    pytest.exit('done', returncode=0)\n",
    "turns every outcome into passed": """
from _pytest.reports import TestReport
make = TestReport.from_item_and_call.__func__
def forge(cls, item, call):
    report = make(cls, item, call)
    report.outcome, report.longrepr = "passed", None
    return report
TestReport.from_item_and_call = classmethod(forge)
def add(a, b): return None
""",
    "never calls the test": """
import _pytest.python
_pytest.python.pytest_pyfunc_call = lambda pyfuncitem: True
_pytest.python.Function.runtest = lambda self: None
import _pytest.unittest
_pytest.unittest.TestCaseFunction.runtest = lambda self: None
def add(a, b): return None
""",
    "drops the other tests": """
import _pytest.main
collect = _pytest.main.Session.perform_collect
def forge(self, *args, **kwargs):
    items = collect(self, *args, **kwargs)
    self.items[:] = []
    return self.items
_pytest.main.Session.perform_collect = forge
def add(a, b): return None
""",
    "writes a report of its own": """
import os, sys
path = next(word.split("=", 1)[1] for word in sys.argv if word.startswith("--junitxml="))
with open(path, "w") as file:
    file.write('<testsuites><testsuite><testcase classname="tests.test_add" name="test_adds"/>'
               '<testcase classname="tests.test_add" name="test_adds_nothing"/>'
               '</testsuite></testsuites>')
os._exit(1)
""",
    "leaves a report that is a link": """
import os, sys
path = next(word.split("=", 1)[1] for word in sys.argv if word.startswith("--junitxml="))
os.symlink("/etc/passwd", path)
os._exit(1)
""",
    "catches the failures": """
import builtins
class Quiet(Exception): pass
builtins.AssertionError = Quiet
import sys
sys.exit = lambda *args: None
def add(a, b): return None
""",
    "rewrites the tests": """
import pathlib
for path in pathlib.Path(__file__).parent.glob("tests/test_*.py"):
    path.write_text("def test_adds(): pass\\n")
def add(a, b): return None
""",
}


@pytest.mark.parametrize("code", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_forged_pass_is_not_a_pass(adding: Project, code: str) -> None:
    verdict = await adding.check("tests:tests/test_add.py", {"solution.py": code})
    assert verdict.result == "fail", verdict.evidence


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
