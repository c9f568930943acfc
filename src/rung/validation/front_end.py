"""A language's own parser in a child process that is kept warm: a line asks, a line answers.

Parsing executes nothing, but hostile source may exhaust or crash a parser, so it is not done in
Rung's own process. The child is confined (`checks/front_end_child.py`) and ends with Rung, with the
event loop's threads, or after minutes without a question.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rung.validation.sandbox import confinement

_STARTER = Path(__file__).parent / "checks" / "front_end_child.py"
_TIMEOUT_S = 60.0
_CPU_S = 20
_MOST_IDLE = 2  # of one front end


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """How to start one, and what it must be able to read besides the system's programs.

    It reads `{"name", "text", …}` as a line of JSON and answers with a JSON string: the first
    problem as `name:line:column: message` with the offending line, or nothing.
    """

    command: tuple[str, ...]
    readable: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class _Died:
    """The child ended instead of answering; a negative `status` is a signal."""

    status: int
    said: str


# The exit status of a front end without memory: earlier questions may have filled it.
OUT_OF_MEMORY = 77
_BLAMED = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)


async def first_problem(front_end: FrontEnd, question: Mapping[str, str]) -> str:
    """What the parser has against the question's `text`, or nothing. To crash it is a problem.

    Raises RuntimeError if it gives no answer, for a reason that need not be the text.
    """
    answer = await _ask(front_end, question)
    if isinstance(answer, str):
        return answer
    place = f"{question['name']}:1:1:"
    if answer.status == -signal.SIGXCPU:
        return f"{place} parsing took more than {_CPU_S} s of CPU time"
    if answer.status == OUT_OF_MEMORY:
        return f"{place} parsing took too much memory"
    if -answer.status in _BLAMED:
        return f"{place} parsing crashed the parser (signal {-answer.status})"
    ended = f"ended with status {answer.status}: {answer.said}"
    raise RuntimeError(f"{shlex.join(front_end.command)} {ended}")


async def _ask(front_end: FrontEnd, question: Mapping[str, str]) -> str | _Died:
    """The answer; `_Died` only if the question kills a child that was asked nothing before."""
    clean = {key: text.encode("utf-8", "replace").decode() for key, text in question.items()}
    line = msgspec.json.encode(clean) + b"\n"
    while True:
        child = _take(front_end)
        was_used = child.is_used
        answer = await _exchange(child, line)
        if answer:
            _keep(child)
            return msgspec.json.decode(answer, type=str)
        died = child.end()
        if not was_used:
            return died


async def _exchange(child: _Child, line: bytes) -> bytes:
    answer = None
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            answer = await asyncio.to_thread(child.ask, line)
        return answer
    except TimeoutError:
        command = shlex.join(child.front_end.command)
        raise RuntimeError(f"{command} gave no answer within {_TIMEOUT_S:g} s") from None
    finally:
        if answer is None:  # cancelled or too late: the thread waits for the child
            child.end()


class _Child:
    """One process, started by its first question."""

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        self.is_used = False
        self._uid = confinement.take_uid()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ended = False
        self._starting = threading.Lock()

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ask(self, line: bytes) -> bytes:
        """Its answer, empty if it died first. Blocks, until `end` at the latest."""
        self.is_used = True
        with self._starting:
            if self._is_ended:
                return b""
            process = self._process = self._process or self._start()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a front end was started without its pipes")
        try:
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline()
        except (OSError, ValueError):  # a broken pipe, or closed by `end`: it is dead
            answer = b""
        if not answer.endswith(b"\n"):
            process.wait()
            return b""
        return answer

    def end(self) -> _Died:
        """Kill it if it is alive; how it ended, and the last of what it had to say."""
        with self._starting:
            self._is_ended = True
        confinement.give_back(self._uid)
        process = self._process
        if process is None:
            return _Died(status=0, said="")
        process.kill()
        _, errors = process.communicate()
        return _Died(status=process.returncode, said=errors.decode("utf-8", "replace")[-500:])

    def _start(self) -> subprocess.Popen[bytes]:
        readable = (*confinement.system_paths(), *self.front_end.readable, _STARTER.parent)
        job = {
            "command": self.front_end.command,
            "readable": [str(path) for path in readable],
            "uid": self._uid,
            "cpu_s": _CPU_S,
        }
        return subprocess.Popen(
            (sys.executable, "-I", "-S", str(_STARTER), msgspec.json.encode(job)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
        )


# Waiting for a question. A fork must not share their pipes.
_idle: list[_Child] = []
_lock = threading.Lock()
os.register_at_fork(after_in_child=_idle.clear)


def _take(front_end: FrontEnd) -> _Child:
    with _lock:
        mine = [child for child in _idle if child.front_end == front_end]
        for child in mine:
            _idle.remove(child)
            if child.is_alive:
                return child
            child.end()
    return _Child(front_end)


def _keep(child: _Child) -> None:
    with _lock:
        if sum(other.front_end == child.front_end for other in _idle) < _MOST_IDLE:
            _idle.append(child)
            return
    child.end()


@atexit.register
def _end_all() -> None:
    for child in _idle:
        child.end()
