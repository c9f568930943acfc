"""Text piped into a command is read whole, or the command says why not."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from rung.cli.piped import MAX_PIPED_CHARACTERS
from tests.command import RUNG, interrupt, rung
from tests.fakes.server import MODEL, FakeServer

NOTE = "waiting for text on stdin"


def ask(cwd: Path, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
    """`rung ask` with a pipe on stdin that nobody has written to yet."""
    return subprocess.Popen(
        [RUNG, "ask", *arguments],
        cwd=cwd,
        env={**os.environ, **more},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def read_until(process: subprocess.Popen[bytes], word: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if word in line.decode():
            return line.decode()
    raise AssertionError(f"{word!r} was never said")


async def test_text_that_comes_late_is_read_and_waited_for_with_a_note(tmp_path: Path) -> None:
    async with FakeServer("lmstudio", ["hello"]) as server:
        process = ask(tmp_path, "sum up", LM_STUDIO_BASE_URL=server.base_url, LM_STUDIO_MODEL=MODEL)
        await asyncio.to_thread(read_until, process, NOTE)
        out, err = await asyncio.to_thread(process.communicate, b"late text")
        assert process.returncode == 0, err
        assert out == b"hello\n"
        assert server.chats[0].body["messages"][-1]["content"] == "sum up\n\nlate text"


def test_ctrl_c_ends_the_wait_for_piped_text(tmp_path: Path) -> None:
    process = ask(tmp_path, "sum up")
    read_until(process, NOTE)
    interrupt(process)  # type: ignore[arg-type]
    assert process.wait(20) == 130
    assert process.stderr is not None
    assert process.stderr.read().strip() == b""


@pytest.mark.parametrize(
    ("piped", "words"),
    [(b"caf\xe9 au lait", "not UTF-8"), (b"x" * (MAX_PIPED_CHARACTERS + 1), "4,000,000")],
    ids=["latin-1", "too-long"],
)
@pytest.mark.parametrize("command", ["ask", "do"])
def test_text_that_cannot_be_taken_is_an_error_and_never_cut(
    tmp_path: Path, command: str, piped: bytes, words: str
) -> None:
    file = tmp_path / "piped"
    file.write_bytes(piped)
    with file.open("rb") as stdin:
        done = subprocess.run(
            [RUNG, command, "x"], cwd=tmp_path, stdin=stdin, capture_output=True, timeout=60
        )
    assert done.returncode == 2
    assert words in done.stderr.decode()
    assert done.stdout == b""


def test_a_closed_stdin_is_no_text(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" ask "" <&-', RUNG], cwd=tmp_path, capture_output=True, timeout=60
    )
    assert b"the prompt is empty" in done.stderr


def test_a_wrong_option_is_said_without_waiting_for_a_pipe(tmp_path: Path) -> None:
    ran = rung("do", "x", "--out", "/etc/x", cwd=tmp_path, stdin="text")
    assert ran.status == 2
    assert "not inside the project" in ran.err
