"""The seccomp program, run by a small BPF machine: both architectures, whatever runs the tests."""

from __future__ import annotations

import struct

import pytest

from rung.validation.sandbox.syscalls import _NUMBERS, Filter, program

OPEN = Filter(host_ipc=False, host_signals=False, host_metadata=False, host_truncate=False)
CLOSED = Filter(host_ipc=True, host_signals=True, host_metadata=True, host_truncate=True)
ALLOW, KILL = "allow", "kill"
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = list(ARCH)


def answer(machine: str, wanted: Filter, call: str | int, *arguments: int, arch: int = 0) -> object:
    """`allow`, `kill`, or the errno that the call returns."""
    number = call if isinstance(call, int) else _NUMBERS[call][MACHINES.index(machine)]
    padded = (arguments + (0,) * 6)[:6]
    data = struct.pack("=IIQ6Q", number, arch or ARCH[machine], 0, *padded)
    code = list(struct.iter_unpack("=HBBI", program(machine, wanted)))
    at = value = 0
    while True:
        operation, if_true, if_false, operand = code[at]
        at += 1
        if operation == 0x20:
            value = struct.unpack_from("=I", data, operand)[0]
        elif operation == 0x54:
            value &= operand
        elif operation == 0x06:
            return {0x7FFF0000: ALLOW, 0x80000000: KILL}.get(operand, operand & 0xFFFF)
        else:
            is_met = {
                0x15: value == operand,
                0x35: value >= operand,
                0x45: bool(value & operand),
            }[operation]
            at += if_true if is_met else if_false


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("wanted", [OPEN, CLOSED])
def test_dangerous_calls_are_always_refused(machine: str, wanted: Filter) -> None:
    for call in ("ptrace", "unshare", "setns", "mount", "bpf", "keyctl", "open_by_handle_at"):
        assert answer(machine, wanted, call) == 1
    for call in ("clone3", "io_uring_setup", "memfd_create", "shmget", "msgget", "semget"):
        assert answer(machine, wanted, call) == 38


@pytest.mark.parametrize("machine", MACHINES)
def test_a_process_may_fork_but_not_into_a_namespace(machine: str) -> None:
    assert answer(machine, OPEN, "clone", 17) == ALLOW
    for flag in (0x20000, 0x02000000, 0x10000000, 0x20000000, 0x40000000):
        assert answer(machine, OPEN, "clone", 17 | flag) == 1


@pytest.mark.parametrize("machine", MACHINES)
def test_without_namespaces_there_are_no_sockets_but_stream_pairs(machine: str) -> None:
    unix, inet, stream, datagram, cloexec = 1, 2, 1, 2, 0o2000000
    assert answer(machine, OPEN, "socket", inet, stream) == ALLOW
    assert answer(machine, CLOSED, "socket", inet, stream) == 97
    assert answer(machine, CLOSED, "socket", unix, stream) == 97
    assert answer(machine, CLOSED, "socketpair", unix, stream | cloexec) == ALLOW
    assert answer(machine, CLOSED, "socketpair", unix, datagram) == 1
    assert answer(machine, CLOSED, "socketpair", inet, stream) == 1


@pytest.mark.parametrize("machine", MACHINES)
def test_in_a_namespace_there_are_only_sockets_that_it_holds_back(machine: str) -> None:
    unix, inet, inet6, netlink, vsock, bluetooth, route, uevent = 1, 2, 10, 16, 40, 31, 0, 15
    for domain in (unix, inet, inet6):
        assert answer(machine, OPEN, "socket", domain, 1) == ALLOW
    assert answer(machine, OPEN, "socket", netlink, 3, route) == ALLOW
    assert answer(machine, OPEN, "socket", netlink, 3, uevent) == 97
    for domain in (vsock, bluetooth):
        assert answer(machine, OPEN, "socket", domain, 1) == 97


@pytest.mark.parametrize("machine", MACHINES)
def test_no_descriptor_is_made_to_signal_others_where_nothing_else_holds_it(machine: str) -> None:
    get_flags, set_owner, set_signal, set_owner_ex = 3, 8, 10, 15
    window_size, socket_owner, type_into_terminal = 0x5413, 0x8901, 0x5412
    for command in (set_owner, set_signal, set_owner_ex):
        assert answer(machine, CLOSED, "fcntl", 5, command) == 1
        assert answer(machine, OPEN, "fcntl", 5, command) == ALLOW
    assert answer(machine, CLOSED, "fcntl", 5, get_flags) == ALLOW
    assert answer(machine, CLOSED, "ioctl", 5, socket_owner) == 1
    for wanted in (OPEN, CLOSED):
        assert answer(machine, wanted, "ioctl", 5, type_into_terminal) == 1
        assert answer(machine, wanted, "ioctl", 5, window_size) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_only_its_own_limits_and_priority_may_change(machine: str) -> None:
    assert answer(machine, CLOSED, "prlimit64", 0) == ALLOW
    assert answer(machine, CLOSED, "prlimit64", 4711) == 1
    assert answer(machine, CLOSED, "setpriority", 0, 0) == ALLOW
    assert answer(machine, CLOSED, "setpriority", 0, 4711) == 1
    process, user = 0, 2
    assert answer(machine, CLOSED, "setpriority", user, 0) == 1
    assert answer(machine, CLOSED, "ioprio_set", process + 1, 0) == ALLOW
    assert answer(machine, CLOSED, "ioprio_set", user + 1, 0) == 1


@pytest.mark.parametrize("machine", MACHINES)
def test_what_landlock_cannot_see_is_closed(machine: str) -> None:
    for call, refusal in (("fchmodat", 0), ("kill", 1), ("truncate", 1), ("setxattr", 95)):
        assert answer(machine, OPEN, call) == ALLOW
        assert answer(machine, CLOSED, call) == refusal


@pytest.mark.parametrize("machine", MACHINES)
def test_another_table_of_calls_is_no_way_around(machine: str) -> None:
    i386, getpid = 0x40000003, 20
    assert answer(machine, OPEN, getpid, arch=i386) == KILL
    if machine == "x86_64":
        assert answer(machine, OPEN, 0x40000000 | 39) == KILL


def test_a_machine_without_a_table_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="riscv64"):
        program("riscv64", CLOSED)
