"""What a gguf says of itself, read with every count and length distrusted.

llama.cpp answers any damaged file with "failed to load" and no reason, so the reason is found
here, before it is asked. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import re
import stat
import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from rung.errors import ModelError
from rung.models.gguf_shape import GgufMetadata, Metadata, Scalar, Tensor, described, integers
from rung.models.gguf_types import ARRAY, SCALARS, STRING

# Several times what the largest vocabularies take. A file may be sparse: its size bounds nothing.
_MAX_HEADER_BYTES = 1 << 26
_MAX_KEYS = 1_024
_MAX_TENSORS = 1_000_000
_MAX_DIMENSIONS = 4
_MAX_LAYERS = 4_096
_MAX_KEPT_ARRAY = _MAX_LAYERS  # per-layer numbers are kept; vocabularies are skipped
_MAX_NAME = 65_535
_MAX_TEXT = 1 << 24
_MAX_ARCHITECTURE = 64
_MAX_VALUES_PER_BYTE = 16  # twice what one bit per value gives
_PART = re.compile(r"-00001-of-(\d{5})\.gguf$")


class _DamagedError(Exception):
    """What is wrong with the file, in words that follow its name."""


def check_gguf(path: Path) -> GgufMetadata:
    """Read the header and check that every tensor lies inside the file.

    Raises ModelError naming what is wrong: missing, not a gguf, truncated, impossible claims.
    It does not see changed bytes in the weights; only the SHA-256 does.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for its writer
            raise ModelError(f"{path} cannot be read: it is no file")
        with path.open("rb") as file:
            return _check(_Reader(file, found.st_size))
    except _DamagedError as damage:
        raise ModelError(f"{path} {damage}; fetch it again") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None


def read_gguf(path: Path) -> GgufMetadata:
    """The shape of a whole model: of all its files, where it is split (`X-00001-of-00003.gguf`).

    Raises ModelError as `check_gguf`, for any of them.
    """
    first = check_gguf(path)
    split = _PART.search(path.name)
    if first.parts == 1 or split is None:
        return first
    stem = path.name[: split.start()]
    others = [
        check_gguf(path.with_name(f"{stem}-{part:05}-of-{split[1]}.gguf"))
        for part in range(2, first.parts + 1)
    ]
    return msgspec.structs.replace(
        first,
        parameters=first.parameters + sum(part.parameters for part in others),
        size_bytes=first.size_bytes + sum(part.size_bytes for part in others),
        projector_bytes=first.projector_bytes + sum(part.projector_bytes for part in others),
        matrix_bytes=sum((Counter(part.matrix_bytes) for part in (first, *others)), Counter[str]()),
    )


class _Reader:
    """Little-endian values from a file, never past its end."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self.size_bytes = size_bytes

    @property
    def position(self) -> int:
        return self._file.tell()

    def take(self, count: int) -> bytes:
        self._expect(count)
        return self._file.read(count)

    def skip(self, count: int) -> None:
        self._expect(count)
        self._file.seek(count, 1)

    def _expect(self, count: int) -> None:
        end = self.position + count
        if end > self.size_bytes:
            raise _DamagedError(f"is truncated: its header goes on after byte {self.size_bytes}")
        if end > _MAX_HEADER_BYTES:
            raise _DamagedError(f"is damaged: its header goes on after byte {_MAX_HEADER_BYTES}")

    def number(self, kind: Literal["I", "Q"]) -> int:
        return self._unpack("<" + kind)[0]

    def scalar(self, kind: int) -> int | float | bool:
        if kind not in SCALARS:
            raise _DamagedError(f"is damaged: value type {kind} does not exist")
        return self._unpack("<" + SCALARS[kind])[0]

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        piece = self.take(struct.calcsize(layout))
        if len(piece) < struct.calcsize(layout):
            raise _DamagedError("has just become shorter")
        return struct.unpack(layout, piece)

    def count(self, what: str, limit: int) -> int:
        count = self.number("Q")
        if count > limit:
            raise _DamagedError(f"is damaged: it claims {count} {what}")
        return count

    def text(self, what: str, limit: int) -> str:
        return self.take(self.count(f"bytes of {what}", limit)).decode("utf-8", "replace")

    def value(self) -> Scalar | tuple[int | float | bool, ...]:
        kind = self.number("I")
        if kind == STRING:
            return self.text("text", _MAX_TEXT)
        if kind == ARRAY:
            return self._array()
        return self.scalar(kind)

    def _array(self) -> tuple[int | float | bool, ...]:
        """An array of numbers, or nothing where it is of texts or long."""
        kind = self.number("I")
        length = self.count("array items", self.size_bytes)
        if kind == STRING:
            for _ in range(length):
                self.skip(self.number("Q"))
            return ()
        if kind not in SCALARS:
            raise _DamagedError(f"is damaged: an array of value type {kind}")
        if length > _MAX_KEPT_ARRAY:
            self.skip(length * struct.calcsize("<" + SCALARS[kind]))
            return ()
        return self._unpack(f"<{length}{SCALARS[kind]}")


def _check(reader: _Reader) -> GgufMetadata:
    if reader.size_bytes == 0:
        raise _DamagedError("is empty")
    if reader.take(4) != b"GGUF":
        raise _DamagedError("is not a gguf file")
    version = reader.number("I")
    if version not in (2, 3):
        raise _DamagedError(
            f"is a gguf of version {version}; versions 2 and 3 (little-endian) can be read"
        )
    tensor_count = reader.count("tensors", _MAX_TENSORS)
    key_count = reader.count("metadata keys", _MAX_KEYS)
    metadata = {reader.text("a key", _MAX_NAME): reader.value() for _ in range(key_count)}
    tensors = [_tensor(reader) for _ in range(tensor_count)]
    _check_extent(reader, metadata, tensors)
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not 0 < len(architecture) <= _MAX_ARCHITECTURE:
        raise _DamagedError("is not a model: it names no architecture")
    layers = max(integers(metadata.get(f"{architecture}.block_count")), default=0)
    if layers > _MAX_LAYERS:
        raise _DamagedError(f"is damaged: it claims {layers} layers")
    return described(architecture, metadata, tensors, reader.size_bytes)


def _tensor(reader: _Reader) -> Tensor:
    name = reader.text("a tensor's name", _MAX_NAME)
    count = reader.number("I")
    if count > _MAX_DIMENSIONS:
        raise _DamagedError(f"is damaged: tensor {name!r} claims {count} dimensions")
    dimensions = tuple(reader.number("Q") for _ in range(count))
    return Tensor(name, dimensions, reader.number("I"), reader.number("Q"))


def _check_extent(reader: _Reader, metadata: Metadata, tensors: Sequence[Tensor]) -> None:
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise _DamagedError(f"is damaged: it claims an alignment of {alignment}")
    start = -(-reader.position // alignment) * alignment
    for tensor in tensors:
        if tensor.values > reader.size_bytes * _MAX_VALUES_PER_BYTE:
            raise _DamagedError(
                f"is damaged: tensor {tensor.name!r} claims {tensor.values} values, "
                f"in a file of {reader.size_bytes} bytes"
            )
        end = start + tensor.offset + tensor.size_bytes
        if end > reader.size_bytes:
            raise _DamagedError(
                f"is truncated: tensor {tensor.name!r} ends at byte {end}, "
                f"the file at byte {reader.size_bytes}"
            )
