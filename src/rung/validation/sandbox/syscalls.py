"""The seccomp filter: which system calls code in the sandbox may not make, as a BPF program.

Standard library only: the launcher loads this file with `python -I -S`, outside the package.
Numbers are from the kernel's `unistd` tables; a dash where an architecture lacks the call.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_X86_64, _AARCH64 = 0, 1
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": _X86_64, "aarch64": _AARCH64}

_EPERM, _ENOSYS, _ENOTSUP, _EAFNOSUPPORT, _SUCCESS = 1, 38, 95, 97, 0

# Name, number on x86-64, number on aarch64.
_TABLE = """
    accept 43 202  acct 163 89  add_key 248 217  adjtimex 159 171  bind 49 200  bpf 321 280
    chmod 90 -  chown 92 -  chroot 161 51  clock_adjtime 305 266  clock_settime 227 112
    clone 56 220  clone3 435 435  connect 42 203  delete_module 176 106  fanotify_init 300 262
    fanotify_mark 301 263  fchmod 91 52  fchmodat 268 53  fchmodat2 452 452  fchown 93 55
    fchownat 260 54  fcntl 72 25  fgetxattr 193 10  file_setattr 469 469  finit_module 313 273
    flistxattr 196 13  fremovexattr 199 16  fsconfig 431 431  fsetxattr 190 7  fsmount 432 432
    fsopen 430 430  fspick 433 433  futimesat 261 -  getxattr 191 8  getxattrat 464 464
    init_module 175 105  inotify_add_watch 254 27  io_uring_enter 426 426
    io_uring_register 427 427  io_uring_setup 425 425  ioctl 16 29  ioprio_set 251 30
    kcmp 312 272  kexec_file_load 320 294  kexec_load 246 104  keyctl 250 219  kill 62 129
    lchown 94 -  lgetxattr 192 9  listmount 458 458  listxattr 194 11  listxattrat 465 465
    llistxattr 195 12  lremovexattr 198 15  lsetxattr 189 6  memfd_create 319 279
    memfd_secret 447 447  migrate_pages 256 238  modify_ldt 154 -  mount 165 40
    mount_setattr 442 442  move_mount 429 429  move_pages 279 239  mq_open 240 180
    mq_unlink 241 181  msgctl 71 187  msgget 68 186  msgrcv 70 188  msgsnd 69 189
    name_to_handle_at 303 264  open_by_handle_at 304 265  open_tree 428 428
    open_tree_attr 467 467  perf_event_open 298 241  pidfd_getfd 438 438
    pidfd_send_signal 424 424  pivot_root 155 41  prlimit64 302 261  process_madvise 440 440
    process_vm_readv 310 270  process_vm_writev 311 271  ptrace 101 117  quotactl 179 60
    quotactl_fd 443 443  reboot 169 142  removexattr 197 14  removexattrat 466 466
    request_key 249 218  rt_sigqueueinfo 129 138  rt_tgsigqueueinfo 297 240
    sched_setaffinity 203 122  sched_setattr 314 274  sched_setparam 142 118
    sched_setscheduler 144 119  semctl 66 191  semget 64 190  semop 65 193  semtimedop 220 192
    setns 308 268  setpriority 141 140  settimeofday 164 170  setxattr 188 5  setxattrat 463 463
    shmat 30 196  shmctl 31 195  shmget 29 194  socket 41 198  socketpair 53 199
    statmount 457 457  swapoff 168 225  swapon 167 224  syslog 103 116  tgkill 234 131
    tkill 200 130  truncate 76 45  umount2 166 39  unshare 272 97  userfaultfd 323 282
    utime 132 -  utimensat 280 88  utimes 235 -
"""


def _numbers(table: str) -> dict[str, tuple[int | None, int | None]]:
    words = iter(table.split())
    return {name: (_number(x86), _number(arm)) for name, x86, arm in zip(words, words, words)}  # noqa: B905


def _number(word: str) -> int | None:
    return None if word == "-" else int(word)


_NUMBERS = _numbers(_TABLE)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ALWAYS_DENIED = _words("""
    acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module fanotify_init
    fanotify_mark finit_module fsconfig fsmount fsopen fspick init_module kcmp kexec_file_load
    kexec_load keyctl listmount migrate_pages modify_ldt mount mount_setattr move_mount move_pages
    name_to_handle_at open_by_handle_at open_tree open_tree_attr perf_event_open pidfd_getfd
    pivot_root process_madvise process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot
    request_key setns settimeofday statmount swapoff swapon syslog umount2 unshare userfaultfd
""")

# ENOSYS, so that libc and runtimes fall back: glibc from clone3 to clone, libuv from io_uring.
# Memory files and System V IPC are memory that no limit of a process counts.
_ALWAYS_ABSENT = _words("""
    clone3 io_uring_enter io_uring_register io_uring_setup memfd_create memfd_secret msgctl msgget
    msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmget
""")

# Namespaces and an own view of the file system make these harmless; without them they must go.
# Landlock does not hold inotify back, which tells the names of files that others use.
_SHARED_WITH_HOST = _words("bind connect inotify_add_watch mq_open mq_unlink")

_SIGNALS = _words("kill pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo tgkill tkill")

# Landlock knows neither attributes, which every file shows and a writable one takes, …
_ATTRIBUTES = _words("""
    fgetxattr file_setattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr
    listxattrat llistxattr lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat
""")

# … nor modes, owners and times of the files that the user owns.
_METADATA = _words("""
    chmod chown fchmod fchmodat fchmodat2 fchown fchownat futimesat lchown utime utimensat utimes
""")

# Calls that also work on other processes, and the arguments that mean the caller alone.
_ON_ITSELF = {
    "ioprio_set": {0: 1, 1: 0},
    "prlimit64": {0: 0},
    "sched_setaffinity": {0: 0},
    "sched_setattr": {0: 0},
    "sched_setparam": {0: 0},
    "sched_setscheduler": {0: 0},
    "setpriority": {0: 0, 1: 0},
}

# A network namespace does not hold the others back: vsock reaches a virtual machine's host.
_SOCKET_DOMAINS = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
_AF_NETLINK, _NETLINK_ROUTE = 16, 0  # by which libc asks for its addresses

_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing into a terminal
# A descriptor that is ready signals its owner, any process with the same user.
_SIGNAL_BY_FCNTL = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX
_SIGNAL_BY_IOCTL = (0x8901, 0x8902)  # FIOSETOWN, SIOCSPGRP

_CLONE_NEW = 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x20000
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE_MASK = 1, 1, 0xF
_X32_BIT = 0x40000000

_LOAD, _AND, _JUMP_EQ, _JUMP_GE, _JUMP_ANY, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NR_OFFSET, _ARCH_OFFSET, _ARGS_OFFSET = 0, 4, 16


@dataclass(frozen=True)
class Filter:
    """What is not confined by other means and must therefore be denied by the filter.

    `host_ipc`: no namespaces, so sockets, System V IPC and file attributes reach the host.
    `host_signals`: neither a PID namespace nor Landlock's signal scope holds signals back.
    `host_metadata`: the code keeps the user's own uid, so that it could change the modes and times
    of the user's files; such calls report success and do nothing.
    `host_truncate`: Landlock before ABI 3 does not see truncate(2).
    """

    host_ipc: bool
    host_signals: bool
    host_metadata: bool
    host_truncate: bool


def program(machine: str, wanted: Filter) -> bytes:
    """The filter as an array of `struct sock_filter`, for `machine` as `os.uname()` names it.

    Raises NotImplementedError for an architecture whose system calls are not in the table.
    """
    if machine not in _COLUMN:
        raise NotImplementedError(f"there is no seccomp filter for {machine}")
    column = _COLUMN[machine]
    code = [
        _statement(_LOAD, _ARCH_OFFSET),
        _jump(_JUMP_EQ, _AUDIT_ARCH[machine], 1, 0),
        _statement(_RETURN, _KILL),
        _statement(_LOAD, _NR_OFFSET),
    ]
    if machine == "x86_64":  # the x32 table would be a second way to every call
        code += [_jump(_JUMP_GE, _X32_BIT, 0, 1), _statement(_RETURN, _KILL)]
    for name, errno in _refusals(wanted).items():
        number = _NUMBERS[name][column]
        if number is not None:
            code += [_jump(_JUMP_EQ, number, 0, 1), _statement(_RETURN, _ERRNO | errno)]
    for name, body in _argument_rules(wanted):
        number = _NUMBERS[name][column]
        if number is not None:
            code += [_jump(_JUMP_EQ, number, 0, len(body)), *body]
    code.append(_statement(_RETURN, _ALLOW))
    return b"".join(code)


def _refusals(wanted: Filter) -> dict[str, int]:
    refused = dict.fromkeys(_ALWAYS_DENIED, _EPERM) | dict.fromkeys(_ALWAYS_ABSENT, _ENOSYS)
    if wanted.host_ipc:
        refused |= dict.fromkeys(_SHARED_WITH_HOST, _EPERM) | {"socket": _EAFNOSUPPORT}
        refused |= dict.fromkeys(_ATTRIBUTES, _ENOTSUP)
    if wanted.host_signals:
        refused |= dict.fromkeys(_SIGNALS, _EPERM)
    if wanted.host_metadata:
        refused |= dict.fromkeys(_METADATA, _SUCCESS)
    if wanted.host_truncate:
        refused["truncate"] = _EPERM
    return refused


def _argument_rules(wanted: Filter) -> list[tuple[str, list[bytes]]]:
    """Blocks that end in a return, entered only when the call's number matched."""
    rules = [("clone", [_argument(0), _jump(_JUMP_ANY, _CLONE_NEW, 0, 1), _DENY, _PASS])]
    rules += [(name, _only(arguments)) for name, arguments in _ON_ITSELF.items()]
    signals = wanted.host_signals
    rules.append(("ioctl", _none_of(_TERMINAL_INPUT + _SIGNAL_BY_IOCTL * signals)))
    if signals:
        rules.append(("fcntl", _none_of(_SIGNAL_BY_FCNTL)))
    if wanted.host_ipc:
        # Stream pairs only: the end of a datagram pair can send to any unix socket by its path.
        pair = [
            _argument(0),
            _jump(_JUMP_EQ, _AF_UNIX, 0, 3),
            _argument(1),
            _statement(_AND, _SOCK_TYPE_MASK),
            _jump(_JUMP_EQ, _SOCK_STREAM, 1, 0),
            _DENY,
            _PASS,
        ]
        rules.append(("socketpair", pair))
    else:
        rules.append(("socket", _socket_rule()))
    return rules


def _only(arguments: dict[int, int]) -> list[bytes]:
    """Allow the call only with these values of its arguments."""
    body: list[bytes] = []
    for index, value in arguments.items():
        body += [_argument(index), _jump(_JUMP_EQ, value, 1, 0), _DENY]
    return [*body, _PASS]


def _none_of(values: tuple[int, ...]) -> list[bytes]:
    """Allow the call unless its second argument is one of these."""
    checks = [line for value in values for line in (_jump(_JUMP_EQ, value, 0, 1), _DENY)]
    return [_argument(1), *checks, _PASS]


def _socket_rule() -> list[bytes]:
    domains = [line for value in _SOCKET_DOMAINS for line in (_jump(_JUMP_EQ, value, 0, 1), _PASS)]
    refuse = _statement(_RETURN, _ERRNO | _EAFNOSUPPORT)
    netlink = [_argument(2), _jump(_JUMP_EQ, _NETLINK_ROUTE, 0, 1), _PASS, refuse]
    return [
        _argument(0),
        *domains,
        _jump(_JUMP_EQ, _AF_NETLINK, 0, len(netlink)),
        *netlink,
        refuse,
    ]


def _argument(index: int) -> bytes:
    """Load the low 32 bits of an argument (both architectures are little-endian)."""
    return _statement(_LOAD, _ARGS_OFFSET + 8 * index)


def _statement(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


_DENY, _PASS = _statement(_RETURN, _ERRNO | _EPERM), _statement(_RETURN, _ALLOW)
