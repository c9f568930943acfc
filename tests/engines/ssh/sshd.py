"""A real OpenSSH server on a loopback port, with its own keys, and a client that knows it."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
needs_sshd = pytest.mark.skipif(
    not (Path(SSHD).exists() and shutil.which("ssh") and shutil.which("ssh-keygen")),
    reason="OpenSSH's server, client and ssh-keygen are needed (Debian: openssh-server)",
)


class Sshd:
    """`start` and `stop` as often as a test likes; the port stays the same."""

    def __init__(self, folder: Path, *, allows_forwarding: bool = True) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("host_key", "user_key", "stranger_key"):
            key = str(folder / name)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        (folder / "authorized_keys").write_bytes((folder / "user_key.pub").read_bytes())
        host_key = (folder / "host_key.pub").read_text().split()[:2]
        known = f"[127.0.0.1]:{self.port} {' '.join(host_key)}\n"
        (folder / "known_hosts").write_text(known)
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nPidFile none\nStrictModes no\n"
            "UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            f"PermitRootLogin yes\nAllowTcpForwarding {'yes' if allows_forwarding else 'no'}\n"
        )

    @property
    def user(self) -> str:
        return getpass.getuser()

    def url(self, engine_port: int) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}/{engine_port}/v1"

    def client_config(self, *, key: str = "user_key", known_hosts: str = "known_hosts") -> str:
        """A file for `ssh -F` that knows this server and logs in with `key`."""
        path = self.folder / f"client_{key}_{known_hosts}"
        path.write_text(
            f"IdentityFile {self.folder}/{key}\nIdentitiesOnly yes\nIdentityAgent none\n"
            f"UserKnownHostsFile {self.folder}/{known_hosts}\nGlobalKnownHostsFile /dev/null\n"
        )
        return str(path)

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")],
            stderr=(self.folder / "sshd.log").open("ab"),
            start_new_session=True,
        )
        until = time.monotonic() + 20
        while time.monotonic() < until:
            assert self._process.poll() is None, (self.folder / "sshd.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
                continue
            return
        raise AssertionError("sshd does not listen")

    def stop(self) -> None:
        """Goes away with all its sessions, as a machine does that falls asleep."""
        if self._process is not None:
            for pid in _descendants(self._process.pid):
                os.kill(pid, 9)
            self._process.kill()
            self._process.wait()
            self._process = None


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == pid:
            child = int(folder.name)
            found += [*_descendants(child), child]
    return found
