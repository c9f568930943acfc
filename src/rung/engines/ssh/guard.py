"""Runs `ssh` so that it never outlives Rung: `python -I guard.py OWNER_PID COMMAND…`.

On Linux the kernel ends it with its owner, and this process becomes the command. Elsewhere this
process stays, and ends the command when its stdin, which the owner holds open, is closed.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Become the command, or stay and watch over it."""
    owner_pid, command = int(sys.argv[1]), sys.argv[2:]
    # Ctrl-C is for the owner, which ends this process in its own way.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        _end_with_owner()
        if os.getppid() != owner_pid:
            os._exit(0)
        os.execvp(command[0], command)  # noqa: S606 (no shell is what is wanted)
    _watch(command)


def _end_with_owner() -> None:
    import ctypes

    pr_set_pdeathsig = 1  # linux/prctl.h; survives the exec
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM, 0, 0, 0)


def _watch(command: list[str]) -> None:
    import subprocess
    import threading

    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def end(*_: object) -> None:
        process.terminate()

    def end_with_stdin() -> None:
        sys.stdin.buffer.read()
        end()

    signal.signal(signal.SIGTERM, end)

    threading.Thread(target=end_with_stdin, daemon=True).start()
    os._exit(process.wait() & 0xFF)


if __name__ == "__main__":
    main()
