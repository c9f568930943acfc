"""Every attack, against every sandbox, as root where the tests run as root and as a normal user.

What counts is the state of the host afterwards.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from rung.config.settings import SandboxSettings
from rung.validation import sandbox
from rung.validation.folders import remove_tree
from rung.validation.sandbox import SandboxResult, confinement
from rung.validation.temporary import make_folder

ATTACKS = Path(__file__).parent / "hostile.py"
KINDS = ("bubblewrap", "landlock")


@pytest.fixture(params=KINDS)
async def kind(request: pytest.FixtureRequest) -> str:
    status = await sandbox.describe(request.param)
    if status.active is None:
        pytest.skip("; ".join(status.reasons))
    return request.param


class Attack:
    """Runs one attack in a folder of its own and keeps what it printed."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder

    async def __call__(
        self, name: str, *arguments: object, readable: Sequence[Path] = (), **limits: float
    ) -> SandboxResult:
        settings = {"timeout_s": 10.0, "memory_mib": 256, "processes": 32, "file_mib": 8} | limits
        return await sandbox.run(
            [sys.executable, "-I", str(self.folder / "hostile.py"), name, *map(str, arguments)],
            cwd=self.folder,
            writable=[self.folder],
            readable=readable,
            settings=SandboxSettings(kind=self.kind, **settings),  # type: ignore[arg-type]
        )


@pytest.fixture
async def attack(kind: str, tmp_path: Path) -> AsyncIterator[Attack]:
    folder = tmp_path / "inside"
    folder.mkdir()
    shutil.copy(ATTACKS, folder)
    yield Attack(kind, folder)
    await remove_tree(folder)  # pytest cannot: some attacks leave folders made to resist


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the writable one, as the user's project is."""
    folder = tmp_path / "outside"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    return folder


@pytest.fixture
def home_file() -> Iterator[Path]:
    path = Path.home() / f".rung-test-{secrets.token_hex(8)}"
    path.write_text("the secret")
    path.chmod(0o644)
    yield path
    path.unlink(missing_ok=True)


def is_running(mark: str) -> bool:
    """Whether any process on the host has `mark` in its command line."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


async def test_nothing_is_written_outside(attack: Attack, outside: Path) -> None:
    name = f"rung-{secrets.token_hex(8)}"
    targets = [folder / name for folder in (Path.home(), Path("/etc"), Path("/tmp"), outside)]
    for target in targets:
        await attack("write", target)
    assert not [target for target in targets if os.path.lexists(target)]
    assert (attack.folder / "mine").exists()


async def test_files_outside_are_not_changed(attack: Attack, outside: Path) -> None:
    victim = outside / "victim"
    victim.write_text("untouched")
    victim.chmod(0o666)
    before = victim.stat()
    await attack("change", victim)
    after = victim.stat()
    assert victim.read_text() == "untouched"
    assert (after.st_mode, after.st_mtime_ns, after.st_uid) == (
        before.st_mode,
        before.st_mtime_ns,
        before.st_uid,
    )
    assert os.listxattr(victim) == []


async def test_secrets_in_home_and_beside_the_project_cannot_be_read(
    attack: Attack, home_file: Path, outside: Path
) -> None:
    (outside / "secret").write_text("the secret")
    for path in (home_file, outside / "secret", Path("/etc/passwd"), Path("/etc/shadow")):
        assert "READ" not in (await attack("read", path)).output
    assert "LISTED" not in (await attack("listing", outside)).output


async def test_the_environment_holds_nothing_of_the_users(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNG_TEST_API_KEY", "the secret")
    output = (await attack("environment")).output
    assert "ENV" in output
    assert "RUNG_TEST_API_KEY" not in output


async def test_the_code_runs_without_root_and_without_capabilities(attack: Attack) -> None:
    output = (await attack("identity")).output
    assert "UID 0" not in output
    effective = output.partition("CapEff: ")[2].split()[0]
    # CAP_DAC_READ_SEARCH alone, where Landlock limits what there is to read.
    assert int(effective, 16) in ((0, 1 << 2) if attack.kind == "landlock" else (0,))
    assert "NoNewPrivs: 1" in output


class Listener:
    """Accepts on the host and remembers whatever arrives."""

    def __init__(self, family: int, type_: int, address: object) -> None:
        self.received: list[bytes] = []
        self.socket = socket.socket(family, type_)
        self.socket.bind(address)  # type: ignore[arg-type]
        if type_ == socket.SOCK_STREAM:
            self.socket.listen()
        self.socket.setblocking(False)

    def arrivals(self) -> int:
        """How many connections or packets are waiting."""
        count = 0
        while True:
            try:
                if self.socket.type & socket.SOCK_DGRAM:
                    self.socket.recv(100)
                else:
                    self.socket.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1


@pytest.mark.parametrize(
    ("name", "type_"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)]
)
async def test_no_packet_reaches_the_hosts_loopback(
    attack: Attack, name: str, type_: socket.SocketKind
) -> None:
    listener = Listener(socket.AF_INET, type_, ("127.0.0.1", 0))
    with listener.socket:
        await attack(name, listener.socket.getsockname()[1])
        assert listener.arrivals() == 0


async def test_unix_sockets_of_the_host_cannot_be_reached(attack: Attack) -> None:
    folder = Path("/tmp") / f"rung-{secrets.token_hex(6)}"
    folder.mkdir(mode=0o755)
    abstract = f"rung-{secrets.token_hex(8)}"
    try:
        by_path = Listener(socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "stream"))
        datagram = Listener(socket.AF_UNIX, socket.SOCK_DGRAM, str(folder / "datagram"))
        hidden = Listener(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract)
        for path in folder.iterdir():
            path.chmod(0o777)
        with by_path.socket, datagram.socket, hidden.socket:
            await attack("unix", folder / "stream")
            await attack("unix_datagram", folder / "datagram")
            await attack("unix", "@" + abstract)
            assert [each.arrivals() for each in (by_path, datagram, hidden)] == [0, 0, 0]
    finally:
        shutil.rmtree(folder)


async def test_processes_of_the_host_get_no_signal_and_keep_their_limits(attack: Attack) -> None:
    with subprocess.Popen(["sleep", "600"]) as victim:
        try:
            await attack("kill", victim.pid)
            output = (await attack("other_limits", victim.pid)).output
            assert victim.poll() is None
            assert "LIMITED" not in output
            assert "RENICED" not in output
        finally:
            victim.kill()


async def test_forks_are_bounded(attack: Attack) -> None:
    output = (await attack("forks", processes=32, memory_mib=1024)).output
    # A uid shared with processes outside counts those too, and they come and go.
    assert 1 <= int(output.split()[1]) < 100


async def test_a_fork_bomb_leaves_nothing_behind(attack: Attack) -> None:
    mark = secrets.token_hex(8)
    result = await attack("fork_bomb", mark, timeout_s=0.8, memory_mib=2048)
    assert result.timed_out
    assert not is_running(mark)


async def test_memory_is_bounded(attack: Attack) -> None:
    result = await attack("memory", memory_mib=128)
    assert "HOARDED" not in result.output


async def test_memory_files_cannot_be_made(attack: Attack) -> None:
    assert "HOARDED" not in (await attack("memory_files", memory_mib=128)).output


async def test_message_queues_of_the_host_cannot_be_sent_to(attack: Attack) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    queue = libc.msgget(0, 0o1666)
    assert queue >= 0, os.strerror(ctypes.get_errno())
    try:
        await attack("message_queue", queue)
        inbox = ctypes.create_string_buffer(64)
        assert libc.msgrcv(queue, inbox, 32, 0, 0o4000) == -1
        assert ctypes.get_errno() == errno.ENOMSG
    finally:
        libc.msgctl(queue, 0, None)


async def test_shared_memory_is_bounded_too(attack: Attack) -> None:
    result = await attack("shared_memory", memory_mib=128)
    assert result.killed_reason == "memory"


async def test_a_file_cannot_grow_beyond_its_limit(attack: Attack) -> None:
    await attack("huge_file", file_mib=8)
    assert (attack.folder / "huge").stat().st_size <= 8 * 1024 * 1024


async def test_a_run_ends_when_it_has_taken_its_share_of_the_disk(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if all had been written: what other processes do to the disk cannot make this fail.
    monkeypatch.setattr(confinement, "_DISK_BUDGET_BYTES", -(10**15))
    mark = secrets.token_hex(8)
    result = await attack("hang", mark)
    assert result.killed_reason == "disk"
    assert not is_running(mark)


async def test_a_daemon_dies_with_the_run(attack: Attack) -> None:
    mark = secrets.token_hex(8)
    result = await attack("daemon", mark)
    assert result.exit_status == 0
    assert not is_running(mark)


async def test_a_hanging_run_ends_at_its_deadline_with_all_it_started(attack: Attack) -> None:
    mark = secrets.token_hex(8)
    result = await attack("hang", mark, timeout_s=1.0)
    assert result.timed_out
    assert not is_running(mark)


async def test_cancelling_kills_everything_at_once(attack: Attack) -> None:
    mark = secrets.token_hex(8)
    running = asyncio.create_task(attack("hang", mark, timeout_s=60.0))
    while not is_running(mark):
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not is_running(mark)


async def test_stopping_the_launcher_does_not_stop_the_clock(attack: Attack) -> None:
    result = await attack("stop_parent", timeout_s=1.0)
    assert result.timed_out


async def test_stopping_the_launcher_does_not_stop_its_watch(attack: Attack) -> None:
    result = await attack("stop_parent_and_hoard", memory_mib=128)
    assert result.killed_reason == "memory"


async def test_a_flood_of_output_is_cut(attack: Attack) -> None:
    result = await attack("flood", file_mib=8)
    assert len(result.output) < 300_000
    assert "bytes left out" in result.output


@pytest.mark.parametrize(
    "name",
    [
        *("hang", "stop_all", "spin", "wait_for_nobody", "stop_parent", "fork_bomb"),
        *("vfork_bomb", "flood_on", "write_through", "many_files", "deep_folders_and_hang"),
    ],
)
async def test_a_run_returns_within_half_a_second_of_its_deadline(
    attack: Attack, name: str
) -> None:
    # A busy machine may delay one run; only a sandbox that is late delays each of five.
    for _ in range(5):
        mark, limit_s = secrets.token_hex(8), 0.6
        begun = time.monotonic()
        result = await attack(name, mark, timeout_s=limit_s, memory_mib=2048)
        late_s = time.monotonic() - begun - limit_s
        assert result.timed_out
        assert not is_running(mark)
        if late_s <= 0.5:
            return
    pytest.fail(f"returned {late_s:.2f} s after the deadline, five times")


async def test_no_socket_leaves_its_namespace(attack: Attack) -> None:
    """Without a namespace there is none; in one only unix, IPv4, IPv6 and routes."""
    output = (await attack("families")).output
    assert "netlink" not in output
    found = {int(line.split()[1]) for line in output.splitlines()}
    assert found <= (set() if attack.kind == "landlock" else {1, 2, 10, 16})
    assert f"SOCKET {int(socket.AF_INET)} {int(socket.SOCK_RAW)}" not in output


async def test_no_memory_is_made_that_belongs_to_no_process(attack: Attack) -> None:
    assert "SEGMENT" not in (await attack("system_v")).output


async def test_a_run_ends_before_the_machine_is_out_of_memory(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if little had been left: what it hoards is on no process's account.
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    monkeypatch.setattr(confinement, "_floor", lambda *_: total)
    result = await attack("unmapped_memory")
    assert result.killed_reason == "memory"


async def test_no_descriptor_signals_a_process_of_the_host(attack: Attack) -> None:
    with subprocess.Popen(["sleep", "600"]) as victim:
        try:
            await attack("signal_by_descriptor", victim.pid)
            assert victim.poll() is None
        finally:
            victim.kill()


async def test_priorities_of_a_whole_user_stay(attack: Attack) -> None:
    before = os.getpriority(os.PRIO_PROCESS, os.getpid())
    await attack("renice_all")
    assert os.getpriority(os.PRIO_PROCESS, os.getpid()) == before


async def test_what_others_do_with_their_files_is_not_seen(attack: Attack, outside: Path) -> None:
    victim = outside / "victim"
    victim.write_text("untouched")
    victim.chmod(0o644)
    os.setxattr(victim, "user.rung", b"the secret")
    assert "WATCHED" not in (await attack("watch", outside)).output
    assert "READ" not in (await attack("attribute", victim)).output


async def test_a_file_that_may_only_be_read_gets_no_second_name(
    attack: Attack, tmp_path: Path
) -> None:
    """As root Rung hands the folder over to the code: a name in it must not be another file's."""
    readable = tmp_path / "readable"
    readable.mkdir()
    victim = readable / "victim"
    victim.write_text("the user's")
    for path in (readable, victim):
        path.chmod(0o755)
    owner = victim.stat().st_uid
    for _ in range(2):  # the second run hands over what the first has left
        await attack("hard_link", victim, readable=[readable])
    assert victim.stat().st_nlink == 1
    assert victim.stat().st_uid == owner


async def test_nobody_else_on_the_machine_can_reach_a_scratch_folder() -> None:
    """A set-user-ID program that hostile code leaves there is of no use to another user."""
    folder = make_folder("test")
    try:
        assert folder.parent.stat().st_mode & 0o077 == 0
    finally:
        await remove_tree(folder)


async def test_the_report_cannot_be_forged(attack: Attack) -> None:
    result = await attack("forge_report")
    assert result.exit_status == 9


async def test_no_namespace_can_be_made_and_nothing_mounted(attack: Attack) -> None:
    output = (await attack("namespaces")).output
    assert "UNSHARED" not in output
    assert "MOUNTED" not in output


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the attack names x86-64 calls")
async def test_dangerous_system_calls_are_refused(attack: Attack) -> None:
    output = (await attack("calls")).output.split()
    answers = dict(zip(output[::2], output[1::2], strict=True))
    assert answers == {
        **{"ptrace": "1", "bpf": "1", "io_uring": "38", "keyctl": "1", "perf": "1"},
        **{"userfaultfd": "1", "syslog": "1", "fanotify": "1", "open_tree": "1", "modify_ldt": "1"},
    }


@pytest.mark.parametrize("name", ["deep_folders", "locked_folder", "claimed_names", "odd_entries"])
async def test_folders_made_to_resist_are_removed(
    attack: Attack, name: str, tmp_path: Path
) -> None:
    await attack(name)
    assert (await attack("ordinary")).exit_status == 0
    await remove_tree(attack.folder)
    assert not attack.folder.exists()


async def test_honest_code_is_not_in_the_way(attack: Attack) -> None:
    result = await attack("ordinary")
    assert result.output.split() == ["child", "KILLED", "-9"], result.output
    assert result.exit_status == 0


async def test_everything_dies_when_rung_is_killed(attack: Attack) -> None:
    """Rung itself gets SIGKILL in mid-run; the launcher sees its input end."""
    mark = secrets.token_hex(8)
    script = (
        "import asyncio, sys; from pathlib import Path; from rung.validation import sandbox;"
        "from rung.config.settings import SandboxSettings;"
        "folder = Path(sys.argv[1]);"
        "command = [sys.executable, '-I', str(folder / 'hostile.py'), 'hang', sys.argv[3]];"
        "asyncio.run(sandbox.run(command,"
        "cwd=folder, writable=[folder], settings=SandboxSettings(kind=sys.argv[2])))"
    )
    arguments = [sys.executable, "-c", script, str(attack.folder), attack.kind, mark]
    # Nobody is left to remove its temporary folder, so that must not be the machine's.
    environment = {**os.environ, "TMPDIR": str(attack.folder.parent)}
    with subprocess.Popen(arguments, env=environment) as rung:
        while not is_running(f"sleep(600)\0{mark}"):
            assert rung.poll() is None
            await asyncio.sleep(0.01)
        rung.send_signal(signal.SIGKILL)
        rung.wait()
    deadline = time.monotonic() + 20
    while is_running(mark) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert not is_running(mark)
