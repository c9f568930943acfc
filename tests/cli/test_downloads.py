"""Downloads from the terminal: real processes that are interrupted, killed and told to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import interrupt, is_alive, rung, start
from tests.fakes.hub import FakeHub, Fault
from tests.models.builders import gguf_bytes

REPO, FILE, MODEL = "org/tiny-GGUF", "tiny-Q4_0.gguf", "tiny-q4_0"
SOURCE = f"hf:{REPO}:Q4_0"
GGUF = gguf_bytes(values=1024 * 1024)
HALF = len(GGUF) // 2


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub({REPO: {FILE: GGUF}}) as hub:
        monkeypatch.setenv("RUNG_HUB__URL", hub.url)
        monkeypatch.setenv("RUNG_MODELS_DIR", str(tmp_path / "models"))
        yield hub


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def until(holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def stalled_pull(hub: FakeHub, models: Path, cwd: Path) -> subprocess.Popen[str]:
    """A running `rung models pull` that has got half of the file."""
    hub.faults = [Fault(stall_after=HALF)]
    process = start("models", "pull", SOURCE, cwd=cwd)
    partial = models / f".{MODEL}.part" / "weights.partial"
    until(lambda: partial.exists() and partial.stat().st_size == HALF)
    return process


def jobs(cwd: Path) -> list[dict[str, Any]]:
    return rung("models", "downloads", "--json", cwd=cwd).json


def test_a_model_of_the_hub_is_pulled_listed_and_verified(
    hub: FakeHub, models: Path, tmp_path: Path
) -> None:
    ran = rung("models", "pull", SOURCE, cwd=tmp_path)
    assert (ran.status, ran.out) == (0, f"{MODEL}  {models}/{MODEL}/{MODEL}.gguf\n")
    (job,) = jobs(tmp_path)
    assert (job["model"], job["state"], job["done_bytes"]) == (MODEL, "done", len(GGUF))
    assert "done" in rung("models", "downloads", cwd=tmp_path).out
    assert "whole" in rung("models", "verify", cwd=tmp_path).out
    (models / MODEL / f"{MODEL}.gguf").write_bytes(bytes(len(GGUF)))
    verified = rung("models", "verify", MODEL, cwd=tmp_path)
    assert verified.status == 1
    assert f"rung models pull {MODEL}" in verified.err
    assert rung("models", "pull", MODEL, "--verify", "--quiet", cwd=tmp_path).status == 0
    assert rung("models", "verify", MODEL, cwd=tmp_path).status == 0


def test_after_kill_9_the_next_pull_goes_on_from_the_bytes_on_disk(
    hub: FakeHub, models: Path, tmp_path: Path
) -> None:
    process = stalled_pull(hub, models, tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    hub.gate.set()
    (job,) = jobs(tmp_path)
    assert job["state"] == "interrupted"
    ran = rung("models", "pull", SOURCE, cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert (models / MODEL / f"{MODEL}.gguf").read_bytes() == GGUF
    assert hub.cdn[-1].range == f"bytes={HALF}-"
    assert hub.sent_bytes == len(GGUF)
    (again,) = jobs(tmp_path)
    assert (again["id"], again["state"]) == (job["id"], "done")


def test_ctrl_c_pauses_and_says_how_to_go_on(hub: FakeHub, models: Path, tmp_path: Path) -> None:
    process = stalled_pull(hub, models, tmp_path)
    interrupt(process)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"paused {MODEL} at 2.1 MB of 4.2 MB" in err
    assert f"rung models resume {MODEL}" in err
    hub.gate.set()
    (job,) = jobs(tmp_path)
    assert (job["state"], job["done_bytes"]) == ("paused", HALF)
    ran = rung("models", "resume", MODEL, cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert hub.sent_bytes == len(GGUF)


@pytest.mark.parametrize(
    ("command", "message"), [("pause", "is paused"), ("cancel", "was cancelled")]
)
def test_another_terminal_stops_a_running_download(
    command: str, message: str, hub: FakeHub, models: Path, tmp_path: Path
) -> None:
    process = stalled_pull(hub, models, tmp_path)
    (job,) = jobs(tmp_path)
    assert (job["state"], job["owner"]["pid"]) == ("running", process.pid)
    assert job["done_bytes"] == HALF
    ran = rung("models", command, job["id"], cwd=tmp_path)
    assert ran.status == 0, ran.err
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert message in err
    partial = models / f".{MODEL}.part" / "weights.partial"
    assert partial.exists() == (command == "pause")


def test_a_second_pull_shows_the_first_and_ends_with_it(
    hub: FakeHub, models: Path, tmp_path: Path
) -> None:
    first = stalled_pull(hub, models, tmp_path)
    second = start("models", "pull", SOURCE, cwd=tmp_path)
    until(lambda: len([a for a in hub.asked if a.path.startswith("/api/")]) == 2)
    hub.gate.set()
    outs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert outs == [f"{MODEL}  {models}/{MODEL}/{MODEL}.gguf\n"] * 2
    assert [asked.range for asked in hub.cdn].count("") == 1


def test_with_the_ledger_off_downloads_are_listed_and_resumed_all_the_same(
    hub: FakeHub, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNG_DATABASE_URL", "off")
    process = stalled_pull(hub, models, tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not is_alive(process.pid)
    hub.gate.set()
    (job,) = jobs(tmp_path)
    assert (job["model"], job["state"]) == (MODEL, "interrupted")
    assert rung("models", "resume", job["id"], cwd=tmp_path).status == 0
    assert hub.sent_bytes == len(GGUF)
    assert jobs(tmp_path) == []


def test_the_token_is_never_printed(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_secret")
    hub.token = "hf_right"
    ran = rung("models", "pull", SOURCE, cwd=tmp_path)
    assert ran.status == 1
    assert "no such repository with the token that is set" in ran.err
    assert "secret" not in ran.err + ran.out + json.dumps(jobs(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pull", "hf:org"], ["write hf:ORG/REPO"]),
        (["pull", "hf:org/nothing"], ["no such repository"]),
        (["pull", "hf:org/tiny-GGUF:Q9"], ["there is no 'Q9'", "tiny-Q4_0.gguf"]),
        (["pull", "nothing.gguf"], ["nothing.gguf"]),
        (["pull", "nothing"], ["nothing", "smollm2-135m"]),
        (["pull", "../../evil"], ["no engine '..'"]),
        (["pull", "nobody/model"], ["no engine 'nobody'"]),
        (["pull", SOURCE, "--id", "../evil"], ["is not a model id"]),
        (["pause", "nothing"], ["rung models downloads"]),
        (["resume", "nothing"], ["rung models downloads"]),
        (["cancel", "nothing"], ["rung models downloads"]),
        (["verify", "nothing"], ["rung models pull nothing"]),
    ],
)
def test_what_cannot_be_is_a_clear_error(
    arguments: list[str], words: list[str], hub: FakeHub, tmp_path: Path
) -> None:
    ran = rung("models", *arguments, cwd=tmp_path)
    assert ran.status in (1, 2)
    assert "Traceback" not in ran.err
    for word in words:
        assert word in ran.err


def test_without_downloads_the_list_says_how_to_begin_one(tmp_path: Path) -> None:
    assert "rung models pull" in rung("models", "downloads", cwd=tmp_path).out
    assert jobs(tmp_path) == []
