"""The folder of installed models: `<models_dir>/<id>/<file>.gguf` beside its `model.json`.

A model is installed when its manifest is there: the manifest is written last, removed first.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from rung.errors import ModelError
from rung.models.catalogue import FileName, FileSource, Sha256, Source, is_valid_id, validate_id
from rung.models.hashing import hash_file
from rung.models.lock import FileLock
from rung.models.progress import Meter, in_thread

_MANIFEST = "model.json"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class NoSpaceError(ModelError):
    """The disk of the models folder is, or would become, full."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`model.json`: what was installed. `installed_at` is UTC."""

    file: FileName
    size_bytes: int
    sha256: Sha256
    source: Source
    installed_at: datetime


class InstalledModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model in the store. `problem` says why it cannot be used and how to mend it, or is empty.

    Where the manifest itself is damaged, nothing else is known of the model.
    """

    id: str
    path: Path
    size_bytes: int = 0
    sha256: str = ""
    source: Source | None = None
    installed_at: datetime | None = None
    problem: str = ""


class ModelStore:
    """What is in `models_dir`. Nothing is created until something is installed."""

    def __init__(self, models_dir: Path) -> None:
        self.models_dir = models_dir

    def list(self) -> Sequence[InstalledModel]:
        """Every installed model, by id; those with a problem too."""
        folders = sorted(path.parent for path in self.models_dir.glob(f"*/{_MANIFEST}"))
        found = [self._read(folder.name) for folder in folders if is_valid_id(folder.name)]
        return [model for model in found if model is not None]

    def find(self, model_id: str) -> InstalledModel | None:
        """The installed model, if there is one; it may have a problem."""
        return self._read(validate_id(model_id))

    def path(self, model_id: str) -> Path:
        """The gguf to load. Raises ModelError that says how to get or mend the model."""
        return self._usable(model_id).path

    def _usable(self, model_id: str) -> InstalledModel:
        model = self.find(model_id)
        if model is None:
            raise ModelError(
                f"model {model_id} is not installed; fetch it with `rung models pull {model_id}`"
            )
        if model.problem:
            raise ModelError(model.problem)
        return model

    async def verify(self, model_id: str, meter: Meter | None = None) -> InstalledModel:
        """Read the whole file and compare its SHA-256. Raises ModelError where it differs."""
        model = self._usable(model_id)
        try:
            found = await in_thread(lambda shared: hash_file(model.path, shared), meter or Meter())
        except OSError as error:
            raise ModelError(f"{model.path} cannot be read: {error.strerror}") from error
        if found != model.sha256:
            raise ModelError(
                f"model {model_id} is damaged: {model.path} has SHA-256 {found}, expected "
                f"{model.sha256}; {_mend(model_id, model.source)}"
            )
        return model

    def remove(self, model_id: str) -> None:
        """Delete the model. Raises ModelError when there is none, or while it is being pulled.

        A file that it was linked from keeps its bytes: only the store's name for them goes.
        """
        folder = self.models_dir / validate_id(model_id)
        with self.errors():
            if not folder.is_dir():
                raise ModelError(f"model {model_id} is not installed")
            lock = self.lock(model_id)
            if not lock.acquire():
                raise ModelError(f"model {model_id} is being pulled by another process")
            try:
                self._manifest(model_id).unlink(missing_ok=True)
                shutil.rmtree(folder)
            finally:
                lock.release()

    def lock(self, model_id: str) -> FileLock:
        """The lock that a process holds while it changes this model."""
        return FileLock(self.models_dir / f".{validate_id(model_id)}.lock")

    def work_folder(self, model_id: str) -> Path:
        """Where a pull puts its unfinished files: on the store's disk, so that they can move."""
        return self.models_dir / f".{validate_id(model_id)}.part"

    def install(
        self, model_id: str, gguf: Path, file: FileName, sha256: str, source: Source
    ) -> InstalledModel:
        """Move a finished gguf into place, then write the manifest. The caller holds the lock.

        An older file is replaced by name and never written to: it may be a link to the user's own.
        """
        folder = self.models_dir / validate_id(model_id)
        manifest = Manifest(
            file=file,
            size_bytes=gguf.stat().st_size,
            sha256=sha256,
            source=source,
            installed_at=datetime.now(UTC),
        )
        draft = gguf.with_name(_MANIFEST)
        _write_synced(draft, msgspec.json.format(msgspec.json.encode(manifest)))
        folder.mkdir(exist_ok=True)
        self._manifest(model_id).unlink(missing_ok=True)
        gguf.replace(folder / file)
        _sync_folder(folder)
        draft.replace(self._manifest(model_id))
        _sync_folder(folder)
        for older in folder.glob("*.gguf"):
            if older.name != file:
                older.unlink()
        return self._usable(model_id)

    @contextmanager
    def errors(self, needed_bytes: int | None = None) -> Generator[None]:
        """Turn what the file system refuses into a ModelError that says what to do."""
        try:
            yield
        except ConnectionError:
            raise  # a closed pipe to whoever listens to the progress; not the store's
        except OSError as error:
            if error.errno in _FULL:
                raise self.disk_full(needed_bytes) from error
            named = f" ({error.filename})" if error.filename else ""
            raise ModelError(
                f"cannot write to the models folder {self.models_dir}: "
                f"{error.strerror or error}{named}. "
                "Make it writable, or name another folder with `models_dir` in rung.toml or "
                "RUNG_MODELS_DIR"
            ) from error

    def disk_full(self, needed_bytes: int | None = None) -> NoSpaceError:
        """The error for a disk that is, or would become, full."""
        needed = f"{needed_bytes:,} bytes are needed, " if needed_bytes else ""
        return NoSpaceError(
            f"no space left for the models folder {self.models_dir}: {needed}"
            f"{self.free_bytes():,} are free; nothing was installed. Free some, or name another "
            "folder with `models_dir` in rung.toml or RUNG_MODELS_DIR"
        )

    def free_bytes(self) -> int:
        """Free space on the disk where the models are, or will be."""
        folders = (self.models_dir, *self.models_dir.parents)
        return shutil.disk_usage(next(folder for folder in folders if folder.exists())).free

    def _manifest(self, model_id: str) -> Path:
        return self.models_dir / model_id / _MANIFEST

    def _read(self, model_id: str) -> InstalledModel | None:
        path = self._manifest(model_id)
        try:
            manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, msgspec.DecodeError) as error:
            problem = f"model {model_id}: {path} cannot be read: {error}; {_mend(model_id, None)}"
            return InstalledModel(id=model_id, path=path.parent, problem=problem)
        gguf = path.parent / manifest.file
        return InstalledModel(
            id=model_id,
            path=gguf,
            size_bytes=manifest.size_bytes,
            sha256=manifest.sha256,
            source=manifest.source,
            installed_at=manifest.installed_at,
            problem=_problem(model_id, manifest, gguf),
        )


def _problem(model_id: str, manifest: Manifest, gguf: Path) -> str:
    mend = _mend(model_id, manifest.source)
    try:
        found = gguf.stat().st_size
    except OSError as error:
        return f"model {model_id} is installed, but {gguf} is gone ({error.strerror}); {mend}"
    if found != manifest.size_bytes:
        return (
            f"model {model_id} is damaged: {gguf} has {found:,} bytes instead of "
            f"{manifest.size_bytes:,}; {mend}"
        )
    return ""


def _mend(model_id: str, source: Source | None) -> str:
    mend = f"repair it with `rung models pull {model_id}`"
    if isinstance(source, FileSource):
        return f"{mend} while {source.path} is there, or remove it with `rung models rm {model_id}`"
    return mend


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
