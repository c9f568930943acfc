"""The list of models: what engines list, joined with what Rung knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from rung.chat import Locality, ModelInfo
from rung.config.settings import EngineSettings, MemorySettings, ModelSettings, Settings
from rung.engines.embedded.engine import EmbeddedEngine
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.models.catalogue import catalogue
from rung.models.gguf import GgufMetadata
from rung.models.measured import Measurements
from rung.models.memory import Memory
from rung.routing.look import Listing
from rung.routing.models import routed
from rung.routing.rows import Knowledge, ModelRow, held_models, model_rows
from rung.routing.tiers import DEFAULT_TIERS
from tests.models.test_fit import SMOLLM2

GB = 10**9
SMALL = ModelInfo(id="small", size_bytes=GB, is_loaded=False, context_tokens=4096)
LARGE = ModelInfo(id="large", size_bytes=40 * GB, is_loaded=False)


class LoadingEngine(OpenAICompatibleEngine):
    can_load = True


def listing(
    name: str, *infos: ModelInfo, locality: Locality = "local", declared: Any = None
) -> Listing:
    """What an engine at an address where nothing listens would have listed."""
    engine = LoadingEngine(
        name, EngineSettings(base_url="http://127.0.0.1:9/v1", locality=locality)
    )
    declared = declared or {}
    models = tuple(routed(engine, i, declared.get(f"{name}/{i.id}"), DEFAULT_TIERS) for i in infos)
    return Listing(engine=engine, infos=infos, models=models, failure=None, latency_ms=1.0)


def embedded(tmp_path: Path, *infos: ModelInfo) -> Listing:
    engine = EmbeddedEngine(Settings().embedded, lambda _: tmp_path, list)
    models = tuple(routed(engine, info, None, DEFAULT_TIERS) for info in infos)
    return Listing(engine=engine, infos=infos, models=models, failure=None, latency_ms=1.0)


@pytest.fixture
def known(tmp_path: Path) -> Knowledge:
    """A machine with 8 GB free, and nothing measured."""
    return Knowledge(
        settings=Settings(memory=MemorySettings(reserve_gib=0)),
        measured=Measurements(tmp_path),
        memory=Memory(total_bytes=16 * GB, available_bytes=8 * GB),
        shape=lambda _: None,
        problems={},
        downloading=frozenset(),
    )


def changed(known: Knowledge, **fields: Any) -> Knowledge:
    return Knowledge(**{**known.__dict__, **fields})


def row_of(rows: list[ModelRow], model: str) -> ModelRow:
    (found,) = [row for row in rows if row.model == model]
    return found


def test_models_are_sorted_by_engine_then_tier_then_size(known: Knowledge, tmp_path: Path) -> None:
    listings = [
        embedded(tmp_path, ModelInfo(id="mine")),
        listing("b", LARGE, SMALL),
        listing("a", ModelInfo(id="x", parameters=7e9)),
    ]
    rows = model_rows(listings, [], known)
    assert [row.model for row in rows] == ["embedded/mine", "b/small", "b/large", "a/x"]


def test_the_catalogue_is_offered_where_it_is_not_installed(
    known: Knowledge, tmp_path: Path
) -> None:
    entry = catalogue()["smollm2-135m"]
    offered = row_of(model_rows([embedded(tmp_path)], [entry], known), f"embedded/{entry.id}")
    assert (offered.state, offered.fit, offered.memory_basis) == ("pullable", "fits", "size")
    pulling = changed(known, downloading=frozenset({entry.id}))
    assert model_rows([embedded(tmp_path)], [entry], pulling)[0].state == "downloading"
    there = embedded(tmp_path, ModelInfo(id=entry.id, is_loaded=False))
    assert [row.state for row in model_rows([there], [entry], known)] == ["installed"]
    without_engine = model_rows([listing("other")], [entry], known)
    assert [(row.model, row.fit) for row in without_engine] == [(f"embedded/{entry.id}", "unknown")]


@pytest.mark.parametrize(
    ("info", "fit"),
    [
        (SMALL, "fits"),
        (ModelInfo(id="m", size_bytes=6_500_000_000), "tight"),
        (LARGE, "too large"),
        (ModelInfo(id="m"), "unknown"),
        (msgspec.structs.replace(LARGE, is_loaded=True), "fits"),
    ],
)
def test_the_fit_says_whether_this_machine_has_the_memory(
    known: Knowledge, info: ModelInfo, fit: str
) -> None:
    assert model_rows([listing("lm", info)], [], known)[0].fit == fit


def test_memory_that_a_loaded_model_would_give_back_counts_as_free(known: Knowledge) -> None:
    other = msgspec.structs.replace(
        LARGE, id="other", size_bytes=6 * GB, memory_bytes=6 * GB, is_loaded=True
    )
    wanted = ModelInfo(id="wanted", size_bytes=9 * GB, is_loaded=False)
    alone = model_rows([listing("lm", wanted)], [], known)
    assert alone[0].fit == "too large"
    listings = [listing("lm", wanted), listing("ollama", other)]
    assert row_of(model_rows(listings, [], known), "lm/wanted").fit == "fits"
    assert [model.name for model in held_models(listings, known.settings)] == ["ollama/other"]
    pinned = changed(
        known,
        settings=Settings(
            memory=MemorySettings(reserve_gib=0),
            models={"ollama/other": ModelSettings(pinned=True)},
        ),
    )
    assert row_of(model_rows(listings, [], pinned), "lm/wanted").fit == "too large"


def test_another_hosts_memory_is_unknown_unless_it_is_declared(known: Knowledge) -> None:
    far = [listing("far", SMALL, locality="lan")]
    assert model_rows(far, [], known)[0].fit == "unknown"
    engine = EngineSettings(base_url="http://h/v1", memory_gib=0.5)
    told = changed(known, settings=Settings(engines={"far": engine}))
    assert model_rows(far, [], told)[0].fit == "too large"


def test_a_cloud_model_takes_no_memory_here_and_is_hidden_until_it_is_declared_or_used(
    known: Knowledge,
) -> None:
    cloud = [listing("cloud", SMALL, LARGE, locality="cloud")]
    rows = model_rows(cloud, [], known)
    assert {(row.state, row.fit, row.memory_bytes) for row in rows} == {
        ("available", "unknown", None)
    }
    assert not any(row.is_used for row in rows)
    declared = changed(known, settings=Settings(models={"cloud/small": ModelSettings()}))
    assert row_of(model_rows(cloud, [], declared), "cloud/small").is_used
    known.measured.learn("cloud", "large", tokens_per_s=50.0)
    used = row_of(model_rows(cloud, [], known), "cloud/large")
    assert used.is_used
    assert used.tokens_per_s == 50.0


def test_the_installed_models_own_file_tells_what_it_takes(
    known: Knowledge, tmp_path: Path
) -> None:
    def shape(model_id: str) -> GgufMetadata | None:
        return SMOLLM2 if model_id == "mine" else None

    listings = [embedded(tmp_path, ModelInfo(id="mine"), ModelInfo(id="broken"))]
    rows = model_rows(
        listings, [], changed(known, shape=shape, problems={"broken": "its file is gone"})
    )
    mine, broken = row_of(rows, "embedded/mine"), row_of(rows, "embedded/broken")
    assert (mine.memory_basis, mine.fit) == ("file", "fits")
    assert (broken.state, broken.problem, broken.memory_bytes) == (
        "damaged",
        "its file is gone",
        None,
    )


def test_what_the_user_declared_and_what_was_measured_is_in_the_row(known: Knowledge) -> None:
    declared = {"lm/small": ModelSettings(tier="flash", pinned=True)}
    known.measured.learn("lm", "small", tokens_per_s=42.0, first_token_ms=80.0)
    with_settings = changed(known, settings=Settings(models=declared))
    (row,) = model_rows([listing("lm", SMALL, declared=declared)], [], with_settings)
    assert (row.tier, row.pinned, row.is_declared) == ("flash", True, True)
    assert (row.tokens_per_s, row.first_token_ms) == (42.0, 80.0)
    assert (row.usd_per_mtok_in, row.usd_per_mtok_out) == (0.0, 0.0)


def test_a_declared_model_that_no_engine_lists_appears_and_says_so(known: Knowledge) -> None:
    declared = {name: ModelSettings(tier="flash") for name in ("lm/gone", "nobody/x", "lm/small")}
    with_settings = changed(known, settings=Settings(models=declared))
    rows = model_rows([listing("lm", SMALL)], [], with_settings)
    assert [row.model for row in rows] == ["lm/small", "lm/gone", "nobody/x"]
    gone, nobody = rows[1:]
    assert {gone.state, nobody.state} == {"missing"}
    assert "lm does not list it" in gone.problem
    assert "no engine 'nobody'" in nobody.problem
