"""The process between Rung and the code that it does not trust: confine, start, watch, kill.

Run as `python -I -S launcher.py`, never imported by Rung. Descriptors: 0 a pipe whose first line is
the job as JSON and whose end means "kill everything", 1 the file that takes the code's output, 2 a
pipe for "started" and then the report, one line of JSON. The code never gets hold of 0 or 2, and
when the report is written no process that it started is alive.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from rung.validation.sandbox import kernel, processes, syscalls
else:
    import kernel
    import processes
    import syscalls

_WATCH_INTERVAL_S = 0.1
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def main() -> None:
    kernel.hide_from_ptrace()
    kernel.adopt_orphans()
    woken, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = json.loads(_read_line(0))
    started = time.monotonic()
    child, failure = _start(job)
    if failure:
        report: dict[str, Any] = {"failure": failure}
    else:
        os.write(2, b"started\n")
        report = _watch(job, child, woken, started)
    report["seconds"] = time.monotonic() - started
    os.write(2, json.dumps(report).encode() + b"\n")


def _read_line(descriptor: int) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = os.read(descriptor, 65536)
        if not piece:
            sys.exit("the job was cut short")
        line += piece
    return bytes(line)


def _start(job: dict[str, Any]) -> tuple[int, str]:
    """Fork the confined child; its pid, and why confinement failed (empty: it did not)."""
    failed, failing = os.pipe2(os.O_CLOEXEC)
    stdin = os.memfd_create("stdin")
    os.write(stdin, job["stdin"].encode("utf-8", "replace"))
    os.lseek(stdin, 0, os.SEEK_SET)
    child = os.fork()
    if child == 0:
        try:
            _become_the_code(job, stdin)
        except BaseException as error:  # noqa: BLE001 - reported by the parent; nothing may run now
            os.write(failing, f"{type(error).__name__}: {error}".encode("utf-8", "replace"))
        finally:
            os._exit(_NOT_EXECUTABLE)
    os.close(failing)
    os.close(stdin)
    failure = os.read(failed, 4096).decode("utf-8", "replace")
    os.close(failed)
    return child, failure


def _become_the_code(job: dict[str, Any], stdin: int) -> None:
    os.setsid()
    os.dup2(stdin, 0)
    os.dup2(1, 2)
    os.chdir(job["cwd"])
    os.umask(0o022)
    uid, is_landlocked = job["uid"], job["landlock"]
    _limit(job, shared_uid=is_landlocked and uid is None)
    if uid is not None:
        kernel.become(uid, keep_reading=is_landlocked)
    kernel.die_with_parent(signal.SIGKILL)
    kernel.forbid_new_privileges()
    abi = kernel.landlock_abi()
    if is_landlocked:
        own = f"/proc/{os.getpid()}"
        kernel.restrict_files([*job["readable"], own], _DEVICES, job["writable"])
    wanted = syscalls.Filter(
        host_ipc=is_landlocked,
        host_signals=is_landlocked and abi < kernel.SCOPE_ABI,
        host_metadata=is_landlocked and uid is None,
        host_truncate=is_landlocked and abi < kernel.TRUNCATE_ABI,
    )
    kernel.install_seccomp(syscalls.program(os.uname().machine, wanted))
    try:
        os.execvpe(job["argv"][0], job["argv"], job["env"])  # noqa: S606
    except OSError as error:
        os.write(1, f"{job['argv'][0]}: {error.strerror}\n".encode("utf-8", "replace"))
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)


def _limit(job: dict[str, Any], *, shared_uid: bool) -> None:
    """Per-process limits. A uid shared with the user's own processes already has some running."""
    limits = dict(job["limits"])
    if shared_uid:
        limits["NPROC"] += processes.count_tasks(os.getuid())
    for name, value in limits.items():
        which = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(which)[1]
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (ceiling, ceiling))


def _watch(job: dict[str, Any], child: int, woken: int, started: float) -> dict[str, Any]:
    """Wait for the end, by itself or by force; then kill and reap whatever is left."""
    deadline = started + job["timeout_s"]
    is_namespaced = not job["landlock"]
    poller = select.poll()
    poller.register(0, select.POLLIN)
    poller.register(woken, select.POLLIN)
    reason, status = "", None
    while not reason:
        status = processes.reap(child)
        if status is not None:
            break
        remaining = deadline - time.monotonic()
        reason = "timeout" if remaining <= 0 else processes.over_limit(job, is_namespaced)
        if reason:
            break
        for descriptor, _event in poller.poll(1000 * min(_WATCH_INTERVAL_S, remaining)):
            if descriptor == 0:
                reason = "cancelled"
            elif descriptor == woken:
                os.read(woken, 4096)
    last = processes.kill_all(child, is_namespaced)
    code = status if status is not None else last
    return {"exit_status": os.waitstatus_to_exitcode(code), "killed": reason}


if __name__ == "__main__":
    main()
