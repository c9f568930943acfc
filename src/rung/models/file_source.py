"""Weights from a gguf on this machine."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import IO

from rung.errors import ModelError
from rung.models.catalogue import CatalogueModel, FileSource, id_from_file_name, validate_id
from rung.models.gguf import check_gguf
from rung.models.hashing import TooLongError, copy_hashed, hash_file
from rung.models.progress import Meter, Reporter, in_thread

_FICLONE = 0x40049409


def disk_bytes(model: CatalogueModel, source: FileSource, models_dir: Path) -> int:
    """Disk space that `fetch_file` takes: none where it can link."""
    try:
        is_same_disk = Path(source.path).stat().st_dev == models_dir.stat().st_dev
    except OSError as error:
        raise ModelError(f"{source.path} cannot be read: {error.strerror}") from error
    return 0 if is_same_disk else model.size_bytes


async def describe_file(path: Path, model_id: str | None = None) -> CatalogueModel:
    """A local gguf as an entry that `pull` accepts. Without `model_id`, its name makes the id.

    Raises ModelError where the file is missing, damaged, or not a model.
    """
    return await in_thread(lambda meter: _describe(path, model_id, meter), Meter())


def _describe(path: Path, model_id: str | None, meter: Meter) -> CatalogueModel:
    path = path.expanduser().absolute()
    found = check_gguf(path)
    if found.parts > 1:
        raise ModelError(
            f"{path} is one of {found.parts} parts of a model; join them with "
            "`llama-gguf-split --merge` first"
        )
    chosen = validate_id(model_id) if model_id else id_from_file_name(path)
    return CatalogueModel(
        id=chosen,
        title=found.name or path.stem,
        parameters=found.parameters,
        quantization=found.quantization,
        context_tokens=found.context_tokens or 0,
        file=f"{chosen}.gguf",
        size_bytes=found.size_bytes,
        sha256=hash_file(path, meter),
        source=FileSource(path=str(path)),
    )


async def fetch_file(
    model: CatalogueModel, source: FileSource, work: Path, reporter: Reporter
) -> tuple[Path, str]:
    """Bring the file into `work`; return it with its SHA-256.

    On the same disk it takes no space: it shares the bytes of the original; else it is a copy.
    Raises ModelError where it cannot be read, OSError where it cannot be written.
    """
    meter, target = Meter(), work / model.file
    sha256 = await reporter.during(
        "extracting",
        model.size_bytes,
        in_thread(lambda shared: _link_or_copy(Path(source.path), target, model, shared), meter),
        lambda: meter.done_bytes,
    )
    return target, sha256


def _link_or_copy(path: Path, target: Path, model: CatalogueModel, meter: Meter) -> str:
    """The same bytes under `target`, in the first of three ways that works.

    A clone shares the bytes until one side changes them (Btrfs, XFS). A hard link shares them for
    good: Rung never writes to it, and what the user writes shows as damage. Else it is a copy.
    """
    try:
        path = path.resolve(strict=True)  # or a symlink would itself be linked into the store
        file = path.open("rb")
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        if not _clone(file, target):
            try:
                os.link(path, target)
            except OSError:  # another disk, or a system that forbids it
                return _copy(file, path, target, model.size_bytes, meter)
    return hash_file(target, meter)


def _clone(file: IO[bytes], target: Path) -> bool:
    """Whether the file system could make `target` a clone of `file` (ioctl_ficlone(2))."""
    if sys.platform != "linux":
        return False
    try:
        with target.open("wb") as clone:
            fcntl.ioctl(clone, _FICLONE, file.fileno())
            os.fsync(clone.fileno())
    except OSError:  # most file systems have no clones
        target.unlink(missing_ok=True)
        return False
    return True


def _copy(file: IO[bytes], path: Path, target: Path, size_bytes: int, meter: Meter) -> str:
    try:
        return copy_hashed(file, target, size_bytes, meter)
    except TooLongError:
        raise ModelError(f"{path} has changed since it was looked at") from None
