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
    if pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass  # it is another user's
    age = _age(pid)
    return age is not None and now() - age > since + _SLACK


def _age(pid: int) -> timedelta | None:
    """For how long the process runs; `None` where the system does not tell.

    A process that has ended and was not yet waited for is as young as can be.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in "ZX":
        return timedelta(days=-36_500)
    ticks = int(fields[19])
    return timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / _TICKS_PER_S)
