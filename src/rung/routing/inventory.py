"""Every model there is: listed, described, and fitted into this machine's memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rung.chat import LoadOptions, ModelInfo
from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.errors import UsageError
from rung.models.catalogue import CatalogueModel, catalogue
from rung.models.downloads import Downloads
from rung.models.footprint import installed_shape
from rung.models.gguf import GgufMetadata, read_gguf
from rung.models.measured import Measurements
from rung.models.memory import machine_memory
from rung.models.shapes import Shapes
from rung.models.store import ModelStore
from rung.routing.facts import ModelFacts, model_facts
from rung.routing.fitting import FitReport, fit_report
from rung.routing.registry import EMBEDDED, described
from rung.routing.router import Router
from rung.routing.rows import Knowledge, ModelRow, catalogued, held_models, model_rows

_UNDER_WAY = ("queued", "running")
_LOCAL_PREFIX = "local:"


class Inventory:
    """What the router lists, joined with the store, the measurements and the memory."""

    def __init__(
        self,
        settings: Settings,
        store: ModelStore,
        router: Router,
        measured: Measurements,
        downloads: Downloads,
        shapes: Shapes,
    ) -> None:
        self._settings = settings
        self._store = store
        self._router = router
        self._measured = measured
        self._downloads = downloads
        self._shapes = shapes

    async def rows(self) -> list[ModelRow]:
        """The models of all engines, then those of the catalogue that can be pulled."""
        listings = await self._router.listings()
        return model_rows(listings, list(catalogue().values()), await self._knowledge())

    async def failures(self) -> dict[str, str]:
        """The engines that do not list their models now, by name, and why."""
        return {
            listing.engine.name: listing.error
            for listing in await self._router.listings()
            if listing.error
        }

    async def facts(self, name: str) -> ModelFacts:
        """Everything that is known of one model. Raises UsageError where there is none."""
        engine, info, entry = await self._find(name)
        full_name = f"{engine.name}/{info.id}"
        row = next((row for row in await self.rows() if row.model == full_name), None)
        if row is None:
            raise UsageError(f"{name} is not in the list of models; see `rung models list --all`")
        is_embedded = engine.kind == EMBEDDED
        return model_facts(
            row,
            info,
            self._measured.of(engine.name, info.id),
            self._settings.models.get(full_name),
            shape=installed_shape(self._store, self._shapes, info.id) if is_embedded else None,
            installed=self._store.find(info.id) if is_embedded else None,
            entry=entry,
        )

    async def fit(self, name: str, options: LoadOptions) -> FitReport:
        """Whether the model fits with `options`; what they leave open is as Rung would load it.

        `name` is a model of any engine, an id of the catalogue, or the path of a gguf. Raises
        UsageError for a model that does not exist or runs in the cloud, ModelError for a bad file.
        """
        known = await self._knowledge()
        if name.endswith(".gguf"):
            path = Path(name)
            shape = await asyncio.to_thread(read_gguf, path)
            engine, info = self._router.engine(EMBEDDED), described(path.stem, shape)
        else:
            engine, info, _ = await self._find(name)
            shape = known.shape(info.id) if engine.kind == EMBEDDED else None
        if engine.locality == "cloud":
            raise UsageError(f"{name} runs in the cloud: it takes no memory here")
        return await self._fitted(engine, info, shape, options, known)

    async def _fitted(
        self,
        engine: Engine,
        info: ModelInfo,
        shape: GgufMetadata | None,
        options: LoadOptions,
        known: Knowledge,
    ) -> FitReport:
        wanted = known.options(engine, info.id, options)
        expected = known.expectation(engine, info, wanted, shape)
        if expected is None:
            raise UsageError(
                f"nobody says how large {engine.name}/{info.id} is, so nothing can be said about "
                "its memory; load it once with `rung models load`, and it is measured"
            )
        basis = known.room_basis(engine)
        listings = await self._router.listings() if basis == "free" else ()
        held = held_models(listings, self._settings)
        freed = [known.expectation(model.engine, model.info) for model in held]
        return fit_report(
            f"{engine.name}/{info.id}",
            wanted,
            info,
            shape,
            expected,
            room_bytes=known.room_bytes(engine, held),
            room_basis=basis,
            held_bytes=sum(found.memory_bytes for found in freed if found),
            held_models=[model.name for model in held],
        )

    async def _find(self, name: str) -> tuple[Engine, ModelInfo, CatalogueModel | None]:
        """The engine that has the model, or would after a pull."""
        wanted = name.removeprefix(_LOCAL_PREFIX)
        model_id = wanted.removeprefix(f"{EMBEDDED}/")
        entry = catalogue().get(model_id)
        if entry is not None and self._store.find(model_id) is None:
            return self._router.engine(EMBEDDED), catalogued(entry), entry
        if name.startswith(_LOCAL_PREFIX):
            wanted = f"{EMBEDDED}/{model_id}"
        model = await self._router.find(wanted)
        return model.engine, model.info, entry if model.engine.kind == EMBEDDED else None

    async def _knowledge(self) -> Knowledge:
        # Asking an NVIDIA driver takes up to a second.
        memory = await asyncio.to_thread(machine_memory)
        jobs = await self._downloads.list()
        return Knowledge(
            settings=self._settings,
            measured=self._measured,
            memory=memory,
            shape=lambda model_id: installed_shape(self._store, self._shapes, model_id),
            problems={m.id: m.problem for m in self._store.list() if m.problem},
            downloading=frozenset(job.model for job in jobs if job.state in _UNDER_WAY),
        )
