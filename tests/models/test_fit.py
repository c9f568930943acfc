from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rung.models.fit import available_memory_bytes, fits, kv_bytes_per_token, needed_bytes
from rung.models.gguf import GgufMetadata

SMOLLM2 = GgufMetadata(
    architecture="llama",
    name="SmolLM2",
    quantization="Q4_1",
    parameters=134_515_008,
    size_bytes=98_362_432,
    context_tokens=8192,
    layers=30,
    kv_heads=(3,) * 30,
    key_length=64,
    value_length=64,
)
NO_KV = msgspec.structs.replace(SMOLLM2, kv_heads=())
MIB = 1 << 20


def test_a_token_of_context_takes_what_was_measured() -> None:
    assert kv_bytes_per_token(SMOLLM2) == 23_040


def test_the_estimate_is_near_what_was_measured() -> None:
    """llama.cpp was measured at 245 MB of resident memory with 4,096 tokens of context."""
    assert abs(needed_bytes(SMOLLM2, 4096) / 245e6 - 1) < 0.15


@given(context=st.integers(1, 8192), slots=st.integers(1, 8), available=st.integers(0, 4 << 30))
def test_the_largest_context_fits_and_one_more_does_not(
    context: int, slots: int, available: int
) -> None:
    fit = fits(SMOLLM2, context, slots, available)
    largest = fit.largest_context_tokens
    assert 0 <= largest <= 8192
    assert fit.is_enough == (context <= largest)
    if largest:
        assert needed_bytes(SMOLLM2, largest, slots) <= available
    if largest < 8192:
        assert needed_bytes(SMOLLM2, largest + 1, slots) > available


def test_a_model_without_a_kv_cache_takes_any_trained_context() -> None:
    assert fits(NO_KV, 4096, 4, 1 << 30).largest_context_tokens == 8192


def fake_system(root: Path, *, available_mib: int, groups: dict[str, tuple[str, int, int]]) -> Path:
    """/proc and /sys with `groups`: path -> (memory.max, memory.current, inactive_file)."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(
        f"MemTotal: 99999999 kB\nMemAvailable: {available_mib * 1024} kB\n"
    )
    (root / "proc/self/cgroup").write_text("1:name=systemd:/x\n0::/a/b\n")
    for path, (limit, used, inactive) in groups.items():
        folder = root / "sys/fs/cgroup" / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")
    return root


def test_memory_is_what_the_machine_has_free(tmp_path: Path) -> None:
    assert available_memory_bytes(fake_system(tmp_path, available_mib=500, groups={})) == 500 * MIB


def test_a_container_is_bound_by_the_tightest_of_its_cgroups(tmp_path: Path) -> None:
    groups = {
        "a": (str(300 * MIB), 250 * MIB, 40 * MIB),
        "a/b": ("max", 100 * MIB, 0),
    }
    root = fake_system(tmp_path, available_mib=500, groups=groups)
    assert available_memory_bytes(root) == 90 * MIB


def test_without_proc_it_is_the_whole_machine(tmp_path: Path) -> None:
    assert available_memory_bytes(tmp_path) >= available_memory_bytes()
