"""Whole journeys through the command, with the real embedded model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import children_of, interrupt, is_alive, rung, start

LONG = "Write a very long story about a ladder that reaches the moon."


@pytest.fixture
def here(tmp_path: Path, starter_model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, on a machine that has the starter model."""
    monkeypatch.setenv("RUNG_MODELS_DIR", str(starter_model_dir))
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    """Poll until it is so."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def calls_on_record(cwd: Path) -> list[dict[str, object]]:
    return rung("control", "summary", "--json", cwd=cwd).json["models"]


def test_the_demo_verifies_what_is_in_reach_and_hands_over_the_rest(here: Path) -> None:
    ran = rung("demo", cwd=here)
    assert ran.status == 0, ran.err
    assert "verified" in ran.err
    assert "needs review" in ran.err
    items = rung("review", "list", "--json", cwd=here).json
    [item] = [found for found in items if "Roman numeral" in found["title"]]
    shown = rung("review", "show", str(item["id"]), cwd=here)
    assert "attempt 1" in shown.out
    assert "+++ b/roman.py" in shown.out
    summary = rung("control", "summary", "--json", cwd=here).json
    assert summary["tasks"]["verified"] >= 1
    assert sum(summary["tasks"].values()) == 3
    assert summary["open_reviews"] == len(items)
    # Accepted work may be drawn for an audit besides.
    assert summary["tasks"]["needs_review"] == sum(found["kind"] == "work" for found in items)
    rejected = rung("review", "reject", str(item["id"]), "--note", "no", cwd=here)
    assert rejected.out.startswith("rejected")
    again = rung("review", "approve", str(item["id"]), cwd=here)
    assert again.status != 0
    assert "already" in again.err or "rejected" in again.err
    assert list(here.iterdir()) == []


def test_do_writes_a_verified_file_when_told_to(here: Path) -> None:
    (here / "test_even.py").write_text(
        "from even import is_even\n\n\ndef test_it():\n    assert is_even(2) and not is_even(3)\n"
    )
    ran = rung(
        "do",
        "Write a Python function `is_even(number)` that returns True for an even integer.",
        *("--out", "even.py", "--check", "syntax", "--check", "tests:test_even.py", "--apply"),
        *("--seed", "7"),
        cwd=here,
    )
    assert ran.status == 0, ran.err
    assert "def is_even" in ran.out
    assert (here / "even.py").read_text().strip() == ran.out.strip()


def test_json_prints_the_whole_outcome(here: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"mood": {"enum": ["good", "bad"]}},
        "required": ["mood"],
        "additionalProperties": False,
    }
    (here / "s.json").write_text(json.dumps(schema))
    ran = rung("do", "Extract the mood: I am happy.", "--schema", "s.json", "--json", cwd=here)
    assert ran.status == 0, ran.err
    assert ran.err == ""
    outcome = ran.json
    assert outcome["status"] == "verified"
    assert outcome["object"]["mood"] in ("good", "bad")
    [attempt] = outcome["attempts"]
    assert attempt["verdicts"][0] == {
        **attempt["verdicts"][0],
        "validator": "schema",
        "result": "pass",
    }
    assert attempt["tokens_in"] > 0
    assert attempt["cost_usd"] == 0.0


def test_ask_streams_an_answer(here: Path) -> None:
    ran = rung("ask", "Say hello.", "--max-tokens", "20", cwd=here)
    assert ran.status == 0
    assert ran.out.strip()
    assert "embedded/smollm2-135m" in ran.err
    piped = rung("ask", "Repeat this:", "--json", "--max-tokens", "8", cwd=here, stdin="hello")
    assert piped.json["usage"]["tokens_out"] <= 8
    assert piped.json["finish_reason"] in ("stop", "length")


@pytest.mark.parametrize("command", ["ask", "do"])
def test_ctrl_c_stops_everything_and_the_ledger_tells_the_truth(here: Path, command: str) -> None:
    arguments = [command, LONG] + (["--max-tokens", "4000"] if command == "ask" else [])
    env = {"RUNG_ESCALATION__MAX_ANSWER_TOKENS": "4000"}
    process = start(*arguments, cwd=here, env=env)
    wait_for(lambda: len(children_of(process.pid)) >= 1)
    if command == "ask":
        assert process.stdout is not None
        process.stdout.read(1)
    else:
        wait_for(lambda: busy_seconds(children_of(process.pid)) > 1.5)
    children = children_of(process.pid)
    interrupt(process)
    assert process.wait(timeout=20) == 130
    wait_for(lambda: not any(map(is_alive, children)), 5)
    [row] = calls_on_record(here)
    assert row["errors"] == {"cancelled": 1}
    tasks = rung("control", "summary", "--json", cwd=here).json["tasks"]
    assert tasks == ({"cancelled": 1} if command == "do" else {})


def busy_seconds(pids: list[int]) -> float:
    """CPU time of processes, in seconds."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def test_kill_9_of_rung_leaves_no_orphan(here: Path) -> None:
    process = start("ask", LONG, "--max-tokens", "4000", cwd=here)
    assert process.stdout is not None
    process.stdout.read(1)
    children = children_of(process.pid)
    assert children
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=20)
    wait_for(lambda: not any(map(is_alive, children)), 20)


def test_kill_9_of_the_model_is_an_error_and_rung_goes_on(here: Path) -> None:
    process = start(
        "ask", LONG, "--max-tokens", "4000", "--model", "embedded/smollm2-135m", cwd=here
    )
    assert process.stdout is not None
    process.stdout.read(1)
    for child in children_of(process.pid):
        os.kill(child, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "unreachable" in err
    assert "Traceback" not in err
    [row] = calls_on_record(here)
    assert row["errors"] == {"unreachable": 1}


def test_a_prompt_that_does_not_fit_is_refused_clearly(here: Path) -> None:
    ran = rung("ask", "Sum up:", cwd=here, stdin="many words and more " * 100_000)
    assert ran.status == 1
    assert "context_overflow" in ran.err
    done = rung("do", "Sum up:", "--json", cwd=here, stdin="many words and more " * 100_000)
    assert done.status == 1
    assert done.json["status"] == "failed"
    assert "context_overflow" in done.json["attempts"][0]["error"]


def test_a_truncated_model_file_is_named_with_the_mend(
    here: Path, tmp_path: Path, starter_model_dir: Path
) -> None:
    models = tmp_path / "models"
    shutil.copytree(starter_model_dir / "smollm2-135m", models / "smollm2-135m")
    [gguf] = (models / "smollm2-135m").glob("*.gguf")
    with gguf.open("r+b") as file:
        file.truncate(gguf.stat().st_size // 2)
    env = {"RUNG_MODELS_DIR": str(models)}
    ran = rung("ask", "x", "--model", "embedded/smollm2-135m", cwd=here, env=env)
    assert ran.status in (1, 2)
    assert "rung models pull smollm2-135m" in ran.err
    assert "Traceback" not in ran.err


def test_a_read_only_home_does_not_stop_the_work(here: Path, tmp_path: Path) -> None:
    data = tmp_path / "not-a-folder"
    data.write_text("")
    env = {"RUNG_DATA_DIR": str(data), "RUNG_MODELS_DIR": os.environ["RUNG_MODELS_DIR"]}
    ran = rung("ask", "Say hello.", "--max-tokens", "5", cwd=here, env=env)
    assert ran.status == 0, ran.err
    assert ran.out.strip()
    health = rung("health", "db", "--json", cwd=here, env=env)
    assert health.status == 1
    assert health.json["details"]["last_error"]
