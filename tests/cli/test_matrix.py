"""`rung matrix show`: who does and checks which work on this machine."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from rung.config.settings import MatrixRow
from rung.escalation.matrix import default_matrix
from rung.escalation.matrix_report import LadderReport, ladder_report
from rung.routing.tiers import DEFAULT_TIERS
from tests.command import rung
from tests.ladder import BIG, SMALL, ladder
from tests.routed import model

FAST = model("ollama/qwen3:8b", "local_fast")
GEMMA = model("ollama/gemma3:9b", "local_fast", size_bytes=1)
HAIKU = model("cloud/claude-haiku", "haiku", (1.0, 5.0), locality="cloud")


def report(kind: Any, *models: Any, declared: Any = None, **changes: Any) -> LadderReport:
    row = dataclasses.replace(default_matrix()[kind], **changes)  # type: ignore[index]
    return ladder_report(kind, row, models, DEFAULT_TIERS, declared or {})


def test_each_rung_has_its_price_its_judge_and_its_reason() -> None:
    found = report("standard", FAST, GEMMA, HAIKU)
    first, last = found.rungs
    assert (first.model, first.usd_per_mtok_in, first.checker) == (
        "ollama/gemma3:9b",
        0.0,
        "ollama/qwen3:8b",
    )
    assert first.why == "the largest, of 2 of its tier"
    assert (last.model, last.usd_per_mtok_out) == ("cloud/claude-haiku", 5.0)
    assert [gap.name for gap in found.missing] == ["local_balanced"]
    assert "20 billion" in found.missing[0].advice


def test_both_arms_of_an_ab_are_shown() -> None:
    found = report("standard", FAST, HAIKU, chain=("ollama/qwen3:8b|haiku|flash",))
    assert [(r.entry, r.model) for r in found.rungs] == [
        ("ollama/qwen3:8b|haiku|flash", "ollama/qwen3:8b"),
        ("ollama/qwen3:8b|haiku|flash", "cloud/claude-haiku"),
    ]
    assert [gap.name for gap in found.missing] == ["flash"]


def test_a_declared_model_that_is_not_listed_is_not_to_be_declared_again() -> None:
    [gap] = report("quick_edit", FAST, declared={"flash": "cloud/gemini"}).missing
    assert gap.advice.startswith("cloud/gemini is yours, but its engine does not list it now")


async def test_it_is_what_a_task_would_climb(tmp_path: Path) -> None:
    rows = {"standard": MatrixRow(chain=("local_fast", "haiku"))}
    async with ladder(tmp_path, matrix=rows) as it:
        [found] = await it.rung.ladders("standard")
        assert [r.model for r in found.rungs] == [SMALL, BIG]
        assert found.missing == ()


def test_the_command_prints_all_types_or_one(tmp_path: Path) -> None:
    env = {
        "RUNG_CONFIG": str(tmp_path / "rung.toml"),
        "RUNG_DATA_DIR": str(tmp_path / "data"),
        "RUNG_MODELS_DIR": str(tmp_path / "models"),
    }
    (tmp_path / "rung.toml").write_text("discover = false\n[embedded]\nenabled = false\n")
    done = rung("matrix", "show", "--json", env=env)
    assert [row["type"] for row in done.json] == [
        "quick_edit",
        "standard",
        "architecture",
        "critical",
    ]
    shown = rung("matrix", "show", "--type", "critical", env=env)
    assert shown.status == 0
    assert "no model here may do it" in shown.out
    assert "always reviewed by a person" in shown.out
    assert "sonnet" in shown.out
    assert "standard" not in shown.out
