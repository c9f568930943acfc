"""Weights from a gguf on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from rung.errors import ModelError
from rung.models.catalogue import CatalogueModel, FileSource, id_from_file_name, validate_id
from rung.models.gguf import check_gguf
from rung.models.hashing import TooLongError, copy_hashed, hash_file
from rung.models.progress import Meter, Reporter, in_thread


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

    On the same disk it is a second link to the same bytes, which takes no space; else a copy.
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
    try:
        path = path.resolve(strict=True)  # or a symlink would itself be linked into the store
        file = path.open("rb")
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        try:
            os.link(path, target)
        except OSError:  # another disk, or a system that forbids it: a copy does as well
            try:
                return copy_hashed(file, target, model.size_bytes, meter)
            except TooLongError:
                raise ModelError(f"{path} has changed since it was looked at") from None
    return hash_file(target, meter)
