"""The warm child that a language's own parser runs in."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rung.validation import front_end
from rung.validation.front_end import FrontEnd, first_problem
from rung.validation.languages import named
from rung.validation.python_compiler import python_problem
from rung.validation.sandbox import confinement
from rung.validation.sources import Source

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc")

# Answers `pid`, dies, hangs, fills its memory or tries what the code of its question says.
SCRIPT = """
import json, os, signal, sys, time
for line in iter(sys.stdin.buffer.readline, b""):
    text = json.loads(line)["text"]
    if text == "pid": answer = str(os.getpid())
    elif text == "hang": time.sleep(3600)
    elif text == "spin":
        while True: pass
    elif text == "die": os.kill(os.getpid(), signal.SIGSEGV)
    elif text == "be killed": os.kill(os.getpid(), signal.SIGKILL)
    elif text == "out of memory": sys.exit(77)
    else:
        try: exec(text); answer = "done"
        except (OSError, MemoryError) as error: answer = type(error).__name__
    print(json.dumps(answer), flush=True)
"""

RUNG = """
import asyncio, json, sys
from pathlib import Path
from rung.validation.front_end import FrontEnd, first_problem
command, readable, text = json.loads(sys.argv[1])
program = FrontEnd(command=tuple(command), readable=tuple(map(Path, readable)))
async def main():
    print(await first_problem(program, {"name": "a", "text": "pid"}), flush=True)
    await first_problem(program, {"name": "a", "text": text})
    await asyncio.sleep(3600)
asyncio.run(main())
"""


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[FrontEnd]:
    script = tmp_path / "program" / "front_end.py"
    script.parent.mkdir()
    script.write_text(SCRIPT)
    python = Path(sys.executable)
    yield FrontEnd(
        command=(str(python), "-I", "-S", str(script)),
        readable=(script, *confinement.interpreter_paths(python)),
    )
    front_end._end_all()


async def ask(program: FrontEnd, text: str) -> str:
    return await first_problem(program, {"name": "a", "text": text})


def children() -> set[int]:
    """The processes that this one has started."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.005)


async def test_one_child_answers_many_questions(program: FrontEnd) -> None:
    assert len({await ask(program, "pid") for _ in range(20)}) == 1


async def test_questions_at_once_get_children_of_their_own(program: FrontEnd) -> None:
    texts = [f"f({number}" for number in range(20)]
    sources = [Source(name=f"{i}.py", text=t, language=_python()) for i, t in enumerate(texts)]
    problems = await asyncio.gather(
        *(python_problem(source, Path(sys.executable)) for source in sources)
    )
    assert all(p.startswith(f"{i}.py:1:") for i, p in enumerate(problems))


def _python():
    language = named("python")
    assert language is not None
    return language


async def test_what_kills_the_child_is_a_problem_and_the_next_question_gets_a_new_one(
    program: FrontEnd,
) -> None:
    first = await ask(program, "pid")
    assert "crashed the parser (signal 11)" in await ask(program, "die")
    assert "too much memory" in await ask(program, "out of memory")
    assert await ask(program, "pid") != first


async def test_what_takes_too_much_cpu_time_is_a_problem(
    program: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_end, "_CPU_S", 1)
    assert "more than 1 s of CPU time" in await ask(program, "spin")


async def test_a_child_that_was_killed_while_it_waited_is_not_the_next_questions_fault(
    program: FrontEnd,
) -> None:
    first = int(await ask(program, "pid"))
    os.kill(first, signal.SIGKILL)
    assert int(await ask(program, "pid")) != first


async def test_memory_that_earlier_questions_took_is_not_the_next_questions_fault(
    program: FrontEnd,
) -> None:
    assert await ask(program, "global held; held = bytes(900 * 1024**2)") == "done"
    more = "bytes(900 * 1024**2) if 'held' not in globals() else sys.exit(77)"
    assert await ask(program, more) == "done"


async def test_one_that_somebody_else_killed_is_no_verdict(program: FrontEnd) -> None:
    with pytest.raises(RuntimeError, match="ended with status -9"):
        await ask(program, "be killed")


async def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="No such file"):
        await ask(FrontEnd(command=("/no/such/python",), readable=()), "pid")


async def test_one_that_gives_no_answer_is_ended(
    program: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_end, "_TIMEOUT_S", 0.5)
    before = children()
    with pytest.raises(RuntimeError, match=r"no answer within 0.5 s"):
        await ask(program, "hang")
    assert children() == before


async def test_a_cancelled_question_leaves_no_child(program: FrontEnd) -> None:
    before = children()
    asking = asyncio.create_task(ask(program, "hang"))
    while children() == before:
        await asyncio.sleep(0.005)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert children() == before


@pytest.mark.parametrize(
    "attempt",
    [
        "open({secret!r}).read()",
        "open({folder!r} + '/written', 'w')",
        "os.listdir('/home')",
        "open('/proc/1/environ').read()",
        "import socket; socket.create_connection(('127.0.0.1', {port}), 5)",
        "import subprocess; subprocess.run([{outside!r}])",
        "bytes(2 * 1024**3)",
    ],
)
async def test_it_is_confined(program: FrontEnd, tmp_path: Path, attempt: str) -> None:
    secret, outside = tmp_path / "secret", tmp_path / "program.sh"
    secret.write_text("the secret")
    outside.write_text("#!/bin/sh\n")
    outside.chmod(0o755)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        code = attempt.format(
            secret=str(secret), folder=str(tmp_path), port=port, outside=str(outside)
        )
        assert await ask(program, code) in ("PermissionError", "FileNotFoundError", "MemoryError")
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("text", ["pid", "hang"])
async def test_it_dies_with_a_rung_that_is_killed(program: FrontEnd, text: str) -> None:
    job = json.dumps([program.command, [str(path) for path in program.readable], text])
    rung = subprocess.Popen([sys.executable, "-c", RUNG, job], stdout=subprocess.PIPE, text=True)
    assert rung.stdout is not None
    child = int(rung.stdout.readline())
    assert is_alive(child)
    rung.kill()
    rung.communicate()
    wait_until(lambda: not is_alive(child))
