"""Confine this process, then become a language's parser. A script, not imported.

Its one argument is a job as JSON: `command`, the paths that may be read, the seconds of CPU time,
and the uid to become where root starts it. Standard library only.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "sandbox"))

if TYPE_CHECKING:
    from rung.validation.sandbox import kernel
else:
    import kernel

_LIMITS = {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_DATA: 1024**3,  # not AS: node reserves far more than it uses
    resource.RLIMIT_FSIZE: 0,
}
_PROCESSES = 64  # node has a dozen threads
_DEVICES = ("/dev/null", "/dev/urandom")


def main() -> None:
    job = json.loads(sys.argv[1])
    # Seconds of CPU are counted over its whole life: a used child is replaced unnoticed. The hard
    # limit is a second later, since that one kills without a word.
    wanted = {which: (most, most) for which, most in _LIMITS.items()}
    wanted[resource.RLIMIT_CPU] = (job["cpu_s"], job["cpu_s"] + 1)
    for which, limits in wanted.items():
        with contextlib.suppress(ValueError, OSError):  # not every system has each of them
            resource.setrlimit(which, limits)
    if sys.platform == "linux":
        _confine(job["readable"], job["uid"])
    os.execve(job["command"][0], job["command"], {"LANG": "C.UTF-8"})  # noqa: S606


def _confine(readable: list[str], uid: int | None) -> None:
    """No network by TCP, and of all files only these to read; the limits above hold without it."""
    has_landlock = kernel.landlock_abi() > 0
    if has_landlock and uid is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (_PROCESSES, _PROCESSES))
        kernel.become(uid, keep_reading=True)
    kernel.die_with_parent(signal.SIGKILL)
    kernel.forbid_new_privileges()
    if has_landlock:
        kernel.restrict_files(readable, _DEVICES, ())


if __name__ == "__main__":
    main()
