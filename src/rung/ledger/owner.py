"""Which process a row belongs to, and whether that process is gone."""

from __future__ import annotations

import os
import socket
import time
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from rung.ledger.rows import now

# A process of another host cannot be looked at; no call may take longer than a day.
SILENT = timedelta(days=1)
_SLACK = timedelta(minutes=1)  # clocks are set
_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@cache
def host_name() -> str:
    return socket.gethostname()


def is_gone(host: str, pid: int, since: datetime) -> bool:
    """Whether the process that had `pid` on `host` at the time `since` has certainly ended."""
    if host != host_name():
        return now() - since > SILENT
    if not is_running(pid):
        return True
    ticks = started_ticks(pid)
    if ticks is None:
        return False
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / _TICKS_PER_S
    return now() - timedelta(seconds=age_s) > since + _SLACK


def is_running(pid: int) -> bool:
    """Whether a process of this host has that number, and has not ended."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it is another user's
    fields = _stat(pid)
    # One that has ended and was not yet waited for still has its number.
    return fields is None or fields[0] not in "ZX"


def started_ticks(pid: int) -> int | None:
    """When the process began, in ticks since the system started; `None` where that is not told."""
    fields = _stat(pid)
    return None if fields is None else int(fields[19])


def _stat(pid: int) -> list[str] | None:
    """What the system tells of a process, from its state on (proc_pid_stat(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
