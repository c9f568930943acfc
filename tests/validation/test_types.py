"""`types[:TOOL]`: real checkers, and only what is new."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rung.errors import UsageError
from rung.validation import check_arguments, parse_check
from tests.validation.conftest import Project

GOOD = "def double(x: int) -> int:\n    return 2 * x\n"
BAD = "def double(x: int) -> str:\n    return 2 * x\n"
OLD_ERROR = 'old: int = "words"\n'


@pytest.fixture(params=["ty", "mypy", "ruff"])
def tool(request: pytest.FixtureRequest) -> str:
    """Each checker of Python that is installed beside the tests."""
    name = str(request.param)
    if not Path(sys.executable).with_name(name).exists() and shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


async def test_an_undefined_name_fails_with_its_place(project: Project, tool: str) -> None:
    verdict = await project.check(f"types:{tool}", {"a.py": "x = 1\ny = nowhere\n"})
    assert verdict.result == "fail", verdict.evidence
    assert "a.py:2:" in verdict.evidence
    assert "nowhere" in verdict.evidence


async def test_what_is_right_passes(project: Project, tool: str) -> None:
    verdict = await project.check(f"types:{tool}", {"a.py": GOOD, "pkg/b.py": "import os\n"})
    assert verdict.result == "pass", verdict.evidence


async def test_errors_that_the_project_has_are_not_new_where_they_move(
    project: Project, tool: str
) -> None:
    old = "def f():\n    return nowhere\n"
    project.add("a.py", old)
    verdict = await project.check(f"types:{tool}", {"a.py": "import os\n\n\n" + old})
    assert verdict.result == "pass", verdict.evidence
    verdict = await project.check(
        f"types:{tool}", {"a.py": old + "\ndef g():\n    return nowhere\n"}
    )
    assert verdict.result == "fail"
    assert "a.py:5:" in verdict.evidence
    assert "a.py:2:" not in verdict.evidence


async def test_a_new_files_errors_all_count(project: Project, tool: str) -> None:
    project.add("a.py", "x = nowhere\n")
    verdict = await project.check(f"types:{tool}", {"b.py": "x = nowhere\n"})
    assert verdict.result == "fail"
    assert "b.py:1:" in verdict.evidence
    assert "a.py" not in verdict.evidence


async def test_blocks_of_an_answer_are_checked_alone(project: Project, tool: str) -> None:
    project.add("a.py", "x = nowhere\n")
    verdict = await project.check_text(f"types:{tool}", f"```python\n{GOOD}```\n")
    assert verdict.result == "pass", verdict.evidence
    verdict = await project.check_text(f"types:{tool}", "```python\nprint(nowhere)\n```\n")
    assert verdict.result == "fail"


@pytest.mark.parametrize(
    "comment", ["# type: ignore", "# ty: ignore", "# noqa", "# type:ignore[name-defined] # ok"]
)
async def test_a_comment_does_not_silence_the_checker(
    project: Project, tool: str, comment: str
) -> None:
    verdict = await project.check(f"types:{tool}", {"a.py": f"x = nowhere  {comment}\n"})
    assert verdict.result == "fail", verdict.evidence


@pytest.mark.parametrize("checker", ["ty", "mypy"])
async def test_the_projects_own_silence_is_kept(project: Project, checker: str) -> None:
    line = "x = nowhere  # type: ignore\n"
    project.add("a.py", line)
    verdict = await project.check(f"types:{checker}", {"a.py": f"y = 1\n{line}"})
    assert verdict.result == "pass", verdict.evidence


@pytest.mark.parametrize(
    ("checker", "name", "text"),
    [
        ("ty", "ty.toml", '[rules]\nunresolved-reference = "ignore"\n'),
        ("ty", "pyproject.toml", '[tool.ty.rules]\nunresolved-reference = "ignore"\n'),
        ("ty", ".config/ty/ty.toml", '[rules]\nunresolved-reference = "ignore"\n'),
        ("ty", ".gitignore", "*.py\n"),
        ("mypy", "mypy.ini", "[mypy]\nignore_errors = True\n"),
        ("mypy", ".mypy.ini", "[mypy]\nignore_errors = True\n"),
        ("ruff", "pyproject.toml", '[tool.ruff]\nexclude = ["*.py"]\n'),
    ],
)
async def test_settings_come_from_the_project(
    project: Project, checker: str, name: str, text: str
) -> None:
    files = {"a.py": "x = nowhere\n", name: text}
    assert (await project.check(f"types:{checker}", files)).result == "fail"


async def test_a_change_that_breaks_another_file_fails(project: Project) -> None:
    project.add("lib.py", "def f(x: int) -> int:\n    return x\n")
    project.add("use.py", "from lib import f\n\nf(1)\n")
    changed = "def f(x: int, y: int) -> int:\n    return x + y\n"
    verdict = await project.check("types:ty", {"lib.py": changed})
    assert verdict.result == "fail"
    assert "use.py:3:" in verdict.evidence


@pytest.mark.parametrize("checker", ["ty", "mypy"])
async def test_a_package_that_is_not_known_here_is_not_blamed_but_a_wrong_module_is(
    project: Project, checker: str
) -> None:
    project.add("pkg/__init__.py", "")
    ask = f"types:{checker}"
    assert (await project.check(ask, {"a.py": "import some_package.x\n"})).result == "pass"
    assert (await project.check(ask, {"a.py": "import pkg.nowhere\n"})).result == "fail"
    assert (await project.check(ask, {"a.py": "from os import nowhere\n"})).result == "fail"


@pytest.mark.parametrize("checker", ["ty", "mypy"])
async def test_a_package_below_src_is_found_from_the_tests(project: Project, checker: str) -> None:
    project.add("src/pkg/__init__.py", "A: int = 1\n")
    project.add("src/pkg/b.py", "")
    files = {
        "tests/test_a.py": "from pkg import A\nfrom pkg.b import B\n\nassert A + B == 2\n",
        "src/pkg/b.py": "from pkg import A\n\nB = A\n",
    }
    verdict = await project.check(f"types:{checker}", files)
    assert verdict.result == "pass", verdict.evidence


@pytest.mark.parametrize("checker", ["ty", "mypy"])
async def test_in_a_projects_own_environment_a_missing_package_is_an_error(
    project: Project, checker: str
) -> None:
    folder = project.base / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "theirs.py").write_text("NAME: str = 'theirs'\n")
    ask = f"types:{checker}"
    verdict = await project.check(ask, {"a.py": "import theirs\n\ntheirs.NAME.lower()\n"})
    assert verdict.result == "pass", verdict.evidence
    assert (await project.check(ask, {"a.py": "import some_package\n"})).result == "fail"


async def test_a_checker_that_cannot_work_gives_way_to_the_next(project: Project) -> None:
    project.add("pyproject.toml", '[tool.ty]\nnot-a-setting = "?"\n')
    alone = await project.check("types:ty", {"a.py": "x = nowhere\n"})
    assert alone.result == "unavailable"
    assert "ty does not work here" in alone.evidence
    verdict = await project.check("types", {"a.py": "x = nowhere\n"})
    assert verdict.result == "fail"
    assert verdict.evidence.startswith("mypy: ")


async def test_without_a_checker_there_is_no_verdict(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await project.check("types", {"notes.txt": "x"})).result == "unavailable"
    verdict = await project.check("types:tsc", {"a.ts": "const a = 1;\n"})
    assert verdict.result == "unavailable"
    assert "there is no tsconfig.json" in verdict.evidence
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    verdict = await project.check("types", {"a.py": GOOD})
    assert verdict.result == "unavailable"
    assert "install rung[types]" in verdict.evidence


def test_a_tool_that_is_not_known_is_refused_early(project: Project) -> None:
    with pytest.raises(UsageError, match="the tools are ty, mypy, ruff, tsc, go"):
        check_arguments(parse_check("types:pylint"), project.base)


async def test_typescript_is_checked_as_the_project_says(project: Project) -> None:
    if shutil.which("tsc") is None:
        pytest.skip("tsc is not installed")
    project.add("tsconfig.json", '{"compilerOptions": {"strict": true}, "include": ["src"]}')
    project.add("src/old.ts", 'export const old: number = "words";\n')
    good = 'import { old } from "./old";\nexport const a: number = old;\n'
    verdict = await project.check("types", {"src/a.ts": good})
    assert verdict.result == "pass", verdict.evidence
    for wrong in (
        '// @ts-ignore\nexport const a: number = "words";\n',
        'import { x } from "./nowhere";\nx();\n',
    ):
        verdict = await project.check("types", {"src/a.ts": wrong})
        assert verdict.result == "fail", wrong
        assert "src/a.ts:" in verdict.evidence
        assert "old.ts" not in verdict.evidence
    assert (await project.check("compile", {"src/a.ts": wrong})).result == "fail"
    verdict = await project.check("types", {"src/a.ts": 'import x from "some-package";\nx();\n'})
    assert verdict.result == "pass", verdict.evidence


async def test_go_is_vetted_as_a_module(project: Project) -> None:
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    project.add("go.mod", "module example.com/a\n\ngo 1.21\n")
    project.add("old.go", 'package a\n\nimport "fmt"\n\nfunc Old() { fmt.Printf("%d", "x") }\n')
    good = "package a\n\nfunc New() int { return 1 }\n"
    verdict = await project.check("types", {"new.go": good})
    assert verdict.result == "pass", verdict.evidence
    for wrong in (good.replace("1", '"x"'), good.replace("return 1", "Old(1); return 1")):
        verdict = await project.check("types", {"new.go": wrong})
        assert verdict.result == "fail", wrong
        assert "new.go:3:" in verdict.evidence
        assert "old.go" not in verdict.evidence
