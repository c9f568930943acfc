"""The way to an engine on another machine: one `ssh` process that Rung starts, keeps and ends.

The user's own `ssh` is used, with their configuration, keys, agent and known hosts. It forwards a
Unix socket in a private folder, not a TCP port, so no other user of this machine can use it and no
port can be taken by somebody else meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from rung.chat import Level
from rung.config.environment import child_environment
from rung.engines.deadline import Deadline
from rung.engines.failure import Origin
from rung.engines.ssh.url import SshUrl
from rung.errors import EngineError

# To reach the machine; and until its login, which a busy one takes its time for, is through.
CONNECT_TIMEOUT_S = 8.0
OPEN_TIMEOUT_S = 20.0
ALIVE_EVERY_S = 5
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
# A tunnel that held this long begins again with the shortest wait.
_STEADY_S = 20.0
_POLL_S = 0.02
_STOP_S = 2.0
_SAID_BYTES = 4096
_GUARD = Path(__file__).with_name("guard.py")

_ADVICE = (
    (r"host key verification failed|host identification", "log in once by hand with `{ssh}`"),
    (r"permission denied", "ssh must get in without a password: add your key there"),
    (r"could not resolve hostname|name or service not known", "check the host's name"),
    (r"connection refused|timed out|no route|unreachable", "is the machine on, with SSH enabled?"),
    (r"administratively prohibited|forwarding", "its SSH server must allow TCP forwarding"),
)


def wait_s(failures: int, chance: float) -> float:
    """Seconds before the next try after `failures` in a row; `chance` in [0, 1) spreads them."""
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(failures - 1, 16))
    return longest * (0.5 + chance / 2)


def ssh_command(url: SshUrl, socket: Path, config_file: str = "") -> list[str]:
    """The `ssh` that forwards `socket` to the engine. It never asks anything, and never lingers."""
    options = (
        "BatchMode=yes",
        "ExitOnForwardFailure=yes",
        f"ConnectTimeout={CONNECT_TIMEOUT_S:.0f}",
        f"ServerAliveInterval={ALIVE_EVERY_S}",
        "ServerAliveCountMax=2",
        "StreamLocalBindUnlink=yes",
        "StreamLocalBindMask=0177",
        # A shared master would keep the forward after this process has gone.
        "ControlMaster=no",
        "ControlPath=none",
        "ForwardAgent=no",
        "ForwardX11=no",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
    )
    command = ["ssh", "-N", "-T"]
    command += ["-F", str(Path(config_file).expanduser())] if config_file else []
    command += [part for option in options for part in ("-o", option)]
    command += ["-p", str(url.port)] if url.port else []
    return [*command, "-L", f"{socket}:{url.remote}", "--", url.destination]


class Tunnel:
    """Opened when it is first needed, then kept until `close`; a broken one is opened again."""

    def __init__(
        self,
        url: SshUrl,
        origin: Origin,
        *,
        config_file: str = "",
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.url = url
        self._origin = origin
        self._config_file = config_file
        self._chance = chance
        self._folder: Path | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._is_up = False
        self._failure: str | None = None
        self._next_try_at = 0.0
        self._connect_ms: float | None = None

    @property
    def pid(self) -> int | None:
        """The process id of `ssh`, where one is running."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def level(self) -> Level:
        """Whether the tunnel stands. `latency_ms` is what opening it took."""
        if self._is_up:
            return Level(ok=True, latency_ms=self._connect_ms)
        if self._keeper is None:
            return Level()
        return Level(ok=False, error=self._failure or "connecting")

    @property
    def opening_s(self) -> float:
        """How long who needs the tunnel now may have to wait until it stands, or has failed."""
        is_waiting = self._keeper is not None and self._failure is not None
        return 0.0 if self._is_up or is_waiting else OPEN_TIMEOUT_S

    async def socket(self, deadline: Deadline) -> Path:
        """The socket to talk to, once the tunnel stands.

        A tunnel that failed and waits for its next try is an error at once: nobody waits for a
        machine that is off. Raises `EngineError`.
        """
        if sys.platform == "win32":
            raise self._origin.error(
                "unconfigured",
                "ssh:// needs Unix sockets, which Windows' ssh does not forward; run "
                f"`ssh -L {self.url.remote_port}:{self.url.remote} {self.url.destination}` and set "
                f"base_url to http://127.0.0.1:{self.url.remote_port}{self.url.path}",
            )
        if self._keeper is None or self._keeper.done():
            self._failure = None
            self._folder = self._folder or Path(tempfile.mkdtemp(prefix="rung-ssh-"))
            self._keeper = asyncio.create_task(self._keep(self._folder / "engine"))
        while not self._is_up:
            if self._failure is not None:
                raise self._down()
            self._changed.clear()
            await deadline.wait(self._changed.wait(), "the SSH tunnel was being opened")
        return self._path

    async def close(self) -> None:
        """Ends `ssh` and removes the socket. May be called more than once."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def _path(self) -> Path:
        assert self._folder is not None  # noqa: S101 (set before the keeper starts)
        return self._folder / "engine"

    def _down(self) -> EngineError:
        return self._origin.error(
            "unreachable",
            f"the SSH tunnel to {self.url.destination} is down: {self._failure}",
            retry_after_s=max(0.0, self._next_try_at - time.monotonic()),
        )

    async def _keep(self, socket: Path) -> None:
        """Open, watch, and open again, until it is cancelled."""
        failures = 0
        while True:
            await asyncio.to_thread(socket.unlink, missing_ok=True)
            started_at = time.monotonic()
            said = await self._run(socket)
            was_steady = self._is_up and time.monotonic() - started_at > _STEADY_S
            failures = 1 if was_steady else failures + 1
            pause_s = wait_s(failures, self._chance())
            self._is_up = False
            self._failure = explain(said, ssh_words(self.url))
            self._next_try_at = time.monotonic() + pause_s
            self._changed.set()
            await asyncio.sleep(pause_s)
            self._failure = None  # who asks now waits for the new try

    async def _run(self, socket: Path) -> str:
        """One `ssh` from its start to its end; what it said in the end."""
        started_at = time.perf_counter()
        command = ssh_command(self.url, socket, self._config_file)
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *_guarded(command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=child_environment(),
                start_new_session=True,
            )
        except OSError as error:
            return f"ssh cannot be started ({error.strerror})"
        reading = asyncio.create_task(_last_words(process))
        try:
            # Nothing tells when ssh has logged in but the socket that it then makes.
            while process.returncode is None and not _exists(socket):
                if time.perf_counter() - started_at > OPEN_TIMEOUT_S:
                    return f"the login timed out after {OPEN_TIMEOUT_S:g} s"
                await asyncio.sleep(_POLL_S)
            if process.returncode is None:
                self._connect_ms = (time.perf_counter() - started_at) * 1000
                self._is_up = True
                self._changed.set()
            await process.wait()
            return await reading or f"ssh ended with status {process.returncode}"
        finally:
            reading.cancel()
            await _stop(process)


def _exists(socket: Path) -> bool:
    return socket.exists()


def explain(said: str, login: str) -> str:
    """The last line that `ssh` said, and what can be done about it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    cause = lines[-1][:300] if lines else "no reason given"
    for pattern, advice in _ADVICE:
        if re.search(pattern, said, re.IGNORECASE):
            return f"{cause} ({advice.format(ssh=login)})"
    return cause


def ssh_words(url: SshUrl) -> str:
    """How a person would log in there."""
    port = f"-p {url.port} " if url.port else ""
    return f"ssh {port}{url.destination}"


def _guarded(command: Sequence[str]) -> list[str]:
    return [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), *command]


async def _last_words(process: asyncio.subprocess.Process) -> str:
    said = bytearray()
    assert process.stderr is not None  # noqa: S101 (it was asked for)
    while piece := await process.stderr.read(1024):
        said += piece
        del said[:-_SAID_BYTES]
    return said.decode("utf-8", "replace")


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ends it for certain, even where the keeper itself is being cancelled."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except (TimeoutError, asyncio.CancelledError) as error:
        with suppress(ProcessLookupError):
            process.kill()
        if isinstance(error, asyncio.CancelledError):
            raise
        await process.wait()
