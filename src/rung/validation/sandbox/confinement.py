"""What the sandbox may see and as whom it runs: readable paths, environment, uid, limits. Pure."""

from __future__ import annotations

import itertools
import math
import os
import pwd
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rung.config.settings import SandboxSettings
from rung.validation.folders import entries_below
from rung.validation.sandbox import processes

SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")

# Patterns of what programs need of /etc to start; nothing that names users or holds keys.
SYSTEM_FILES = ("ld.so.cache", "alternatives", "localtime", "timezone", "ssl/openssl.cnf", "java-*")

# Landlock cannot mount a private /proc, and the host's shows every command line.
PROC_FILES = tuple(f"/proc/{name}" for name in ("cpuinfo", "meminfo", "stat", "sys", "version"))

LAUNCHER = Path(__file__).parent / "launcher.py"

_MIB = 1024 * 1024
_DISK_BUDGET_BYTES = 2048 * _MIB
_DISK_BUDGET_FILES = 200_000
_LEAST_MEMORY_BYTES = 1024 * _MIB
_OPEN_FILES = 1024
_UIDS = range(61_200, 65_500)  # reserved by systemd for short-lived users; below every subuid range

_uids_in_use: set[int] = set()


def interpreter_paths(python: Path) -> tuple[Path, ...]:
    """What must be readable for this interpreter to run: its venv, and the prefix behind it.

    Only the standard parts of a prefix: one such as `~/.local` holds much that is not Python's.
    """
    prefixes = [python.parent.parent, python.resolve().parent.parent]
    home = _venv_home(python.parent.parent / "pyvenv.cfg")
    if home is not None:
        prefixes += [home.parent, (home / "python3").resolve().parent.parent]
    parts = ("bin", "lib", "lib64", "pyvenv.cfg")
    found = (prefix / part for prefix, part in itertools.product(prefixes, parts))
    return tuple(dict.fromkeys(path for path in found if path.exists()))


def _venv_home(config: Path) -> Path | None:
    """The folder of the interpreter that a virtual environment was made from (PEP 405)."""
    if not config.is_file():
        return None
    for line in config.read_text("utf-8", "replace").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "home":
            return Path(value.strip())
    return None


def own_python() -> Path:
    return Path(sys.executable)


def system_paths() -> tuple[Path, ...]:
    files = itertools.chain.from_iterable(map(Path("/etc").glob, SYSTEM_FILES))
    paths = (*map(Path, SYSTEM_FOLDERS), *files)
    return tuple(path for path in paths if path.exists())


def is_system_path(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in SYSTEM_FOLDERS)


def environment(
    home: Path, temporary: Path, tools: Iterable[Path], extra: Mapping[str, str]
) -> dict[str, str]:
    """All that the code finds in its environment: nothing of the user's comes through."""
    folders = [str(folder) for folder in tools]
    return {
        "PATH": ":".join(dict.fromkeys([*folders, "/usr/local/bin", "/usr/bin", "/bin"])),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        **extra,
    }


def take_uid() -> int | None:
    """A uid that nobody has, for as long as `give_back` is not called; `None` unless root.

    Root is not held by RLIMIT_NPROC and may read everything, so root never runs the code itself.
    """
    if os.geteuid() != 0:
        return None
    known = {user.pw_uid for user in pwd.getpwall()}
    free = [uid for uid in _UIDS if uid not in known and uid not in _uids_in_use]
    uid = random.choice(free)  # noqa: S311 - so that two Rungs rarely meet, not a secret
    _uids_in_use.add(uid)
    return uid


def give_back(uid: int | None) -> None:
    if uid is not None:
        _uids_in_use.discard(uid)


def hand_over(folders: Iterable[Path], uid: int | None) -> None:
    """Make `uid` the owner of all in these folders; of links themselves, never their targets."""
    if uid is None:
        return
    for folder in folders:
        os.chown(folder, uid, uid)
        for path in entries_below(folder):
            os.chown(path, uid, uid, follow_symlinks=False)


def job(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    readable: Iterable[Path],
    writable: Mapping[Path, Path],
    settings: SandboxSettings,
    timeout_s: float,
    stdin: str,
    uid: int | None,
    is_landlocked: bool,
) -> dict[str, Any]:
    """The launcher's job, for JSON. `writable`: where the code sees a folder, and where it is."""
    memory_bytes = settings.memory_mib * _MIB
    return {
        "argv": list(argv),
        "cwd": str(cwd),
        "env": dict(env),
        "stdin": stdin,
        "timeout_s": timeout_s,
        "uid": uid,
        "landlock": is_landlocked,
        "readable": [str(path) for path in readable],
        "writable": [str(path) for path in writable],
        "memory_bytes": memory_bytes,
        "min_available_bytes": _floor(processes.available_memory_bytes(), _LEAST_MEMORY_BYTES),
        "min_free": {str(seen): _min_free(path) for seen, path in writable.items()},
        "limits": {
            "CPU": math.ceil(timeout_s) + 1,
            "FSIZE": settings.file_mib * _MIB,
            "NOFILE": _OPEN_FILES,
            "NPROC": settings.processes,
            "CORE": 0,
            "DATA": memory_bytes,  # not AS: the JVM and node reserve far more than they use
        },
    }


def _min_free(path: Path) -> tuple[int, int]:
    """The bytes and files that must stay free: a run gets its budget, and never more than half."""
    free_bytes, free_files = processes.free_space(str(path))
    return (
        max(free_bytes - _DISK_BUDGET_BYTES, free_bytes // 2),
        max(free_files - _DISK_BUDGET_FILES, free_files // 2),
    )


def _floor(available_bytes: int, least_bytes: int) -> int:
    """What must stay available of the machine's memory, where there is more than that now."""
    return min(least_bytes, available_bytes // 2)
