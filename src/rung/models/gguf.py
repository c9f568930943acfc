"""What a gguf says of itself, read with every count and length distrusted.

llama.cpp answers any damaged file with "failed to load" and no reason, so the reason is found
here, before it is asked. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from rung.errors import ModelError
from rung.models.gguf_types import ARRAY, BLOCKS, FILE_TYPES, SCALARS, STRING

_MAX_KEYS = 65_536
_MAX_TENSORS = 1_000_000
_MAX_DIMENSIONS = 4
_MAX_KEPT_ARRAY = 4_096  # per-layer numbers are kept; vocabularies are skipped
_MAX_NAME = 65_535
_MAX_TEXT = 1 << 24

Scalar = int | float | bool | str
Metadata = Mapping[str, Scalar | tuple[int | float | bool, ...]]


class GgufMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """A model's shape. `kv_heads` has one number per layer; zero where a layer keeps no KV cache.

    `context_tokens` is what the model was trained on; `None` where the file does not say.
    `parts` is the number of files that the model is split into.
    """

    architecture: str
    name: str
    quantization: str
    parameters: int
    size_bytes: int
    context_tokens: int | None
    layers: int
    kv_heads: tuple[int, ...]
    key_length: int
    value_length: int
    parts: int = 1


class _DamagedError(Exception):
    """What is wrong with the file, in words that follow its name."""


class _Tensor(msgspec.Struct, frozen=True):
    name: str
    values: int
    kind: int
    offset: int

    @property
    def size_bytes(self) -> int:
        """Bytes in the file; of an unknown type at least none."""
        per_block, block_bytes = BLOCKS.get(self.kind, (1, 0))
        return -(-self.values // per_block) * block_bytes


def check_gguf(path: Path) -> GgufMetadata:
    """Read the header and check that every tensor lies inside the file.

    Raises ModelError naming what is wrong: missing, not a gguf, truncated, impossible claims.
    It does not see changed bytes in the weights; only the SHA-256 does.
    """
    try:
        with path.open("rb") as file:
            return _check(_Reader(file, path.stat().st_size))
    except _DamagedError as damage:
        raise ModelError(f"{path} {damage}; fetch it again") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None


class _Reader:
    """Little-endian values from a file, never past its end."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self.size_bytes = size_bytes

    @property
    def position(self) -> int:
        return self._file.tell()

    def take(self, count: int) -> bytes:
        piece = self._file.read(count)
        if len(piece) < count:
            raise _DamagedError(f"is truncated: its header goes on after byte {self.size_bytes}")
        return piece

    def skip(self, count: int) -> None:
        if count > self.size_bytes - self.position:
            raise _DamagedError(f"is truncated: its header goes on after byte {self.size_bytes}")
        self._file.seek(count, 1)

    def number(self, kind: Literal["I", "Q"]) -> int:
        return struct.unpack("<" + kind, self.take(struct.calcsize("<" + kind)))[0]

    def scalar(self, kind: int) -> int | float | bool:
        if kind not in SCALARS:
            raise _DamagedError(f"is damaged: value type {kind} does not exist")
        layout = "<" + SCALARS[kind]
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

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
        return tuple(self.scalar(kind) for _ in range(length))


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
    return _described(metadata, tensors, reader.size_bytes)


def _tensor(reader: _Reader) -> _Tensor:
    name = reader.text("a tensor's name", _MAX_NAME)
    dimensions = reader.number("I")
    if dimensions > _MAX_DIMENSIONS:
        raise _DamagedError(f"is damaged: tensor {name!r} claims {dimensions} dimensions")
    values = math.prod(reader.number("Q") for _ in range(dimensions))
    return _Tensor(name, values, reader.number("I"), reader.number("Q"))


def _check_extent(reader: _Reader, metadata: Metadata, tensors: Sequence[_Tensor]) -> None:
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise _DamagedError(f"is damaged: it claims an alignment of {alignment}")
    start = -(-reader.position // alignment) * alignment
    for tensor in tensors:
        end = start + tensor.offset + tensor.size_bytes
        if end > reader.size_bytes:
            raise _DamagedError(
                f"is truncated: tensor {tensor.name!r} ends at byte {end}, "
                f"the file at byte {reader.size_bytes}"
            )


def _described(metadata: Metadata, tensors: Sequence[_Tensor], size_bytes: int) -> GgufMetadata:
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise _DamagedError("is not a model: it names no architecture")

    def number(key: str) -> int:
        return max(_integers(metadata.get(f"{architecture}.{key}")), default=0)

    layers, heads = number("block_count"), number("attention.head_count")
    if layers > _MAX_KEPT_ARRAY:
        raise _DamagedError(f"is damaged: it claims {layers} layers")
    kv_heads = _integers(metadata.get(f"{architecture}.attention.head_count_kv")) or (heads,)
    head_length = number("embedding_length") // heads if heads else 0
    name = metadata.get("general.name")
    file_type = metadata.get("general.file_type")
    parts = _integers(metadata.get("split.count"))
    return GgufMetadata(
        architecture=architecture,
        name=name if isinstance(name, str) else "",
        quantization=FILE_TYPES.get(file_type, "") if isinstance(file_type, int) else "",
        parameters=sum(tensor.values for tensor in tensors),
        size_bytes=size_bytes,
        context_tokens=number("context_length") or None,
        layers=layers,
        kv_heads=kv_heads[:layers] if len(kv_heads) > 1 else kv_heads * layers,
        key_length=number("attention.key_length") or head_length,
        value_length=number("attention.value_length") or head_length,
        parts=max(parts, default=1),
    )


def _integers(found: Scalar | tuple[int | float | bool, ...] | None) -> tuple[int, ...]:
    """The whole numbers of a value that may be one for all layers, or a list of one per layer."""
    items = found if isinstance(found, tuple) else (found,)
    return tuple(max(0, item) for item in items if isinstance(item, int))
