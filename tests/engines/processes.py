"""Watching processes from outside, for the promise that none is left behind."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than a zombie that nobody has reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False


def model_processes() -> list[int]:
    """The embedded engine's children that this process has. Linux only."""
    found: list[int] = []
    for proc in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (proc / "stat").read_text().rpartition(")")[2].split()[:2]
            is_model = b"embedded/child.py" in (proc / "cmdline").read_bytes()
            if int(parent) == os.getpid() and state != "Z" and is_model:
                found.append(int(proc.name))
    return found


def kill(pid: int | None, number: signal.Signals = signal.SIGKILL) -> None:
    assert pid is not None
    os.kill(pid, number)


def processor_s(pid: int | None) -> float:
    """Seconds of processor time that the process has used. Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
