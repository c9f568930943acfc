"""The launcher as seen from Rung: started, waited for, and ended by force where it is late."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Literal

import msgspec

from rung.errors import SandboxUnavailable

KilledReason = Literal["", "timeout", "memory", "disk", "cancelled"]


class Report(msgspec.Struct, frozen=True):
    """The launcher's report; `failure` says why confinement failed."""

    seconds: float
    exit_status: int = 0
    killed: KilledReason = ""
    failure: str = ""


async def supervise(
    command: list[str], line: bytes, output: int, timeout_s: float, patience_s: float
) -> Report:
    """Start the launcher and wait for its report. Closing its input kills all that it started."""
    begun = time.monotonic()
    launcher = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=output,
        stderr=asyncio.subprocess.PIPE,
        env={},
    )
    if launcher.stdin is None or launcher.stderr is None:
        raise RuntimeError("the launcher was started without its pipes")
    try:
        launcher.stdin.write(line)
        async with asyncio.timeout(timeout_s + patience_s):
            said = await launcher.stderr.read()
            await launcher.wait()
    except TimeoutError:
        # The machine is too busy for the launcher to be in time.
        return Report(seconds=time.monotonic() - begun, exit_status=-9, killed="timeout")
    finally:
        launcher.stdin.close()
        if not await _ends_within(patience_s, launcher):
            _kill_children(launcher.pid)
            if not await _ends_within(patience_s, launcher):
                launcher.kill()
                await launcher.wait()
    return _parse_report(said, time.monotonic() - begun)


async def _ends_within(patience_s: float, process: asyncio.subprocess.Process) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            await process.wait()
    return process.returncode is not None


def _kill_children(pid: int) -> None:
    """Of bubblewrap: the first process of its namespace. It waits for the end of all others, and
    bubblewrap for its; killed itself, it would leave them to die unwatched.
    """
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split():
            os.kill(int(child), signal.SIGKILL)


def _parse_report(said: bytes, seconds: float) -> Report:
    """What the launcher said. Code that killed it, and thereby itself, counts as killed."""
    *_, last = said.splitlines() or [b""]
    if last == b"started":
        return Report(seconds=seconds, exit_status=-9)
    try:
        report = msgspec.json.decode(last, type=Report)
    except msgspec.DecodeError as error:
        why = said.decode("utf-8", "replace").strip()[-500:] or "no report"
        raise SandboxUnavailable(f"the sandbox did not start: {why}") from error
    if report.failure:
        raise SandboxUnavailable(f"the sandbox could not confine the code: {report.failure}")
    return report
