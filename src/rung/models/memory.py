"""The memory of this machine: what models may still take, in RAM and on GPUs.

Only what the system itself tells, and no library. Blocks: for milliseconds, with an NVIDIA driver
for up to a second.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

_ROOT = Path("/")
_TOOL_TIMEOUT_S = 3.0
_MIB = 1 << 20
_NVIDIA = ("--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")
# (version, limit, used, and the pages among the used that are given back on demand)
_V2 = ("memory.max", "memory.current", "inactive_file ")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
_MAC_FREE = ("free", "inactive", "speculative", "purgeable")
_MAC_PAGES = re.compile(r"^Pages (\w+):\s+(\d+)\.?$", re.MULTILINE)
_MAC_PAGE_SIZE = re.compile(r"page size of (\d+) bytes")


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU with memory of its own."""

    name: str
    total_bytes: int
    free_bytes: int


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What there is. With `is_unified` the GPU uses the RAM (Apple), and `gpus` is empty."""

    total_bytes: int
    available_bytes: int
    gpus: tuple[Gpu, ...] = ()
    is_unified: bool = False

    @property
    def vram_free_bytes(self) -> int:
        return sum(gpu.free_bytes for gpu in self.gpus)


def machine_memory(root: Path = _ROOT) -> Memory:
    """This machine's, now. A GPU whose driver does not tell is left out."""
    return Memory(
        total_bytes=_total_bytes(root),
        available_bytes=available_memory_bytes(root),
        gpus=(*_nvidia(), *_amd(root)),
        is_unified=sys.platform == "darwin",
    )


def available_memory_bytes(root: Path = _ROOT) -> int:
    """RAM that this process may still take: the machine's, or less where its cgroup says so.

    Where the system does not say what is free, all of its memory.
    """
    free = _meminfo(root, "MemAvailable")
    if free is None and sys.platform == "darwin":
        free = mac_available_bytes(_output("vm_stat"))
    return min([_physical_bytes() if free is None else free, *_cgroup_headrooms(root)])


def mac_available_bytes(vm_stat: str) -> int | None:
    """Pages that macOS can hand out at once, from what `vm_stat` prints."""
    size = _MAC_PAGE_SIZE.search(vm_stat)
    pages = {name: int(count) for name, count in _MAC_PAGES.findall(vm_stat)}
    if size is None or "free" not in pages:
        return None
    return int(size[1]) * sum(pages.get(name, 0) for name in _MAC_FREE)


def nvidia_gpus(listed: str) -> tuple[Gpu, ...]:
    """GPUs from `nvidia-smi`'s CSV; one that shares the machine's RAM prints no numbers."""
    gpus: list[Gpu] = []
    for line in listed.splitlines():
        name, _, numbers = line.partition(",")
        total, _, free = numbers.partition(",")
        if total.strip().isdigit() and free.strip().isdigit():
            gpus.append(
                Gpu(name=name.strip(), total_bytes=int(total) * _MIB, free_bytes=int(free) * _MIB)
            )
    return tuple(gpus)


def _nvidia() -> tuple[Gpu, ...]:
    return nvidia_gpus(_output("nvidia-smi", *_NVIDIA))


def _amd(root: Path) -> tuple[Gpu, ...]:
    """GPUs of the amdgpu driver, which tells the kernel's file system."""
    gpus: list[Gpu] = []
    for total_file in sorted(root.glob("sys/class/drm/card*/device/mem_info_vram_total")):
        total = _number(total_file)
        used = _number(total_file.with_name("mem_info_vram_used"))
        if total and used is not None:
            name = f"AMD {total_file.parent.parent.name}"
            gpus.append(Gpu(name=name, total_bytes=total, free_bytes=max(0, total - used)))
    return tuple(gpus)


def _output(program: str, *arguments: str) -> str:
    """What a program of the system prints; nothing where it is absent, fails or hangs."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, *arguments], capture_output=True, text=True, timeout=_TOOL_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _total_bytes(root: Path) -> int:
    total = _meminfo(root, "MemTotal")
    limits = [limit for limit in (_number(f / n) for f, n in _limit_files(root)) if limit]
    return min([_physical_bytes() if total is None else total, *limits])


def _meminfo(root: Path, field: str) -> int | None:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return int(fields[field].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _physical_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cgroup_headrooms(root: Path) -> list[int]:
    """What each cgroup above this process still allows."""
    rooms = [
        _headroom(folder, *(_V2 if limit == _V2[0] else _V1))
        for folder, limit in _limit_files(root)
    ]
    return [room for room in rooms if room is not None]


def _limit_files(root: Path) -> list[tuple[Path, str]]:
    """The folders of the cgroups that this process is in, and the name of their limit's file."""
    try:
        entries = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found: list[tuple[Path, str]] = []
    for entry in entries:
        number, _, rest = entry.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            top, limit = root / "sys/fs/cgroup", _V2[0]
        elif "memory" in controllers.split(","):
            top, limit = root / "sys/fs/cgroup/memory", _V1[0]
        else:
            continue
        group = top / path.strip("/")
        found += [(f, limit) for f in (group, *group.parents) if f.is_relative_to(top)]
    return found


def _headroom(folder: Path, limit_file: str, used_file: str, reclaimable: str) -> int | None:
    limit, used = _number(folder / limit_file), _number(folder / used_file)
    if limit is None or used is None:
        return None
    try:
        stat = (folder / "memory.stat").read_text().splitlines()
        inactive = next((int(line.split()[1]) for line in stat if line.startswith(reclaimable)), 0)
    except (OSError, ValueError):
        inactive = 0
    return max(0, limit - used + inactive)


def _number(file: Path) -> int | None:
    """The number in a file of the kernel; `None` where it says `max`, or is not there."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
