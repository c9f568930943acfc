"""This machine's memory, as the system tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.models.memory import (
    Gpu,
    available_memory_bytes,
    mac_available_bytes,
    machine_memory,
    nvidia_gpus,
)

MIB = 1 << 20
GIB = 1 << 30


def fake_proc(root: Path, *, available_mib: int, cgroup: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(
        f"MemTotal: {1000 * 1024} kB\nMemAvailable: {available_mib * 1024} kB\n"
    )
    (root / "proc/self/cgroup").write_text(cgroup)
    return root


def fake_group(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")


def limits(limit: str, used: int, inactive: int) -> dict[str, str]:
    """The files of a cgroup of version 2, in MiB."""
    return {
        "memory.max": limit if limit == "max" else str(int(limit) * MIB),
        "memory.current": str(used * MIB),
        "memory.stat": f"anon 5\ninactive_file {inactive * MIB}",
    }


def test_memory_is_what_the_machine_has_free(tmp_path: Path) -> None:
    root = fake_proc(tmp_path, available_mib=500, cgroup="0::/\n")
    assert available_memory_bytes(root) == 500 * MIB
    assert machine_memory(root).total_bytes == 1000 * MIB


def test_a_container_is_bound_by_the_tightest_of_its_cgroups(tmp_path: Path) -> None:
    root = fake_proc(tmp_path, available_mib=500, cgroup="1:name=systemd:/x\n0::/a/b\n")
    fake_group(root / "sys/fs/cgroup/a", limits("300", used=250, inactive=40))
    fake_group(root / "sys/fs/cgroup/a/b", limits("max", used=100, inactive=0))
    assert available_memory_bytes(root) == 90 * MIB
    assert machine_memory(root).total_bytes == 300 * MIB


def test_a_cgroup_of_version_1_binds_too(tmp_path: Path) -> None:
    root = fake_proc(tmp_path, available_mib=500, cgroup="5:cpu,memory:/docker/x\n0::/\n")
    fake_group(
        root / "sys/fs/cgroup/memory/docker/x",
        {
            "memory.limit_in_bytes": str(200 * MIB),
            "memory.usage_in_bytes": str(150 * MIB),
            "memory.stat": f"cache 5\ntotal_inactive_file {20 * MIB}",
        },
    )
    assert available_memory_bytes(root) == 70 * MIB


def test_a_full_cgroup_leaves_nothing(tmp_path: Path) -> None:
    root = fake_proc(tmp_path, available_mib=500, cgroup="0::/a\n")
    fake_group(root / "sys/fs/cgroup/a", limits("100", used=120, inactive=0))
    assert available_memory_bytes(root) == 0


def test_without_proc_it_is_the_whole_machine(tmp_path: Path) -> None:
    assert available_memory_bytes(tmp_path) >= available_memory_bytes()


def test_this_machine_has_memory() -> None:
    memory = machine_memory()
    assert 0 < memory.available_bytes <= memory.total_bytes


@pytest.mark.parametrize(
    ("listed", "gpus"),
    [
        ("", ()),
        ("NVIDIA GB10, [N/A], [N/A]\n", ()),
        ("Failed to initialize NVML: Driver/library version mismatch\n", ()),
        (
            "NVIDIA GeForce RTX 4090, 24564, 20000\n",
            (Gpu(name="NVIDIA GeForce RTX 4090", total_bytes=24564 * MIB, free_bytes=20000 * MIB),),
        ),
    ],
)
def test_nvidia_gpus_are_those_with_memory_of_their_own(listed: str, gpus: tuple[Gpu, ...]) -> None:
    assert nvidia_gpus(listed) == gpus


def test_the_amdgpu_driver_tells_its_memory(tmp_path: Path) -> None:
    root = fake_proc(tmp_path, available_mib=500, cgroup="")
    files = {"mem_info_vram_total": str(16 * GIB), "mem_info_vram_used": str(2 * GIB)}
    fake_group(root / "sys/class/drm/card1/device", files)
    fake_group(root / "sys/class/drm/card2/device", {"mem_info_vram_total": "junk"})
    memory = machine_memory(root)
    assert Gpu(name="AMD card1", total_bytes=16 * GIB, free_bytes=14 * GIB) in memory.gpus
    assert memory.vram_free_bytes >= 14 * GIB
    assert not any("card2" in gpu.name for gpu in memory.gpus)


def test_macos_hands_out_its_free_and_its_inactive_pages() -> None:
    printed = (
        "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n"
        "Pages free:                               100.\n"
        "Pages active:                            5000.\n"
        "Pages inactive:                           200.\n"
        "Pages speculative:                         30.\n"
        "Pages wired down:                         999.\n"
        "Pages purgeable:                            4.\n"
    )
    assert mac_available_bytes(printed) == 334 * 16384
    assert mac_available_bytes("") is None
