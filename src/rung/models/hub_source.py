"""Weights from the Hugging Face hub, or from a mirror that speaks its API.

`hub_listing` says which file, of which commit, with which size and SHA-256; `transfer` brings the
bytes; here they are verified.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

from rung.config.settings import HubSettings
from rung.engines.locality import locality_of
from rung.errors import ModelError
from rung.models.catalogue import CatalogueModel, HubSource
from rung.models.hashing import hash_file
from rung.models.progress import Meter, Reporter, in_thread
from rung.models.transfer import Patience, Remote, discard, etag_file, size_of, transfer

_PARTIAL = "weights.partial"


async def fetch_hub(
    model: CatalogueModel,
    source: HubSource,
    work: Path,
    reporter: Reporter,
    hub: HubSettings,
    patience: Patience,
) -> tuple[Path, str]:
    """Bring the file into `work`, going on from what is there; return it with its SHA-256.

    Bytes that were left by an earlier run and turn out wrong (a power cut can do that) are thrown
    away once and fetched anew. Raises ModelError, OSError.
    """
    target = work / _PARTIAL
    remote = Remote(
        url=_file_url(source, hub),
        headers=_headers(hub),
        size_bytes=model.size_bytes,
        title=f"hf:{source.repo}/{source.path}",
    )
    while True:
        had_bytes = size_of(target)
        if had_bytes > model.size_bytes:
            discard(target)
        await reporter.during(
            "downloading",
            model.size_bytes,
            transfer(remote, target, patience, reporter.report_problem),
            lambda: size_of(target),
        )
        sha256 = await _hashed(target, model.size_bytes, reporter)
        if sha256 == model.sha256:
            etag_file(target).unlink(missing_ok=True)
            return target, sha256
        discard(target)
        if not had_bytes:
            raise ModelError(
                f"{remote.title} has SHA-256 {sha256}, expected {model.sha256}; nothing was "
                "installed. Try another mirror or network: what came is not what the hub lists"
            )


def take_back(moved: Path, work: Path, size_bytes: int) -> None:
    """Go on from a whole file that was moved into place, by a process that then was killed."""
    if size_of(moved) == size_bytes and not (work / _PARTIAL).exists():
        moved.replace(work / _PARTIAL)


def kept_bytes(work: Path) -> int:
    """What an earlier run left in `work` to go on from."""
    return size_of(work / _PARTIAL)


async def _hashed(target: Path, size_bytes: int, reporter: Reporter) -> str:
    def work(shared: Meter) -> str:
        with target.open("rb+") as file:
            os.fsync(file.fileno())
        return hash_file(target, shared)

    meter = Meter()
    return await reporter.during(
        "verifying", size_bytes, in_thread(work, meter), lambda: meter.done_bytes
    )


def _file_url(source: HubSource, hub: HubSettings) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(
        source.repo, source.path, revision=source.revision, endpoint=hub.url.rstrip("/")
    )


def _headers(hub: HubSettings) -> dict[str, str]:
    agent = {"User-Agent": f"rung/{version('rung')}"}
    is_protected = hub.url.startswith("https://") or locality_of(hub.url) == "local"
    if hub.token and is_protected:
        return {**agent, "Authorization": f"Bearer {hub.token!s}"}
    return agent
