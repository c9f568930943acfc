"""The bubblewrap command line: an own view of the file system, own PIDs, own empty network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rung.validation.sandbox import confinement

_SHARED_MEMORY_BYTES = 64 * 1024 * 1024

# With real root no user namespace is made: the launcher needs these to become another user,
# to kill it, and to look at what it left. The code itself keeps none.
_LAUNCHER_CAPABILITIES = ("CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_DAC_READ_SEARCH")


def argv(
    bwrap: str,
    command: Sequence[str],
    *,
    readable: Iterable[Path],
    writable: Sequence[Path],
    temporary: Path,
    is_root: bool,
) -> list[str]:
    """`command` inside bubblewrap. `temporary` is what the inside sees as `/tmp`."""
    # As the first process of its namespace the launcher is out of reach: the kernel drops signals
    # that the code sends to it, SIGSTOP and SIGKILL among them.
    line = [bwrap, "--die-with-parent", "--new-session", "--as-pid-1"]
    line += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    line += ["--unshare-cgroup-try"]
    if is_root:
        line += [word for name in _LAUNCHER_CAPABILITIES for word in ("--cap-add", name)]
    else:
        line += ["--unshare-user"]
    system = confinement.system_paths()
    line += _open_parents(system)
    for path in system:
        line += _mount_system(path)
    line += ["--proc", "/proc", "--dev", "/dev"]
    line += ["--size", str(_SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
    line += ["--bind", str(temporary), "/tmp"]  # noqa: S108 - the inside's, not the host's
    shown = [path for path in readable if not confinement.is_system_path(path)]
    line += _open_parents([*shown, *writable])
    for path in _outermost_first(shown):
        line += ["--ro-bind", str(path), str(path)]
    for path in _outermost_first(writable):
        line += ["--bind", str(path), str(path)]
    return [*line, "--remount-ro", "/", "--", *command]


def _mount_system(path: Path) -> list[str]:
    if path.is_symlink() and path.parent == Path("/"):
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)]


def _open_parents(paths: Sequence[Path]) -> list[str]:
    """Empty folders on the way to what is bound; bwrap alone would copy a mode such as /root's."""
    parents = {parent for path in paths for parent in path.parents if parent != Path("/")}
    empty = {parent for parent in parents if not any(map(parent.is_relative_to, paths))}
    return [
        word for path in _outermost_first(empty) for word in ("--perms", "0755", "--dir", str(path))
    ]


def _outermost_first(paths: Iterable[Path]) -> list[Path]:
    return sorted(set(paths), key=lambda path: len(path.parts))
