"""Validators of a package that is really installed, through the command and in a process of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import rung

PACKAGE = Path(__file__).parent / "plugin_package"
_RUN = """
import asyncio, sys
from pathlib import Path
import msgspec
from rung.config.settings import SandboxSettings
from rung.errors import UsageError
from rung.validation import Candidate, CheckContext, check_arguments, parse_check, run_checks

async def main(spec):
    here = Path.cwd()
    context = CheckContext(base=here, scratch=here, sandbox=SandboxSettings())
    candidate = Candidate(text="see RFC 9110", files={"a.py": "# TODO: all of it"})
    [verdict] = await run_checks([parse_check(spec)], candidate, context)
    try:
        check_arguments(parse_check(spec), here)
        refused = ""
    except UsageError as error:
        refused = str(error)
    print(msgspec.json.encode([verdict.result, verdict.evidence, refused]).decode())

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the example is installed into by pip, without any index."""
    folder = tmp_path_factory.mktemp("plugins")
    source = shutil.copytree(PACKAGE, folder / "source")
    target = folder / "site"
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--target"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, str(target), str(source)], check=True
    )
    return target


def verdict_of(spec: str, packages: Path, folder: Path) -> tuple[str, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, spec],
        cwd=folder,
        env={"PYTHONPATH": str(packages), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result, evidence, refused = json.loads(done.stdout)
    return result, evidence, refused


@pytest.mark.parametrize(
    ("spec", "result", "said"),
    [
        ("todo", "fail", "a.py"),
        ("cites:RFC", "pass", ""),
        ("cites:ISO", "fail", ""),
        ("crashing", "error", "the validator broke: RuntimeError: no luck"),
        ("leaving", "error", "the validator broke: SystemExit: 0"),
        ("wordless", "error", "the validator broke: ValidationError"),
        ("unregistered", "error", "registers no validator 'unregistered'"),
        ("missing", "error", "No module named 'rung_example_missing'"),
        ("unimportable", "error", "rung-example 1.0 cannot be used: SystemExit: not today"),
        ("syntax", "pass", ""),  # the built-in one, which no package can replace
    ],
)
def test_an_installed_validator_judges_and_its_breakdown_is_no_crash(
    packages: Path, tmp_path: Path, spec: str, result: str, said: str
) -> None:
    found, evidence, refused = verdict_of(spec, packages, tmp_path)
    assert found == result
    assert said in evidence
    is_broken = spec in ("unregistered", "missing", "unimportable")
    assert bool(refused) == is_broken, refused


def test_the_list_says_what_is_there_and_what_cannot_run(packages: Path, tmp_path: Path) -> None:
    ran = rung("checks", "list", "--json", cwd=tmp_path, env={"PYTHONPATH": str(packages)})
    assert ran.status == 0, ran.err
    rows = {(row["kind"], row["source"]): row for row in ran.json}
    todo = rows["todo", "rung-example 1.0"]
    assert todo["description"] == "`todo`: no TODO is left in the answer's files."
    assert todo["problem"] == ""
    assert "already" in rows["syntax", "rung-example 1.0"]["problem"]
    assert "not today" in rows["unimportable", "rung-example 1.0"]["problem"]
    assert rows["tests", "built in"]["form"] == "tests:PATH"
    ranks = [row["rank"] for row in ran.json]
    assert ranks == sorted(ranks)


def test_the_list_is_a_table_for_people(packages: Path, tmp_path: Path) -> None:
    ran = rung("checks", "list", cwd=tmp_path, env={"PYTHONPATH": str(packages)})
    assert ran.status == 0, ran.err
    assert "no TODO is left in the answer's files" in ran.out
    assert "not today" in ran.err
