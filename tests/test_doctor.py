"""`diagnose`: what is there is named, what is missing gets its advice, what is broken counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from rung import Rung
from rung.config.settings import (
    EmbeddedSettings,
    LedgerSettings,
    SandboxSettings,
    Settings,
)
from rung.doctor import Diagnosis, Finding
from rung.validation import equipment
from rung.validation.sandbox import runner
from tests.fakes.server import FakeServer
from tests.ladder import GOOD, ladder


def bare(folder: Path, **changes: object) -> Settings:
    """No engine at all, and records that are off."""
    return Settings(
        discover=False,
        data_dir=folder / "data",
        models_dir=folder / "models",
        embedded=EmbeddedSettings(enabled=False),
        ledger=LedgerSettings(url="off"),
    ).replaced(**changes)


async def diagnosis(settings: Settings, folder: Path) -> Diagnosis:
    async with Rung(settings) as rung:
        return await rung.doctor(folder)


def by_name(found: Diagnosis, section: str) -> Mapping[str, Finding]:
    return {item.name: item for item in found.sections[section]}


async def test_a_machine_with_a_sandbox_and_a_model_is_well(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[GOOD]) as it:
        found = await it.rung.doctor(tmp_path)
        assert found.ok
        assert it.small.chats == it.big.chats == []
    assert "local_fast" in by_name(found, "models")["ladder"].says
    assert by_name(found, "sandbox")["bubblewrap"].says == "active: the first that works"
    assert "works too" in by_name(found, "sandbox")["landlock"].says


async def test_without_any_model_it_says_how_to_get_one(tmp_path: Path) -> None:
    found = await diagnosis(bare(tmp_path), tmp_path)
    assert not found.ok
    assert "rung models pull" in by_name(found, "models")["ladder"].todo


async def test_an_engine_that_does_not_answer_is_named_with_its_reason(tmp_path: Path) -> None:
    async with FakeServer("openai", [GOOD]) as server:
        engines = {"gone": server.settings(locality="local")}
    found = await diagnosis(bare(tmp_path, engines=engines), tmp_path)
    gone = by_name(found, "models")["gone"]
    assert gone.state == "note"
    assert gone.says


async def test_without_a_sandbox_each_candidate_says_why_and_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_probed", {})

    async def broken(_backend: str) -> str:
        return "the kernel says no"

    monkeypatch.setattr(runner, "_problem_with", broken)
    found = await diagnosis(bare(tmp_path), tmp_path)
    sandboxes = by_name(found, "sandbox")
    assert sandboxes["bubblewrap"].says == "not used: the kernel says no"
    assert sandboxes["active"].state == "broken"
    assert "apt install bubblewrap" in sandboxes["active"].todo


async def test_the_sandbox_that_was_asked_for_is_said_to_be(tmp_path: Path) -> None:
    settings = bare(tmp_path, sandbox=SandboxSettings(kind="landlock"))
    sandboxes = by_name(await diagnosis(settings, tmp_path), "sandbox")
    assert sandboxes["landlock"].says == "active: sandbox.kind is landlock"
    assert "sandbox.kind is landlock" in sandboxes["bubblewrap"].says


async def test_a_python_that_is_not_there_is_broken(tmp_path: Path) -> None:
    settings = bare(tmp_path, sandbox=SandboxSettings(python="/nowhere/python"))
    python = by_name(await diagnosis(settings, tmp_path), "project")["python"]
    assert python.state == "broken"
    assert "/nowhere/python" in python.says


async def test_a_language_without_its_compiler_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {item.language: item for item in await equipment.equipment(tmp_path)}
    assert found["c"].missing == ("install gcc",)
    assert found["c"].parses
    assert found["yaml"].missing == ()
    assert found["python"].compiler == "own parser"


async def test_tools_of_the_project_are_not_run_outside_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project may be a stranger's: looking at it must run nothing of it."""
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in ("ty", "python"):
        (tools / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\n")
        (tools / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    found = {item.language: item for item in await equipment.equipment(tmp_path)}
    assert found["python"].types == "ty (the project's)"
    assert not (tmp_path / "was-run").exists()


async def test_a_tool_that_hangs_does_not_hold_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gcc = tmp_path / "bin" / "gcc"
    gcc.parent.mkdir()
    gcc.write_text("#!/bin/sh\nexec sleep 600\n")
    gcc.chmod(0o755)
    monkeypatch.setattr(equipment, "_VERSION_TIMEOUT_S", 0.1)
    monkeypatch.setenv("PATH", f"{gcc.parent}:/usr/bin:/bin")
    project = tmp_path / "project"
    project.mkdir()
    found = {item.language: item for item in await equipment.equipment(project)}
    assert found["c"].compiler == "gcc"


async def test_settings_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "rung.toml").write_text("")
    found = await diagnosis(bare(tmp_path), tmp_path)
    says = [item.says for item in found.sections["settings"]]
    assert f"{tmp_path / 'rung.toml'} (read)" in says
