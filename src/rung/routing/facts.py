"""Everything that is known of one model, each fact with where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from rung.chat import ModelInfo
from rung.config.settings import ModelSettings
from rung.models.catalogue import CatalogueModel
from rung.models.gguf import GgufMetadata
from rung.models.measured import Measured
from rung.models.store import InstalledModel
from rung.routing.rows import ModelRow

Source = Literal["engine", "file", "store", "catalogue", "rung.toml", "measured", "estimated"]
Value = str | float | bool | None

_MEASURED_FIELDS = (
    "tokens_per_s",
    "first_token_ms",
    "load_ms",
    "bytes_per_token",
    "enforces_schema",
    "calls_tools",
    "switches_thinking",
    "parallel_slots",
)


class Fact(msgspec.Struct, frozen=True):
    """One thing that is known, and who says so."""

    name: str
    value: Value
    source: Source


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The model's line in the list, and all its facts; two sources may contradict each other."""

    row: ModelRow
    facts: tuple[Fact, ...]


def model_facts(
    row: ModelRow,
    info: ModelInfo,
    measured: Measured,
    declared: ModelSettings | None,
    *,
    shape: GgufMetadata | None = None,
    installed: InstalledModel | None = None,
    entry: CatalogueModel | None = None,
) -> ModelFacts:
    """What each source says, strongest first: measured, declared, the file, the engine."""
    facts: list[Fact] = []
    facts += _from_measurements(measured)
    if row.memory_bytes is not None:
        source: Source = "measured" if row.memory_basis == "measured" else "estimated"
        facts.append(Fact("memory_bytes", row.memory_bytes, source))
    facts += _given(declared.values() if declared else {}, "rung.toml")
    facts += _given(_of_file(shape) if shape else {}, "file")
    facts += _given(_of_store(installed) if installed else {}, "store")
    facts += _given(_of_engine(info), "engine")
    facts += _given(_of_catalogue(entry) if entry else {}, "catalogue")
    return ModelFacts(row=row, facts=tuple(facts))


def _given(values: Mapping[str, Value], source: Source) -> Iterable[Fact]:
    """A fact for each value that says something."""
    return (
        Fact(name, value, source)
        for name, value in values.items()
        if value not in (None, "", False)
    )


def _from_measurements(measured: Measured) -> Iterable[Fact]:
    for name in _MEASURED_FIELDS:
        value = getattr(measured, name)
        if value is not None:
            yield Fact(name, value, "measured")
    for options, memory_bytes in sorted(measured.footprints.items()):
        yield Fact(f"memory_bytes ({options})", memory_bytes, "measured")


def _of_file(shape: GgufMetadata) -> Mapping[str, Value]:
    return {
        "name": shape.name,
        "architecture": shape.architecture,
        "parameters": shape.parameters,
        "quantization": shape.quantization,
        "trained_context_tokens": shape.context_tokens,
        "layers": shape.layers,
        "sliding_window_layers": sum(shape.is_sliding),
        "experts": shape.experts,
        "vocabulary": shape.vocabulary,
        "capabilities": ", ".join(sorted(shape.capabilities)),
        "files": shape.parts,
    }


def _of_store(installed: InstalledModel) -> Mapping[str, Value]:
    return {
        "path": str(installed.path),
        "size_bytes": installed.size_bytes,
        "sha256": installed.sha256,
        "pulled_from": str(installed.source or ""),
        "installed_at": installed.installed_at.isoformat() if installed.installed_at else None,
        "problem": installed.problem,
    }


def _of_engine(info: ModelInfo) -> Mapping[str, Value]:
    """All that the engine lists, but for what other names say already."""
    fields = msgspec.to_builtins(info)
    fields["capabilities"] = ", ".join(sorted(info.capabilities or ()))
    return {name: value for name, value in fields.items() if name not in ("id", "names", "is_chat")}


def _of_catalogue(entry: CatalogueModel) -> Mapping[str, Value]:
    return {
        "title": entry.title,
        "license": entry.license,
        "tier": entry.tier,
        "parameters": entry.parameters,
        "source": str(entry.source),
    }
