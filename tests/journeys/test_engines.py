"""Journeys through the command with other engines: found by variables, climbed to, agreed to."""

from __future__ import annotations

import asyncio
import json
import os
import pty
from pathlib import Path

import pytest

from tests.command import RUNG, Ran, children_of, interrupt, is_alive, rung, start
from tests.fakes.ollama import Ollama
from tests.fakes.replies import answer
from tests.fakes.server import MODEL, Call, FakeServer, failure

GOOD = "```python\nx = 1\n```"


async def run(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> Ran:
    """The command in a thread, so that the stand-in server can answer it."""
    return await asyncio.to_thread(rung, *arguments, cwd=cwd, env=env)


def lm_studio(server: FakeServer, **more: str) -> dict[str, str]:
    return {"LM_STUDIO_BASE_URL": server.base_url, "LM_STUDIO_MODEL": MODEL, **more}


def users_file(folder: Path) -> Path:
    """The user's own `rung.toml`; a project's may not set engines."""
    path = folder / "home" / "config" / "rung" / "rung.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def cloud_config(folder: Path, server: FakeServer, price: float = 1.0) -> None:
    users_file(folder).write_text(
        f'[engines.cloud]\nbase_url = "{server.base_url}"\nlocality = "cloud"\napi_key = "k"\n'
        f'[models."cloud/{MODEL}"]\ntier = "haiku"\n'
        f"usd_per_mtok_in = {price}\nusd_per_mtok_out = {price}\n",
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
        assert [e["engine"] for e in engines if not e["error"]] == ["lmstudio"]
        [embedded] = [e["error"] for e in engines if e["engine"] == "embedded"]
        assert "rung models pull" in embedded
        summary = (await run("control", "summary", "--json", cwd=tmp_path, env=env)).json
        assert summary["pipelines"][0]["tool"] == "lm_studio"
        assert summary["pipelines"][0]["success"] == 1


async def test_ollama_is_asked_by_its_own_api_pulls_models_and_stays_out_of_its_cloud(
    tmp_path: Path,
) -> None:
    async with FakeServer("ollama", ["hello"]) as server:
        pulls = Ollama(server).pulls
        pulls.registry["new:latest"] = {"sha256:" + "a" * 64: 50_000}
        base_url = server.base_url.removesuffix("/v1")
        users_file(tmp_path).write_text(
            f'[engines.box]\nkind = "ollama"\nbase_url = "{base_url}"\n'
        )
        asked = await run("ask", "hi", "--model", f"box/{MODEL}:latest", cwd=tmp_path)
        assert (asked.out, asked.status) == ("hello\n", 0)
        assert server.chats[0].path == "/api/chat"
        assert server.chats[0].body["options"]["num_ctx"] == 4096
        pulled = await run("models", "pull", "box/new", cwd=tmp_path)
        assert pulled.status == 0, pulled.err
        listed = (await run("models", "list", "--json", cwd=tmp_path)).out
        assert "box/new:latest" in listed
        assert "giant" not in listed
        chats = len(server.chats)
        refused = await run("ask", "hi", "--model", "box/giant:cloud", cwd=tmp_path)
        assert (refused.status != 0, len(server.chats)) == (True, chats)


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


async def test_without_a_terminal_a_paid_model_waits_for_approval(tmp_path: Path) -> None:
    async with FakeServer("openai", [GOOD]) as big:
        cloud_config(tmp_path, big)
        ran = await run(
            *("do", "Set x.", "--out", "x.py", "--check", "syntax", "--chain", "haiku"),
            cwd=tmp_path,
        )
        assert ran.status == 3
        assert "rung review show 1" in ran.err
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


async def test_ctrl_c_at_the_question_ends_the_command(tmp_path: Path) -> None:
    async with FakeServer("openai", [GOOD]) as big:
        cloud_config(tmp_path, big)
        arguments = ["do", "Set x.", "--out", "x.py", "--check", "syntax", "--chain", "haiku"]
        ended, shown = await asyncio.to_thread(on_a_terminal, arguments, "\x03", tmp_path)
        assert ended == 130, shown
        assert "Traceback" not in shown
        assert big.chats == []


async def test_the_end_of_input_at_the_question_means_no(tmp_path: Path) -> None:
    async with FakeServer("openai", [GOOD]) as big:
        cloud_config(tmp_path, big)
        arguments = ["do", "Set x.", "--out", "x.py", "--check", "syntax", "--chain", "haiku"]
        ended, shown = await asyncio.to_thread(on_a_terminal, arguments, "\x04", tmp_path)
        assert ended == 4, shown
        assert "refused" in shown
        assert big.chats == []


async def test_a_budget_of_nothing_buys_nothing(tmp_path: Path) -> None:
    async with FakeServer("openai", [GOOD]) as big:
        cloud_config(tmp_path, big)
        ran = await run(
            *("do", "Set x.", "--out", "x.py", "--check", "syntax", "--chain", "haiku"),
            *("--budget", "0", "--yes"),
            cwd=tmp_path,
        )
        assert ran.status == 4, ran.err
        assert "--budget" in ran.err
        assert big.chats == []


@pytest.mark.parametrize("as_json", [False, True])
async def test_files_that_cannot_be_written_do_not_cost_the_outcome(
    tmp_path: Path, as_json: bool
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    file = folder / "x.py"
    file.write_text("x = 0\n")

    def edits_meanwhile(_: Call) -> str:
        file.write_text("x = 2\n")
        return GOOD

    async with FakeServer("lmstudio", edits_meanwhile) as server:
        ran = await run(
            *("do", "Set x.", "--file", "x.py", "--out", "x.py", "--check", "syntax", "--apply"),
            *(["--json"] if as_json else []),
            cwd=folder,
            env=lm_studio(server),
        )
    assert ran.status == 1, ran.err
    assert "x.py changed while the task ran" in ran.err
    if as_json:
        assert ran.json["files"] == {"x.py": "x = 1\n"}
    else:
        assert ran.out == "x = 1\n"
        assert "verified" in ran.err
        assert "--apply writes" not in ran.err
    assert file.read_text() == "x = 2\n"


async def test_an_answer_is_harmless_on_a_terminal_and_unchanged_in_a_pipe(tmp_path: Path) -> None:
    hostile = "\x1b]0;owned\x07one \x1b[31mtwo\x1b[0m three"
    async with FakeServer("lmstudio", [hostile, hostile, hostile]) as server:
        env = lm_studio(server)
        assert (await run("ask", "hi", cwd=tmp_path, env=env)).out == hostile + "\n"
        for arguments in (["ask", "hi"], ["do", "Say it.", "--check", "cmd:true"]):
            _, shown = await asyncio.to_thread(on_a_terminal, arguments, "", tmp_path, env)
            assert "\x1b]0" not in shown
            assert "\x1b[31mtwo" not in shown
            assert "three" in shown


def on_a_terminal(
    arguments: list[str], reply: str, cwd: Path, env: dict[str, str] | None = None
) -> tuple[int, str]:
    """Run the command on a pseudo-terminal of its own and answer its question once."""
    process_id, ours = pty.fork()
    if process_id == 0:
        os.chdir(cwd)
        os.execve(RUNG, [RUNG, *arguments], {**os.environ, **(env or {})})
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
    _, status = os.waitpid(process_id, 0)
    os.close(ours)
    return os.waitstatus_to_exitcode(status), shown


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
        users_file(tmp_path).write_text(
            f'[engines.cloud]\nbase_url = "{server.base_url}"\nlocality = "cloud"\n'
            f'api_key = "{secret}"\n[ledger]\nstore_content = "full"\n',
        )
        ran = await run("ask", "hi", "--model", f"cloud/{MODEL}", "--json", cwd=tmp_path)
        assert ran.status == 1
        assert "unauthorized" in ran.err
        shown = await run("config", "show", cwd=tmp_path)
        summary = await run("control", "summary", "--json", cwd=tmp_path)
        users_file(tmp_path).unlink()
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
