"""Every command says what it does, and bad input gets a clear answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rung.cli.main import COMMANDS
from tests.command import rung


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches(name: str) -> None:
    ran = rung(name, "--help")
    assert ran.status == 0
    assert "Usage: rung" in ran.out
    assert len(ran.out.splitlines()) > 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["modles", "list"], ["no command 'modles'", "did you mean 'models'"]),
        (["do"], ["TEXT", "--task"]),
        (["do", "x", "--task", "t.toml"], ["TEXT", "--task"]),
        (["do", "--task", "missing.toml"], ["missing.toml", "does not exist"]),
        (["do", "x", "--check", "test:x"], ["tests"]),
        (["do", "x", "--check", "tests:missing.py"], ["missing.py"]),
        (["do", "x", "--schema", "missing.json"], ["missing.json", "does not exist"]),
        (["do", "x", "--file", "missing.py"], ["missing.py", "does not exist"]),
        (["do", "x", "--out", "/etc/x"], ["not inside the project"]),
        (["do", "x", "--chain", "nobody/nothing"], ["nobody/nothing"]),
        (["do", "  "], ["no text"]),
        (["ask", "x", "--model", "embedded/nothing"], ["embedded/nothing"]),
        (["ask", ""], ["empty"]),
        (["health", "everything"], ["lm", "db", "system"]),
        (["control", "summary", "--window-hours", "-1"], ["window-hours"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_usage_error_exits_with_2_and_says_what_to_do(
    arguments: list[str], words: list[str], tmp_path: Path
) -> None:
    ran = rung(*arguments, cwd=tmp_path)
    assert ran.status == 2, ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    for word in words:
        assert word in ran.err


def test_a_task_file_with_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text('text = "x"\ncheks = ["syntax"]\n')
    ran = rung("do", "--task", "task.toml", cwd=tmp_path)
    assert ran.status == 2
    assert "unknown key 'cheks'" in ran.err
    assert "did you mean 'checks'" in ran.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('text = "x"\nbudget_usd = "much"\n', "budget_usd"),
        ('text = "x"\ntype = "small"\n', "type"),
        ("checks = []\n", "'text' is missing"),
        ("text = \n", "not valid TOML"),
        ('text = "x"\nschema = "s.json"\n', "s.json"),
    ],
)
def test_a_wrong_task_file_is_a_clear_error(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "task.toml").write_text(content)
    ran = rung("do", "--task", "task.toml", cwd=tmp_path)
    assert ran.status == 2
    assert words in ran.err


@pytest.mark.parametrize(
    "schema", ["[]", "not json", '{"type": "strin"}', '{"$ref": "#/nowhere"}', "[" * 50_000]
)
def test_a_schema_that_is_not_a_schema_is_a_clear_error(tmp_path: Path, schema: str) -> None:
    (tmp_path / "s.json").write_text(schema)
    ran = rung("do", "x", "--schema", "s.json", cwd=tmp_path)
    assert ran.status == 2, ran.err
    assert "Traceback" not in ran.err
    assert "error:" in ran.err


def test_config_show_prints_values_and_origins(tmp_path: Path) -> None:
    (tmp_path / "rung.toml").write_text("[embedded]\nslots = 2\n")
    ran = rung("config", "show", "--json", cwd=tmp_path, env={"LM_STUDIO_MODEL": "m"})
    shown = ran.json
    assert shown["embedded.slots"] == {"value": "2", "origin": str(tmp_path / "rung.toml")}
    assert shown["engines.lmstudio.model"]["origin"] == "LM_STUDIO_MODEL"
    assert rung("config", "path", cwd=tmp_path).out.count("(found)") == 1


def test_a_wrong_configuration_stops_every_command_clearly(tmp_path: Path) -> None:
    (tmp_path / "rung.toml").write_text("[embeded]\nslots = 2\n")
    for arguments in (["config", "show"], ["do", "x"], ["models", "list"], ["health"]):
        ran = rung(*arguments, cwd=tmp_path)
        assert ran.status == 2
        assert "did you mean 'embedded'" in ran.err
        assert "Traceback" not in ran.err


def test_without_any_model_it_says_how_to_get_one(tmp_path: Path) -> None:
    for arguments in (["do", "x"], ["ask", "x"]):
        ran = rung(*arguments, cwd=tmp_path)
        assert ran.status in (1, 2)
        assert "rung models pull smollm2-135m" in ran.err
    listed = rung("models", "list", "--json", cwd=tmp_path).json
    assert [row["state"] for row in listed] == ["pullable"]
    assert "rung models pull" in rung("models", "list", cwd=tmp_path).out


def test_the_ledger_is_summed_up_and_empty_queues_say_so(tmp_path: Path) -> None:
    assert rung("control", "summary", "--json", cwd=tmp_path).json["models"] == []
    assert "nothing waits" in rung("review", "list", cwd=tmp_path).out
    assert rung("review", "list", "--json", cwd=tmp_path).json == []
    ran = rung("review", "show", "7", cwd=tmp_path)
    assert ran.status != 0
    assert "7" in ran.err


def test_health_reports_each_part(tmp_path: Path) -> None:
    system = rung("health", "system", "--json", cwd=tmp_path)
    assert system.json["ok"] is True
    assert system.status == 0
    db = rung("health", "db", "--json", cwd=tmp_path).json
    assert (db["ok"], db["mode"]) == (True, "sqlite")
    off = rung("health", "db", "--json", cwd=tmp_path, env={"RUNG_DATABASE_URL": "off"}).json
    assert (off["ok"], off["mode"]) == (True, "off")
    lm = rung("health", "lm", "--json", cwd=tmp_path)
    assert lm.status == 1
    assert lm.json["details"]["embedded"]["reachable"]["ok"] in (True, False)
    text = rung("health", cwd=tmp_path)
    assert all(part in text.out for part in ("lm", "db", "system"))


def test_json_output_is_json_and_nothing_else(tmp_path: Path) -> None:
    for arguments in (["engines"], ["models", "list"], ["health"], ["control", "summary"]):
        json.loads(rung(*arguments, "--json", cwd=tmp_path).out)


def test_a_dead_engine_says_once_why_it_is_not_there(tmp_path: Path) -> None:
    gone = '[engines.gone]\nkind = "vllm"\nbase_url = "http://127.0.0.1:9/v1"\n'
    (tmp_path / "own.toml").write_text(gone)
    env = {"RUNG_CONFIG": str(tmp_path / "own.toml")}
    ran = rung("health", "lm", cwd=tmp_path, env=env)
    assert ran.out.count("nothing answers") == 1
    assert "✗ reachable" in ran.out


@pytest.mark.parametrize("group", ["models", "engines"])
def test_help_cuts_no_sentence_short(group: str, tmp_path: Path) -> None:
    ran = rung(group, "--help", cwd=tmp_path)
    assert ran.status == 0
    assert "..." not in ran.out.partition("Commands:")[2]


def test_a_pull_that_cannot_begin_prints_its_error_and_nothing_else(tmp_path: Path) -> None:
    ran = rung("models", "pull", "nosuch", cwd=tmp_path)
    assert ran.status == 1
    assert len(ran.err.splitlines()) == 1


def test_the_shell_completes_commands(tmp_path: Path) -> None:
    env = {"_RUNG_COMPLETE": "bash_complete", "COMP_WORDS": "rung models pu", "COMP_CWORD": "2"}
    assert rung(cwd=tmp_path, env=env).out.split() == ["plain,pull"]
