"""Run one command in the best sandbox that works on this machine."""

from __future__ import annotations

import asyncio
import errno
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from rung.config.settings import SandboxKind, SandboxSettings
from rung.errors import SandboxUnavailable
from rung.validation.folders import remove_tree
from rung.validation.sandbox import bubblewrap, confinement
from rung.validation.sandbox.output import read_capped
from rung.validation.sandbox.supervisor import KilledReason, supervise
from rung.validation.temporary import make_folder

Backend = Literal["bubblewrap", "landlock"]

_ORDER: tuple[Backend, ...] = ("bubblewrap", "landlock")
# How long the launcher may take to end by itself, after its deadline or its input's end, before it
# is killed. Killing bubblewrap's namespace is always safe. The launcher under Landlock is the one
# that kills the others, and out of their reach: it is given time to finish.
_PATIENCE_S: dict[Backend, float] = {"bubblewrap": 0.2, "landlock": 10.0}
_PROBE_TIMEOUT_S = 10.0
_LOOK_AGAIN_S = 60.0
# The machine has run out of something, which says nothing of the code.
_RUN_OUT = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
_INSTALL = (
    "no sandbox works here, so code that a model wrote is not run. Install bubblewrap "
    "(`apt install bubblewrap` or your system's equivalent), or use Linux 5.13 or newer "
    "with Landlock enabled."
)

# Tried for real: it runs, its folder is writable, and what it writes elsewhere is not on the host
# (it may be in a private copy that goes with the run).
_PROBE = """
import contextlib, sys
open("probe", "w").close()
with contextlib.suppress(OSError):
    open(sys.argv[1], "w").close()
"""


@dataclass(frozen=True, kw_only=True)
class SandboxResult:
    """How it ended. `exit_status` is negative for a signal; `output` is stdout and stderr together.

    Of an output beyond 256 KiB the middle is left out. `killed_reason` is empty if it ended alone.
    """

    exit_status: int
    output: str
    seconds: float
    killed_reason: KilledReason = ""

    @property
    def timed_out(self) -> bool:
        return self.killed_reason == "timeout"


@dataclass(frozen=True, kw_only=True)
class SandboxStatus:
    """Which sandbox is active (`None`: none works) and why: one line per sandbox that was tried."""

    active: Backend | None
    reasons: tuple[str, ...]


# What was found, and when.
_probed: dict[SandboxKind, tuple[SandboxStatus, float]] = {}


async def describe(kind: SandboxKind = "auto") -> SandboxStatus:
    """Which sandbox is used for `kind`, found once per process by running something in it.

    Where none works, which may pass (a full disk, say), it is looked for again after a while.
    """
    known, at = _probed.get(kind, (None, 0.0))
    if known is None or (known.active is None and time.monotonic() - at > _LOOK_AGAIN_S):
        reasons: list[str] = []
        active: Backend | None = None
        for backend in _ORDER if kind == "auto" else (kind,):
            problem = await _problem_with(backend)
            reasons.append(f"{backend}: {problem or 'works'}")
            if not problem:
                active = backend
                break
        known = SandboxStatus(active=active, reasons=tuple(reasons))
        _probed[kind] = (known, time.monotonic())
    return known


async def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    writable: Sequence[Path] = (),
    readable: Sequence[Path] = (),
    settings: SandboxSettings,
    python: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout_s: float | None = None,
) -> SandboxResult:
    """Run `argv` confined to `writable`, `readable`, the system's programs and `python`.

    `env` is added to the clean environment; `python` (default: Rung's own) comes first on PATH.
    Every process that was started is dead on return, whether it ended, ran out of `timeout_s`
    (default: the settings') or the awaiting task was cancelled. As root the code runs as a uid of
    its own, which becomes the owner of what `writable` holds.

    Raises SandboxUnavailable where no sandbox works, with what the user can install, and where the
    machine has no room for one now.
    """
    status = await describe(settings.kind)
    if status.active is None:
        raise SandboxUnavailable(f"{_INSTALL} Tried: {'; '.join(status.reasons)}.")
    job = _Job(
        argv=tuple(argv),
        cwd=cwd,
        writable=tuple(writable),
        readable=tuple(readable),
        settings=settings,
        python=python or confinement.own_python(),
        env=dict(env or {}),
        stdin=stdin,
        timeout_s=settings.timeout_s if timeout_s is None else timeout_s,
    )
    try:
        return await _run_in(status.active, job)
    except OSError as error:
        if error.errno in _RUN_OUT:
            raise SandboxUnavailable(f"the sandbox cannot be set up now: {error}") from error
        raise


@dataclass(frozen=True, kw_only=True)
class _Job:
    argv: tuple[str, ...]
    cwd: Path
    writable: tuple[Path, ...]
    readable: tuple[Path, ...]
    settings: SandboxSettings
    python: Path
    env: dict[str, str]
    stdin: str
    timeout_s: float


async def _problem_with(backend: Backend) -> str:
    """Why this sandbox does not work here; empty if it does."""
    if backend == "bubblewrap" and shutil.which("bwrap") is None:
        return "bwrap is not installed"
    try:
        outside = make_folder("probe")
        try:
            return await _probe(backend, outside)
        finally:
            await remove_tree(outside)
    except (SandboxUnavailable, OSError) as error:
        return str(error)


async def _probe(backend: Backend, outside: Path) -> str:
    inside, forbidden = outside / "inside", outside / "forbidden"
    await asyncio.to_thread(inside.mkdir)
    python = confinement.own_python()
    job = _Job(
        argv=(str(python), "-I", "-c", _PROBE, str(forbidden)),
        cwd=inside,
        writable=(inside,),
        readable=(),
        settings=SandboxSettings(),
        python=python,
        env={},
        stdin="",
        timeout_s=_PROBE_TIMEOUT_S,
    )
    result = await _run_in(backend, job)
    if await asyncio.to_thread(forbidden.exists):
        return "does not confine: the probe wrote outside"
    if result.exit_status != 0 or not await asyncio.to_thread((inside / "probe").exists):
        said = result.output.strip()[-300:]
        return f"does not run: {said or f'exit status {result.exit_status}'}"
    return ""


async def _run_in(backend: Backend, job: _Job) -> SandboxResult:
    private = make_folder("run")
    uid = confinement.take_uid()
    try:
        temporary = private / "tmp"
        temporary.mkdir()
        owned = (temporary, *job.writable)
        await asyncio.to_thread(confinement.hand_over, owned, uid)
        command, line = _launch(backend, job, temporary, uid)
        with (private / "output").open("w+b") as output:
            report = await supervise(
                command, line, output.fileno(), job.timeout_s, _PATIENCE_S[backend]
            )
            text = read_capped(output.fileno())
        return SandboxResult(
            exit_status=report.exit_status,
            output=text,
            seconds=report.seconds,
            killed_reason=report.killed,
        )
    finally:
        confinement.give_back(uid)
        _remove_later(private)


_removing: set[asyncio.Future[None]] = set()


def _remove_later(folder: Path) -> None:
    """Hostile code may have left so much that nobody should wait for it.

    What cannot be removed is left to the end of this process (`validation.temporary`).
    """
    removal = asyncio.ensure_future(remove_tree(folder))
    _removing.add(removal)
    removal.add_done_callback(_removed)


def _removed(removal: asyncio.Future[None]) -> None:
    _removing.discard(removal)
    if not removal.cancelled():
        removal.exception()  # looked at, so that it is not reported as lost


def _launch(
    backend: Backend, job: _Job, temporary: Path, uid: int | None
) -> tuple[list[str], bytes]:
    """The command to spawn, and the job's line for its standard input."""
    own = confinement.own_python()
    readable = {*job.readable, *confinement.interpreter_paths(job.python)}
    is_landlocked = backend == "landlock"
    seen = temporary if is_landlocked else Path("/tmp")  # noqa: S108 - the inside's, not the host's
    home = job.writable[0] if job.writable else seen
    command = [str(own), "-I", "-S", str(confinement.LAUNCHER)]
    if is_landlocked:
        readable |= {*confinement.system_paths(), *map(Path, confinement.PROC_FILES)}
    else:
        command = bubblewrap.argv(
            shutil.which("bwrap") or "bwrap",
            command,
            readable=(
                *readable,
                *confinement.interpreter_paths(own),
                confinement.LAUNCHER.parent,
            ),
            writable=job.writable,
            temporary=temporary,
            is_root=uid is not None,
        )
    line = confinement.job(
        job.argv,
        cwd=job.cwd,
        env=confinement.environment(home, seen, (job.python.parent,), job.env),
        readable=sorted(readable),
        writable={**{path: path for path in job.writable}, seen: temporary},
        settings=job.settings,
        timeout_s=job.timeout_s,
        stdin=job.stdin,
        uid=uid,
        is_landlocked=is_landlocked,
    )
    return command, msgspec.json.encode(line) + b"\n"
