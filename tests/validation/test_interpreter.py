"""Which Python runs the project's code, and that it runs in the sandbox."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rung.config.settings import SandboxSettings
from rung.errors import UsageError
from rung.validation.interpreter import project_python
from tests.validation.conftest import Project


@pytest.fixture
def venv(project: Project) -> Path:
    """A virtual environment of the project's, without pytest."""
    folder = project.base / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


def test_the_projects_environment_is_used_unless_it_lacks_what_is_needed(
    project: Project, venv: Path
) -> None:
    settings = SandboxSettings()
    assert project_python(project.base, settings) == venv / "bin" / "python"
    assert project_python(project.base, settings, module="pytest") == Path(sys.executable)
    [packages] = venv.glob("lib/python*/site-packages")
    (packages / "pytest").mkdir()
    assert project_python(project.base, settings, module="pytest") == venv / "bin" / "python"


def test_without_one_it_is_rungs_own(project: Project) -> None:
    assert project_python(project.base, SandboxSettings()) == Path(sys.executable)


def test_the_settings_come_first(project: Project, venv: Path) -> None:
    assert project_python(project.base, SandboxSettings(python="/bin/sh")) == Path("/bin/sh")
    for wrong in ("/no/such/python", "python3"):
        with pytest.raises(UsageError, match=r"sandbox\.python"):
            project_python(project.base, SandboxSettings(python=wrong))


@pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])
async def test_the_projects_environment_works_in_the_sandbox(
    project: Project, venv: Path, kind: str
) -> None:
    project.sandbox = SandboxSettings(kind=kind)  # type: ignore[arg-type]
    [packages] = venv.glob("lib/python*/site-packages")
    (packages / "theirs.py").write_text("NAME = 'theirs'\n")
    (project.base / "secret.txt").write_text("the secret")
    verdict = await project.check("cmd:python -c 'import theirs; print(theirs.NAME)'", {})
    assert verdict.result == "pass", verdict.evidence
    verdict = await project.check(f"cmd:cat {project.base}/secret.txt", {})
    assert verdict.result == "fail"
    assert "the secret" not in verdict.evidence


async def test_a_project_whose_python_has_no_pytest_has_no_test_verdict(
    project: Project, venv: Path
) -> None:
    project.sandbox = SandboxSettings(python=str(venv / "bin" / "python"))
    project.add("tests/test_a.py", "def test_a(): pass\n")
    verdict = await project.check("tests:tests", {"a.py": ""})
    assert verdict.result == "unavailable"
    assert "pytest is not installed" in verdict.evidence
