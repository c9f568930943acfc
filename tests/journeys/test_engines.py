"""Journeys through the command with other engines: found by variables, climbed to, agreed to."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.command import RUNG, Ran, children_of, interrupt, is_alive, rung, start
from tests.fakes.replies import answer
from tests.fakes.server import MODEL, FakeServer, failure

GOOD = "```python\nx = 1\n```"


async def run(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> Ran:
    """The command in a thread, so that the stand-in server can answer it."""
    return await asyncio.to_thread(rung, *arguments, cwd=cwd, env=env)


def lm_studio(server: FakeServer, **more: str) -> dict[str, str]:
    return {"LM_STUDIO_BASE_URL": server.base_url, "LM_STUDIO_MODEL": MODEL, **more}


def cloud_config(folder: Path, server: FakeServer, price: float = 1.0) -> None:
    (folder / "rung.toml").write_text(
        f'[engines.cloud]\nbase_url = "{server.base_url}"\nlocality = "cloud"\napi_key = "k"\n'
        f'[models."cloud/{MODEL}"]\ntier = "haiku"\n'
        f"usd_per_mtok_in = {price}\nusd_per_mtok_out = {price}\n"
    )


async def test_lm_studio_is_used_by_its_variables(tmp_path: Path) -> None:
    async with FakeServer("lmstudio", ["hello"]) as server:
        env = lm_studio(server)
        asked = await run("ask", "hi", cwd=tmp_path, env=env)
        assert asked.out == "hello\n"
        health = await run("health", "lm", "--json", cwd=tmp_path, env=env)
        assert (health.status, health.json["mode"]) == (0, "lm_ready")
        assert health.json["details"]["lmstudio"]["listed"]["ok"] is True
        engines = (await run("engines", "--json", cwd=tmp_path, env=env)).json
        assert [e["engine"] for e in engines if not e["error"]] == ["embedded", "lmstudio"]
        summary = (await run("control", "summary", "--json", cwd=tmp_path, env=env)).json
        assert summary["pipelines"][0]["tool"] == "lm_studio"
        assert summary["pipelines"][0]["success"] == 1


async def test_lm_studio_can_be_switched_off(tmp_path: Path) -> None:
    async with FakeServer("lmstudio") as server:
        env = lm_studio(server, USE_LM_STUDIO="0")
        ran = await run("ask", "hi", cwd=tmp_path, env=env)
        assert ran.status == 2
        assert server.calls == []


async def test_a_timeout_that_was_set_is_kept(tmp_path: Path) -> None:
    async with FakeServer("lmstudio", [answer("x", first_after_s=60)]) as server:
        env = lm_studio(server, LM_STUDIO_TIMEOUT_SECONDS="1")
        ran = await run("ask", "hi", "--model", f"lmstudio/{MODEL}", cwd=tmp_path, env=env)
        assert ran.status == 1
        assert "timeout" in ran.err
        assert "LM_STUDIO" not in ran.out


async def test_a_failed_check_climbs_to_the_next_engine(tmp_path: Path) -> None:
    async with (
        FakeServer("lmstudio", ["```python\nx =\n```"]) as small,
        FakeServer("openai", [GOOD]) as big,
    ):
        cloud_config(tmp_path, big)
        arguments = ("do", "Set x.", "--out", "x.py", "--check", "syntax", "--yes", "--json")
        chain = ("--chain", f"lmstudio/{MODEL},cloud/{MODEL}")
        ran = await run(*arguments, *chain, cwd=tmp_path, env=lm_studio(small))
        assert ran.status == 0, ran.err
        assert [a["engine"] for a in ran.json["attempts"]] == ["lmstudio", "lmstudio", "cloud"]
        assert ran.json["files"] == {"x.py": "x = 1\n"}
        assert ran.json["cost_usd"] > 0
        assert big.chats[0].headers["Authorization"] == "Bearer k"


async def test_without_a_terminal_nothing_paid_is_used(tmp_path: Path) -> None:
    async with FakeServer("openai", [GOOD]) as big:
        cloud_config(tmp_path, big)
        ran = await run(
            *("do", "Set x.", "--out", "x.py", "--check", "syntax", "--chain", "haiku"),
            cwd=tmp_path,
        )
        assert ran.status == 4
        assert "--yes" in ran.err
        assert big.chats == []


@pytest.mark.parametrize(("reply", "status"), [("y\n", 0), ("n\n", 4)])
async def test_on_a_terminal_a_paid_model_is_asked_for(
    tmp_path: Path, reply: str, status: int
) -> None:
    async with FakeServer("openai", [GOOD]) as big:
        cloud_config(tmp_path, big)
        ended, shown = await asyncio.to_thread(
            on_a_terminal,
            ["do", "Set x.", "--out", "x.py", "--check", "syntax", "--chain", "haiku"],
            reply,
            tmp_path,
        )
        assert ended == status, shown
        assert f"cloud/{MODEL} is paid: at most $" in shown
        assert len(big.chats) == (1 if status == 0 else 0)


def on_a_terminal(arguments: list[str], reply: str, cwd: Path) -> tuple[int, str]:
    """Run the command on a pseudo-terminal and answer its question once."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [RUNG, *arguments], cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    shown, has_answered = "", False
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data.decode(errors="replace")
        if "[y/N]" in shown and not has_answered:
            os.write(ours, reply.encode())
            has_answered = True
    os.close(ours)
    return process.wait(timeout=30), shown


@pytest.mark.parametrize(
    "reply",
    [
        failure(200, {"error": "no model"}),
        failure(200, "<html>hi</html>"),
        failure(200, '{"choices": [{"mess'),
        failure(200, ""),
    ],
    ids=["error-body", "html", "half-json", "nothing"],
)
async def test_an_engine_that_lies_gets_a_clear_error(tmp_path: Path, reply: object) -> None:
    async with FakeServer("lmstudio", [reply]) as server:  # type: ignore[list-item]
        ran = await run(
            "ask", "hi", "--model", f"lmstudio/{MODEL}", cwd=tmp_path, env=lm_studio(server)
        )
        assert ran.status == 1
        assert ran.out == ""
        assert "Traceback" not in ran.err
        assert f"lmstudio/{MODEL}" in ran.err
        assert "<html>" not in ran.err


async def test_no_key_is_ever_shown_or_stored(tmp_path: Path) -> None:
    secret = "sk-very-secret"
    async with FakeServer("openai", [failure(401, {"error": f"bad key {secret}"})]) as server:
        (tmp_path / "rung.toml").write_text(
            f'[engines.cloud]\nbase_url = "{server.base_url}"\nlocality = "cloud"\n'
            f'api_key = "{secret}"\n[ledger]\nstore_content = "full"\n'
        )
        ran = await run("ask", "hi", "--model", f"cloud/{MODEL}", "--json", cwd=tmp_path)
        assert ran.status == 1
        assert "unauthorized" in ran.err
        shown = await run("config", "show", cwd=tmp_path)
        summary = await run("control", "summary", "--json", cwd=tmp_path)
        stored = b"".join(p.read_bytes() for p in (tmp_path / "home").rglob("*") if p.is_file())
        for text in (ran.out, ran.err, shown.out, json.dumps(summary.json)):
            assert secret not in text
        assert secret.encode() not in stored


async def test_ctrl_c_during_a_check_leaves_no_process(tmp_path: Path) -> None:
    async with FakeServer("lmstudio", [GOOD]) as server:
        (tmp_path / "empty").mkdir()
        process = start(
            *("do", "Set x.", "--out", "x.py", "--check", "cmd:sleep 300"),
            cwd=tmp_path / "empty",
            env=lm_studio(server),
        )
        async with asyncio.timeout(60):
            while not any("sleep" in name_of(pid) for pid in children_of(process.pid)):
                await asyncio.sleep(0.05)
        children = children_of(process.pid)
        interrupt(process)
        assert await asyncio.to_thread(process.wait, 20) == 130
        async with asyncio.timeout(10):
            while any(map(is_alive, children)):
                await asyncio.sleep(0.05)


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""
