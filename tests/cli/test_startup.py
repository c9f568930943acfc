"""Starting fast: nothing heavy is imported until it is needed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = (
    "aiohttp",
    "alembic",
    "asyncio",
    "jsonschema_rs",
    "msgspec",
    "psycopg",
    "pydantic",
    "rich",
    "sqlalchemy",
    "sqlite3",
    "tree_sitter",
    "xllamacpp",
)


def imported_by(code: str) -> set[str]:
    """The modules that an interpreter has loaded after running `code`."""
    # Measuring coverage imports modules of its own into every Python process.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env
    )
    return set(done.stderr.splitlines())


def run_command(*arguments: str) -> str:
    return (
        f"import sys\nsys.argv = ['rung', {', '.join(map(repr, arguments))}]\n"
        "from rung.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )


@pytest.mark.parametrize(
    "code",
    [
        "import rung",
        "import rung.config.load",
        run_command("--help"),
        run_command("do", "--help"),
        run_command("schema", "audit", "--help"),
        run_command("config", "show"),
        run_command("config", "path"),
    ],
    ids=["import", "config", "help", "do-help", "schema-help", "config-show", "config-path"],
)
def test_no_engine_server_or_database_is_imported(code: str) -> None:
    loaded = imported_by(code)
    assert not loaded & set(HEAVY)
    assert not any(name.startswith("rung.engines") for name in loaded)


def test_the_names_of_the_package_are_there_when_asked_for() -> None:
    code = "import rung\nprint(rung.Task('x').text, rung.Rung.__name__, rung.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("x Rung 0.")
