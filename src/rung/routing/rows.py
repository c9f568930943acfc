"""The list of models as every door shows it: what engines list, joined with what Rung knows.

Pure: whoever asks brings the listings, and nothing here contacts anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from rung.chat import Capability, LoadOptions, Locality, ModelInfo
from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.models.catalogue import CatalogueModel
from rung.models.fit import FitLevel, fit_level
from rung.models.footprint import Basis, Expectation, expectation, room_bytes
from rung.models.gguf import GgufMetadata
from rung.models.lifecycle.options import resolve
from rung.models.measured import Measurements
from rung.models.memory import Memory
from rung.routing.fitting import RoomBasis
from rung.routing.look import Listing
from rung.routing.models import RoutedModel
from rung.routing.registry import EMBEDDED
from rung.routing.tiers import parameters_in_name

ModelState = Literal[
    "loaded", "installed", "available", "pullable", "downloading", "damaged", "missing"
]

_MIB = 1 << 20
_GIB = 1 << 30
_OPEN = LoadOptions()


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of models. `None` is unknown, never zero.

    `state`: in memory; on this machine or its engine's; offered by an engine that keeps its models
    to itself; to be had with `rung models pull`; being pulled; installed, but of no use; declared
    in rung.toml, but nowhere to be found (`problem` says why). `memory_bytes` is what it takes or
    would take, known by `memory_basis` (see `Expectation`), and `fit` whether this machine has
    that, with all other models unloaded. `is_declared`: the user's settings name it.
    """

    model: str
    tier: str | None
    state: ModelState
    locality: Locality
    size_bytes: int | None = None
    memory_bytes: int | None = None
    memory_basis: Basis | None = None
    fit: FitLevel = "unknown"
    parameters: float | None = None
    quantization: str | None = None
    context_tokens: int | None = None
    max_context_tokens: int | None = None
    capabilities: tuple[Capability, ...] | None = None
    is_chat: bool = True
    tokens_per_s: float | None = None
    first_token_ms: float | None = None
    pinned: bool = False
    is_declared: bool = False
    usd_per_mtok_in: float | None = None
    usd_per_mtok_out: float | None = None
    problem: str = ""

    @property
    def is_used(self) -> bool:
        """Whether it belongs into a short list, beside hundreds that a broker offers."""
        return self.locality != "cloud" or self.is_declared or self.tokens_per_s is not None


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What Rung knows beside the listings. `shape` finds the gguf of an installed model.

    `problems` and `downloading` go by the ids of the store; `memory` is `None` where it was not
    looked at.
    """

    settings: Settings
    measured: Measurements
    memory: Memory | None
    shape: Callable[[str], GgufMetadata | None]
    problems: Mapping[str, str]
    downloading: frozenset[str]

    def options(self, engine: Engine, model_id: str, wanted: LoadOptions = _OPEN) -> LoadOptions:
        """How Rung would load the model now, completing `wanted`."""
        return resolve(self.settings, engine, model_id, wanted)

    def expectation(
        self,
        engine: Engine,
        info: ModelInfo,
        options: LoadOptions | None = None,
        shape: GgufMetadata | None = None,
    ) -> Expectation | None:
        """The memory of a model, loaded with `options` or as Rung would."""
        is_embedded = engine.kind == EMBEDDED
        return expectation(
            self.measured.of(engine.name, info.id),
            info,
            shape or (self.shape(info.id) if is_embedded else None),
            options or self.options(engine, info.id),
            cache_bytes=self.settings.embedded.cache_mib * _MIB if is_embedded else 0,
        )

    def room_basis(self, engine: Engine) -> RoomBasis:
        """Whose word it is how much memory the engine's models may take."""
        configured = self.settings.engines.get(engine.name)
        if configured is not None and configured.memory_gib:
            return "declared"
        if engine.locality != "local" or self.memory is None:
            return "unknown"
        return "budget" if self.settings.memory.budget_gib else "free"

    def room_bytes(self, engine: Engine, held: Sequence[RoutedModel] = ()) -> int | None:
        """What this engine's models may take once `held` are unloaded; `None`: nobody knows."""
        basis = self.room_basis(engine)
        if basis == "declared":
            return round(self.settings.engines[engine.name].memory_gib * _GIB)
        if basis == "unknown" or self.memory is None:
            return None
        uses_gpu = engine.kind != EMBEDDED
        room = room_bytes(self.memory, self.settings.memory, uses_gpu=uses_gpu)
        freed = [self.expectation(m.engine, m.info) for m in held] if basis == "free" else []
        return room + sum(found.memory_bytes for found in freed if found)


def model_rows(
    listings: Sequence[Listing], pullable: Sequence[CatalogueModel], known: Knowledge
) -> list[ModelRow]:
    """All models, engine by engine, weak tiers first.

    Behind an engine's own stand those that it could pull, and those that are declared and missing.
    """
    held = held_models(listings, known.settings)
    rooms = {item.engine.name: known.room_bytes(item.engine, held) for item in listings}
    rows: list[ModelRow] = []
    for listing in listings:
        models = sorted(listing.models, key=lambda m: (m.level, _size(m.info), m.name))
        rows += [_row(model, known, rooms[listing.engine.name]) for model in models]
    engines = {item.engine.name: item.engine for item in listings}
    for entry in pullable:
        if not any(row.model == f"{EMBEDDED}/{entry.id}" for row in rows):
            rows.append(_pullable_row(engines.get(EMBEDDED), entry, known, rooms.get(EMBEDDED)))
    listed = {row.model for row in rows}
    missing = [name for name in known.settings.models if name not in listed]
    rows += [_missing_row(name, engines, known) for name in missing]
    place = {name: at for at, name in enumerate(engines)}
    return sorted(rows, key=lambda row: place.get(row.model.partition("/")[0], len(place)))


def held_models(listings: Sequence[Listing], settings: Settings) -> list[RoutedModel]:
    """The models that are in this machine's memory now, and may be unloaded for another."""
    pinned = {name for name, declared in settings.models.items() if declared.pinned}
    return [
        model
        for listing in listings
        if listing.engine.locality == "local"
        for model in listing.models
        if model.info.is_loaded and model.name not in pinned
    ]


def _row(model: RoutedModel, known: Knowledge, room: int | None) -> ModelRow:
    info, engine = model.info, model.engine
    measured = known.measured.of(engine.name, info.id)
    declared = known.settings.models.get(model.name)
    needed = known.expectation(engine, info) if engine.locality != "cloud" else None
    problem = known.problems.get(info.id, "") if engine.kind == EMBEDDED else ""
    price = model.price
    return ModelRow(
        model=model.name,
        tier=model.tier or None,
        state="damaged" if problem else _state(engine, info),
        locality=engine.locality,
        size_bytes=info.size_bytes,
        memory_bytes=needed.memory_bytes if needed else None,
        memory_basis=needed.basis if needed else None,
        fit="fits" if info.is_loaded else _fit(needed, room),
        parameters=info.parameters or parameters_in_name(info.id),
        quantization=info.quantization,
        context_tokens=info.context_tokens,
        max_context_tokens=info.max_context_tokens,
        capabilities=None if info.capabilities is None else tuple(sorted(info.capabilities)),
        is_chat=info.is_chat,
        tokens_per_s=measured.tokens_per_s,
        first_token_ms=measured.first_token_ms,
        pinned=declared.pinned if declared else False,
        is_declared=declared is not None or model.is_default,
        usd_per_mtok_in=price.usd_per_mtok_in if price else None,
        usd_per_mtok_out=price.usd_per_mtok_out if price else None,
        problem=problem,
    )


def _pullable_row(
    engine: Engine | None, entry: CatalogueModel, known: Knowledge, room: int | None
) -> ModelRow:
    """`engine` is the embedded one, where it is switched on."""
    info = catalogued(entry)
    needed = known.expectation(engine, info) if engine else None
    return ModelRow(
        model=f"{EMBEDDED}/{entry.id}",
        tier=entry.tier or None,
        state="downloading" if entry.id in known.downloading else "pullable",
        locality="local",
        size_bytes=entry.size_bytes,
        memory_bytes=needed.memory_bytes if needed else None,
        memory_basis=needed.basis if needed else None,
        fit=_fit(needed, room),
        parameters=info.parameters,
        quantization=entry.quantization,
        context_tokens=info.context_tokens,
        max_context_tokens=info.max_context_tokens,
        usd_per_mtok_in=0.0,
        usd_per_mtok_out=0.0,
    )


def _missing_row(name: str, engines: Mapping[str, Engine], known: Knowledge) -> ModelRow:
    engine_name = name.partition("/")[0]
    engine = engines.get(engine_name)
    declared = known.settings.models[name]
    why = f"{engine_name} does not list it" if engine else f"there is no engine {engine_name!r} now"
    return ModelRow(
        model=name,
        tier=declared.tier or None,
        state="missing",
        locality=engine.locality if engine else "local",
        context_tokens=declared.context_tokens,
        pinned=declared.pinned,
        is_declared=True,
        usd_per_mtok_in=declared.usd_per_mtok_in,
        usd_per_mtok_out=declared.usd_per_mtok_out,
        problem=f"declared in rung.toml, but {why}",
    )


def catalogued(entry: CatalogueModel) -> ModelInfo:
    """A model of the catalogue as if an engine listed it: what is known before it is there."""
    return ModelInfo(
        id=entry.id,
        size_bytes=entry.size_bytes,
        parameters=float(entry.parameters) or None,
        quantization=entry.quantization or None,
        context_tokens=entry.context_tokens or None,
        max_context_tokens=entry.context_tokens or None,
        is_loaded=False,
    )


def _state(engine: Engine, info: ModelInfo) -> ModelState:
    if info.is_loaded:
        return "loaded"
    is_kept_here = engine.locality != "cloud" and (engine.can_load or info.is_loaded is False)
    return "installed" if is_kept_here else "available"


def _fit(needed: Expectation | None, room: int | None) -> FitLevel:
    if needed is None:
        return "unknown"
    return fit_level(needed.memory_bytes, needed.growth_bytes, room)


def _size(info: ModelInfo) -> float:
    return info.parameters or info.size_bytes or 0.0
