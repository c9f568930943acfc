"""Will a model fit into memory? An estimate before anything is loaded.

Weights as they are on disk, two bytes per value of the KV cache, and 60 MB for everything else:
within a few percent of what llama.cpp was measured to use on a CPU. Models with sliding-window
attention need less.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from rung.models.gguf import GgufMetadata

_KV_VALUE_BYTES = 2  # f16
_OVERHEAD_BYTES = 60_000_000


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, with its numbers. `largest_context_tokens` is per slot; zero: not even one."""

    is_enough: bool
    needed_bytes: int
    available_bytes: int
    largest_context_tokens: int


def kv_bytes_per_token(model: GgufMetadata) -> int:
    """Bytes of KV cache that one token of context takes."""
    return sum(model.kv_heads) * (model.key_length + model.value_length) * _KV_VALUE_BYTES


def needed_bytes(model: GgufMetadata, context_tokens: int, slots: int = 1) -> int:
    """Estimated memory with `slots` contexts of `context_tokens` each."""
    return model.size_bytes + _OVERHEAD_BYTES + kv_bytes_per_token(model) * context_tokens * slots


def fits(model: GgufMetadata, context_tokens: int, slots: int, available_bytes: int) -> Fit:
    """Whether the model fits, and the largest context (up to the trained one) that would."""
    needed = needed_bytes(model, context_tokens, slots)
    left = available_bytes - needed_bytes(model, 0)
    per_token = kv_bytes_per_token(model) * slots
    trained = model.context_tokens or context_tokens
    largest = min(trained, left // per_token) if per_token else trained
    return Fit(
        is_enough=needed <= available_bytes,
        needed_bytes=needed,
        available_bytes=available_bytes,
        largest_context_tokens=largest if left >= 0 else 0,
    )


def available_memory_bytes(root: Path = Path("/")) -> int:
    """Memory that this process may still take: the machine's, or less where its cgroup says so.

    Where the system does not say what is free (macOS), all of its memory.
    """
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        machine = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_cgroup_headrooms(root)])


def _cgroup_headrooms(root: Path) -> list[int]:
    """What each cgroup (v2) above this process still allows; reclaimable pages count as free."""
    try:
        entries = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line[3:] for line in entries if line.startswith("0::")), None)
    if own is None:
        return []
    top = root / "sys/fs/cgroup"
    group = top / own.strip("/")
    folders = [folder for folder in (group, *group.parents) if folder.is_relative_to(top)]
    return [room for room in map(_headroom, folders) if room is not None]


def _headroom(folder: Path) -> int | None:
    try:
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
        stat = (folder / "memory.stat").read_text().splitlines()
        inactive = next(
            (int(line.split()[1]) for line in stat if line.startswith("inactive_file ")), 0
        )
    except (OSError, ValueError):  # no limit ("max"), or no such file at this level
        return None
    return max(0, limit - used + inactive)
