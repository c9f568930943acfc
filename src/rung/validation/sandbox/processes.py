"""Watching and ending everything that descends from the launcher.

Standard library only: the launcher loads this file with `python -I -S`, outside the package.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

_KIB = 1024
_SETTLE_S = 0.002


def reap(child: int) -> int | None:
    """Collect what has ended; the wait status of `child` if it was among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                found = status
    return found


def kill_all(child: int, is_namespaced: bool) -> int:
    """Kill every descendant and wait until the last is gone; the wait status of `child`, or 0.

    In a PID namespace of its own one signal reaches all at once. Elsewhere the tree is killed pass
    by pass and nothing is reaped in between: each dead child still fills its place under
    RLIMIT_NPROC, so that a fork bomb runs out of places and the passes end.
    """
    if is_namespaced:
        if os.getppid() != 1:
            raise RuntimeError("not inside a PID namespace of its own")
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
    else:
        while alive := [pid for pid, state in descendants().items() if state not in "ZX"]:
            for pid in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_SETTLE_S)
    last = 0
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == child:
                last = status
    return last


def descendants() -> dict[int, str]:
    """Every process below this one, with its state letter of proc(5)."""
    parents: dict[int, int] = {}
    states: dict[int, str] = {}
    for pid in _pids():
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The command name may hold spaces and parentheses: fields start after the last one.
            fields = (
                Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            )
            states[pid], parents[pid] = fields[0], int(fields[1])
    me = os.getpid()
    found: dict[int, str] = {}
    for pid in parents:
        trail, above = [pid], parents[pid]
        while above not in (me, 0, 1) and above in parents and above not in trail:
            trail.append(above)
            above = parents[above]
        if above == me:
            found[pid] = states[pid]
    return found


def over_limit(job: dict[str, Any], is_namespaced: bool) -> str:
    """`memory` or `disk` if all processes together use more than the job may, else nothing."""
    mine = [pid for pid in _pids() if pid > 1] if is_namespaced else list(descendants())
    if sum(_memory_bytes(pid) for pid in mine if pid != os.getpid()) > job["memory_bytes"]:
        return "memory"
    if any(_free_bytes(path) < free for path, free in job["min_free_bytes"].items()):
        return "disk"
    return ""


def count_tasks(uid: int) -> int:
    """Threads that run as `uid` on the whole machine: what RLIMIT_NPROC counts."""
    total = 0
    for pid in _pids():
        with contextlib.suppress(OSError):
            folder = Path(f"/proc/{pid}/task")
            if folder.stat().st_uid == uid:
                total += sum(1 for _ in folder.iterdir())
    return total


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _memory_bytes(pid: int) -> int:
    """Anonymous and shared memory in RAM; file pages belong to the page cache."""
    total = 0
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) * _KIB
    return total


def _free_bytes(path: str) -> int:
    usage = os.statvfs(path)
    return usage.f_bavail * usage.f_frsize
