"""What the launcher asks of the Linux kernel by ctypes: Landlock, seccomp, capabilities, prctl.

Standard library only: the launcher loads this file with `python -I -S`, outside the package.
Sources: landlock(7), seccomp(2), capabilities(7), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 1, 4, 8
_PR_SET_SECCOMP, _PR_SET_CHILD_SUBREAPER = 22, 36
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 38, 47, 2
_SECCOMP_MODE_FILTER = 2
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}

_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_ALL_OF_ABI_1 = (1 << 13) - 1
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_BIND_AND_CONNECT_TCP = 0b11
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

SCOPE_ABI, TRUNCATE_ABI = 6, 3


def _failure(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def _syscall(what: str, number: int, *arguments: int | bytes | None) -> int:
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *wide))
    if result < 0:
        raise _failure(what)
    return result


def _prctl(what: str, option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *padded) < 0:
        raise _failure(what)


def die_with_parent(signal_number: int) -> None:
    _prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, signal_number)


def adopt_orphans() -> None:
    """Descendants whose parent dies become children of this process, so that none is lost."""
    _prctl("PR_SET_CHILD_SUBREAPER", _PR_SET_CHILD_SUBREAPER, 1)


def hide_from_ptrace() -> None:
    """Close `/proc/PID/fd` and memory of this process to others with the same uid."""
    _prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, 0)


def forbid_new_privileges() -> None:
    _prctl("PR_SET_NO_NEW_PRIVS", _PR_SET_NO_NEW_PRIVS, 1)


def become(uid: int, *, keep_reading: bool) -> None:
    """Give up root for `uid`, a user that owns nothing, with no capability left.

    With `keep_reading`, CAP_DAC_READ_SEARCH survives exec: the interpreter may live below a home
    that only root may enter. Use it only where Landlock then limits what can be read.
    """
    os.setgroups([])
    if keep_reading:
        _prctl("PR_SET_KEEPCAPS", _PR_SET_KEEPCAPS, 1)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if keep_reading:
        kept = 1 << _CAP_DAC_READ_SEARCH
        header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
        sets = struct.pack("=6I", kept, kept, kept, 0, 0, 0)
        _syscall("capset", _SYS_CAPSET[os.uname().machine], header, sets)
        _prctl("PR_CAP_AMBIENT", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH)


def landlock_abi() -> int:
    """The kernel's Landlock version, 0 where there is none."""
    try:
        return _syscall("landlock", _LANDLOCK_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def restrict_files(
    readable: Iterable[str], devices: Iterable[str], writable: Iterable[str]
) -> None:
    """Confine this process and its descendants, for good, to these paths (Landlock).

    `readable` may be read and executed, `devices` read and written, `writable` everything but
    device nodes. A path that does not exist is left out. TCP, abstract sockets and signals to
    processes outside are closed too where the kernel's ABI can.
    """
    abi = landlock_abi()
    handled = _ALL_OF_ABI_1
    handled |= _REFER if abi >= 2 else 0
    handled |= _TRUNCATE if abi >= TRUNCATE_ABI else 0
    handled |= _IOCTL_DEVICE if abi >= 5 else 0
    network = _BIND_AND_CONNECT_TCP if abi >= 4 else 0
    scopes = _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if abi >= SCOPE_ABI else 0
    size = 24 if abi >= SCOPE_ABI else 16 if abi >= 4 else 8
    attributes = struct.pack("=QQQ", handled, network, scopes)[:size]
    ruleset = _syscall("landlock", _LANDLOCK_CREATE_RULESET, attributes, size, 0)
    try:
        for paths, rights in (
            (readable, _EXECUTE | _READ_FILE | _READ_DIR),
            (devices, _READ_FILE | _WRITE_FILE | _IOCTL_DEVICE),
            (writable, _ALL_OF_ABI_1 & ~_MAKE_CHAR & ~_MAKE_BLOCK | _REFER | _TRUNCATE),
        ):
            for path in paths:
                _allow_beneath(ruleset, path, rights & handled)
        _syscall("landlock_restrict_self", _LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow_beneath(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _FILE_RIGHTS
        rule = struct.pack("=Qi", rights, handle)
        what = f"landlock rule for {path}"
        _syscall(what, _LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(handle)


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def install_seccomp(code: bytes) -> None:
    """Install a BPF program of 8-byte instructions; needs `forbid_new_privileges` before."""
    whole = _FilterProgram(len(code) // 8, code)
    address = ctypes.cast(ctypes.pointer(whole), ctypes.c_void_p).value or 0
    _prctl("PR_SET_SECCOMP", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, address)
