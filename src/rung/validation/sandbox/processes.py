"""Watching and ending everything that descends from the launcher.

Standard library only: the launcher loads this file with `python -I -S`, outside the package.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

_KIB = 1024
_SETTLE_S = 0.002
_MOST_PATIENCE_S = 0.2
# Of `/proc/PID/status`; file pages belong to the page cache. What is swapped out still counts, and
# so do the tables of a mapping that is spread thin.
_MEMORY = ("RssAnon:", "RssShmem:", "VmSwap:", "VmPTE:")


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

    A process that waits for a disk, deaf even to SIGKILL, is not waited for: it runs no instruction
    of its own any more.
    """
    if is_namespaced:
        if os.getpid() != 1:
            raise RuntimeError("not the first process of a PID namespace of its own")
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
    else:
        _kill_descendants()
    last = 0
    waited_until = time.monotonic() + _MOST_PATIENCE_S
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                last = status
            elif pid == 0:
                if time.monotonic() > waited_until:
                    break
                time.sleep(_SETTLE_S)
    return last


def _kill_descendants() -> None:
    waited_until = time.monotonic() + _MOST_PATIENCE_S
    while alive := {pid: state for pid, state in descendants().items() if state not in "ZX"}:
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if set(alive.values()) == {"D"} and time.monotonic() > waited_until:
            return
        time.sleep(_SETTLE_S)


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
    """`memory` or `disk` if all processes together use more than the job may, else nothing.

    Not all memory is some process's (socket buffers, shared pages that nobody maps any more), so
    the machine's own must not run low either.
    """
    mine = [pid for pid in _pids() if pid > 1] if is_namespaced else list(descendants())
    if sum(_memory_bytes(pid) for pid in mine if pid != os.getpid()) > job["memory_bytes"]:
        return "memory"
    if available_memory_bytes() < job["min_available_bytes"]:
        return "memory"
    for path, (least_bytes, least_files) in job["min_free"].items():
        free_bytes, free_files = free_space(path)
        if free_bytes < least_bytes or free_files < least_files:
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
    total = 0
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
            if line.startswith(_MEMORY):
                total += int(line.split()[1]) * _KIB
    return total


def available_memory_bytes() -> int:
    """What the machine can still give without swapping; without that line (Linux < 3.14) plenty."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text("ascii", "replace").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * _KIB
    return sys.maxsize


def free_space(path: str) -> tuple[int, int]:
    """Bytes and files that the file system still takes."""
    usage = os.statvfs(path)
    return usage.f_bavail * usage.f_frsize, usage.f_favail
