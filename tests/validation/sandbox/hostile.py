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
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(60)


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
    for name, number in (("ptrace", 101), ("bpf", 321), ("io_uring", 425), ("keyctl", 250)):
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


def deep_folders():
    for _ in range(1200):  # deeper than Python recurses, longer than PATH_MAX
        os.mkdir("deep")
        os.chdir("deep")
    os.chmod(".", 0)


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
    globals()[sys.argv[1]](*sys.argv[2:3])
