"""The shapes of the ggufs of this machine, read once and remembered.

A header with a large vocabulary takes a fifth of a second to read; a list of models must not wait
for one per model. The memory is a file in the data folder, and every value in it can be read again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from rung.errors import ModelError
from rung.models.gguf import GgufMetadata, read_gguf

FILE_NAME = "shapes.json"
_FORMAT = 1  # raised when a shape comes to say more, so that old ones are read again


class _Known(msgspec.Struct, frozen=True):
    mtime_ns: int
    size_bytes: int
    shape: GgufMetadata


class _File(msgspec.Struct, frozen=True):
    format: int
    known: dict[str, _Known]


class Shapes:
    """Call it with the path of a gguf. Not for two threads at a time."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE_NAME
        self._known: dict[str, _Known] | None = None

    def __call__(self, path: Path) -> GgufMetadata:
        """The shape. Raises ModelError for a file that is damaged, no gguf, or gone."""
        if self._known is None:
            self._known = _read(self._path)
        key = str(path.absolute())
        try:
            stat = path.stat()
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from None
        known = self._known.get(key)
        if known and (known.mtime_ns, known.size_bytes) == (stat.st_mtime_ns, stat.st_size):
            return known.shape
        shape = read_gguf(path)
        self._known[key] = _Known(stat.st_mtime_ns, stat.st_size, shape)
        self._save(self._known)
        return shape

    def find(self, path: Path) -> GgufMetadata | None:
        """As a call, with nothing for a file that cannot be read."""
        try:
            return self(path)
        except ModelError:
            return None

    def _save(self, known: dict[str, _Known]) -> None:
        """Write what is known, without the files that are gone.

        Two processes that write at once cost one the memory of a shape, no more; a folder that
        cannot be written costs all of it.
        """
        kept = {path: item for path, item in known.items() if Path(path).exists()}
        draft = self._path.with_suffix(f".{os.getpid()}.tmp")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(msgspec.json.encode(_File(_FORMAT, kept)))
            draft.replace(self._path)


def _read(path: Path) -> dict[str, _Known]:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.DecodeError):
        return {}
    return found.known if found.format == _FORMAT else {}
