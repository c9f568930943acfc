"""One child process with one loaded model, from its start to its certain end."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec

from rung.chat import LoadedModel
from rung.config.environment import child_environment
from rung.config.settings import EngineSettings, Secret
from rung.engines.deadline import Deadline
from rung.engines.embedded.spec import LoadSpec
from rung.engines.failure import Origin
from rung.engines.fields import as_object, as_text, decode
from rung.engines.llamacpp.engine import LlamaServerEngine
from rung.errors import EngineError

INSTALL_ADVICE = "install it with `pip install 'rung[embedded]'`"
_CHILD = Path(__file__).with_name("child.py")
_STOP_TIMEOUT_S = 2.0
_STDERR_BYTES = 16 * 1024
_LOG_PREFIX = re.compile(r"^[\d.]+ [A-Z] (?:\w+\s+)?(?:\w+:\s+)?")
_OUT_OF_MEMORY = re.compile(r"failed to allocate|out of memory|cannot allocate", re.IGNORECASE)


class ModelProcess:
    """Make it, `load` it once, `stop` it. `load_ms` is how long the load took."""

    def __init__(self, model: str, path: Path, spec: LoadSpec, origin: Origin) -> None:
        self.model = model
        self.spec = spec
        self.load_ms = 0.0
        self.is_stopped = False
        self._server: LlamaServerEngine | None = None
        self._path = path
        self._origin = origin
        self._key = secrets.token_urlsafe(32)
        self._process: asyncio.subprocess.Process | None = None
        self._stderr = bytearray()
        self._pump: asyncio.Task[None] | None = None
        self._spawning = asyncio.Lock()

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def server(self) -> LlamaServerEngine | None:
        """The server to talk to, where the model is loaded and this process lives on."""
        return self._server if self.is_alive and not self.is_stopped else None

    def loaded(self) -> LoadedModel:
        """What it takes now, as far as the system tells."""
        memory_bytes, private_bytes = _memory(self.pid)
        return LoadedModel(
            model=self.model,
            context_tokens=self.spec.context_tokens,
            slots=self.spec.slots,
            memory_bytes=memory_bytes,
            private_bytes=private_bytes,
            load_ms=self.load_ms,
        )

    async def load(self, deadline: Deadline) -> None:
        """Starts the child and waits until it serves. Raises `EngineError`; then it is stopped."""
        started_at = time.perf_counter()
        try:
            deadline.check("the model was loading")
            async with self._spawning:
                process = await self._spawn()
            timeout_s = self.spec.load_timeout_s
            hello = await deadline.wait(self._exchange(process), "the model was loading", timeout_s)
            url = as_text(hello.get("url"))
            if not url or self.is_stopped:
                await self.ended(_STOP_TIMEOUT_S)
                raise self._load_error(as_text(hello.get("missing")))
        except BaseException:
            await self.stop()
            raise
        self.load_ms = (time.perf_counter() - started_at) * 1000
        self._server = LlamaServerEngine(
            self._origin.engine,
            EngineSettings(
                kind="llamacpp",
                base_url=f"{url}/v1",
                api_key=Secret(self._key),
                timeout_s=self.spec.timeout_s,
            ),
        )

    async def ended(self, within_s: float) -> bool:
        """Whether the process has ended, or does within `within_s` seconds."""
        if self._process is None:
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._process.wait()
                if self._pump is not None:
                    await asyncio.shield(self._pump)
        return not self.is_alive

    def epitaph(self) -> str:
        """How the process ended, and its last words, for an error message."""
        status = self._process.returncode if self._process is not None else None
        if status is None:
            how = "did not answer"
        elif status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
            if -status == signal.SIGKILL:
                how += ", perhaps for want of memory"
        else:
            how = f"ended with status {status}"
        said = self._stderr_lines() if status != -signal.SIGKILL else []
        return f"{how} ({said[-1]})" if said else how

    async def stop(self) -> None:
        """Ends the process, quickly and for certain, even where this very call is cancelled."""
        self.is_stopped = True
        try:
            async with self._spawning:  # a child that is just being started has no pid yet
                self._signal(signal.SIGTERM)
            if not await self.ended(_STOP_TIMEOUT_S):
                self._signal(signal.SIGKILL)
                await self.ended(_STOP_TIMEOUT_S)
            if self._server is not None:
                await self._server.close()
        except asyncio.CancelledError:
            self._signal(signal.SIGKILL)
            raise

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._check_wanted()
        # Threads that wait at a barrier by spinning starve when another process wants a core.
        extra = {"OMP_WAIT_POLICY": "passive"} if self.spec.threads > 1 else {}
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(_CHILD),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=child_environment(extra),
            start_new_session=True,
        )
        self._pump = asyncio.create_task(self._keep_stderr(process))
        self._check_wanted()
        return process

    def _check_wanted(self) -> None:
        if self.is_stopped:
            raise self._stopped_error()

    def _stopped_error(self) -> EngineError:
        return self._origin.error("cancelled", "the engine was closed while it started")

    def _start_message(self) -> bytes:
        return msgspec.json.encode(
            {
                "owner_pid": os.getpid(),
                "import_path": [entry for entry in sys.path if entry],
                "model": self.model,
                "model_path": str(self._path),
                "api_key": self._key,
                **msgspec.to_builtins(self.spec),
            }
        )

    async def _exchange(self, process: asyncio.subprocess.Process) -> dict[str, object]:
        """Sends what to load; the child's answer, empty where it ended without one."""
        stdin = cast(asyncio.StreamWriter, process.stdin)
        stdout = cast(asyncio.StreamReader, process.stdout)
        # A child that is already dead says nothing on stdout, which tells more than the pipe.
        with suppress(ConnectionError):
            stdin.write(self._start_message() + b"\n")
            await stdin.drain()
        return as_object(decode(await stdout.readline()))

    async def _keep_stderr(self, process: asyncio.subprocess.Process) -> None:
        stderr = cast(asyncio.StreamReader, process.stderr)
        while piece := await stderr.read(4096):
            self._stderr += piece
            del self._stderr[:-_STDERR_BYTES]

    def _stderr_lines(self) -> list[str]:
        """What the child said of its errors, without llama.cpp's time stamps and places."""
        lines = self._stderr.decode("utf-8", "replace").splitlines()
        return [_LOG_PREFIX.sub("", line).strip()[:300] for line in lines if line.strip()]

    def _load_error(self, missing: str) -> EngineError:
        if missing:
            advice = INSTALL_ADVICE
            if "libgomp" in missing:
                advice = "install the system's libgomp (on Debian: `apt install libgomp1`)"
            return self._origin.error(
                "unconfigured", f"llama.cpp cannot be imported ({missing}); {advice}"
            )
        if self.is_stopped:
            return self._stopped_error()
        status = self._process.returncode if self._process is not None else None
        if status is not None and status < 0:
            kind = "timeout" if -status == signal.SIGALRM else "unreachable"
            return self._origin.error(kind, f"the model's process {self.epitaph()} while it loaded")
        # The first line is the cause; the others say which functions gave up because of it.
        cause = next(iter(self._stderr_lines()), f"its process {self.epitaph()}")
        if _OUT_OF_MEMORY.search(cause):
            return self._origin.error(
                "out_of_memory",
                f"the model does not fit into memory ({cause}); "
                "choose a smaller model, or lower embedded.context_tokens",
            )
        return self._origin.error(
            "model_not_loaded",
            f"{self._path.name} could not be loaded: {cause}; if the file is damaged, "
            f"`rung models rm {self.model}` and `rung models pull {self.model}` mend it",
        )


def _memory(pid: int | None) -> tuple[int | None, int | None]:
    """Bytes in RAM of a process, and those among them that are no mapped files. Linux tells."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None, None
    fields = dict(line.split(":", 1) for line in lines if line.startswith(("VmRSS", "RssFile")))
    if len(fields) < 2:
        return None, None  # it has just ended
    resident, mapped = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssFile"))
    return resident, resident - mapped
