"""What this machine can do for Rung, and what to do next: sandbox, tools, models, ledger, settings.

Nothing is loaded or downloaded, and no model is asked.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Literal

import msgspec

from rung.config.files import config_files, ignored_file
from rung.config.settings import SandboxKind, Settings
from rung.errors import UsageError
from rung.escalation.text_model.blend import described
from rung.health import ledger_health, models_health, system_health
from rung.ledger.ledger import Ledger
from rung.routing.router import Router
from rung.validation.equipment import Equipment, equipment, pytest_version
from rung.validation.interpreter import project_python
from rung.validation.sandbox import SandboxStatus, describe
from rung.validation.workspace import project_root

State = Literal["ok", "note", "broken"]

_SANDBOXES: tuple[SandboxKind, ...] = ("bubblewrap", "landlock")
_HOLDS_BACK = {
    "bubblewrap": "code sees only its scratch copy and the system's programs, its own processes, "
    "and a network with nobody in it",
    "landlock": "code reads and writes only its scratch copy and the system's programs, has no "
    "sockets and signals nobody; that a path exists is not hidden",
}
_NO_SANDBOX = (
    "install bubblewrap (apt install bubblewrap, or your system's equivalent), or use Linux 5.13 "
    "or newer with Landlock; until then checks that run code are `unavailable`"
)
_LOW_DISK_BYTES = 5e9


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line: how it is, and what to do about it where something is to be done.

    `broken` is needed and does not work; a `note` is something that could be better.
    """

    name: str
    state: State
    says: str
    todo: str = ""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """All findings by section. `ok`: nothing that is needed is broken."""

    ok: bool
    sections: dict[str, tuple[Finding, ...]]


async def diagnose(settings: Settings, router: Router, ledger: Ledger, folder: Path) -> Diagnosis:
    """Look at everything at once; `folder` is where the user's project is."""
    root = project_root(folder)
    sandboxes, tools, models, kept, machine = await asyncio.gather(
        _sandboxes(settings), equipment(root), _models(settings, router), _ledger(ledger),
        _machine(settings),
    )  # fmt: skip
    sections = {
        "sandbox": sandboxes,
        "models": models,
        "project": _project(settings, root),
        "languages": tuple(map(_language, tools)),
        "records": kept,
        "machine": machine,
        "settings": _files(folder),
    }
    is_broken = any(item.state == "broken" for found in sections.values() for item in found)
    return Diagnosis(ok=not is_broken, sections=sections)


async def _sandboxes(settings: Settings) -> tuple[Finding, ...]:
    """Every candidate with its reason, then what the active one does."""
    wanted = settings.sandbox
    active = (await describe(wanted.kind)).active
    found = [
        _candidate(kind, await describe(kind), active=active, wanted=wanted.kind)
        for kind in _SANDBOXES
    ]
    if active is None:
        return (*found, Finding(name="active", state="broken", says="none", todo=_NO_SANDBOX))
    limits = (
        f"{wanted.timeout_s:g} s, {wanted.memory_mib:,} MiB, {wanted.processes} processes, "
        f"{wanted.file_mib} MiB a file"
    )
    return (
        *found,
        Finding(name="held back", state="ok", says=_HOLDS_BACK[active]),
        Finding(name="limits", state="ok", says=limits),
    )


def _candidate(
    kind: SandboxKind, status: SandboxStatus, *, active: str | None, wanted: SandboxKind
) -> Finding:
    if kind == active:
        why = "the first that works" if wanted == "auto" else f"sandbox.kind is {wanted}"
        return Finding(name=kind, state="ok", says=f"active: {why}")
    if status.active is None:
        reason = status.reasons[-1].partition(": ")[2]
        return Finding(name=kind, state="note", says=f"not used: {reason}")
    why = f"{active} comes first" if wanted == "auto" else f"sandbox.kind is {wanted}"
    return Finding(name=kind, state="ok", says=f"works too; not used: {why}")


async def _models(settings: Settings, router: Router) -> tuple[Finding, ...]:
    health = await models_health(settings, router)
    findings = [_engine(name, levels) for name, levels in health["details"].items()]
    models = [model for model in await router.models(local_only=False) if model.tier]
    if models:
        tiers = ", ".join(dict.fromkeys(model.tier for model in models))
        says = f"{len(models)} on {tiers}"
        return (*findings, Finding(name="ladder", state="ok", says=says))
    todo = "rung models pull smollm2-135m, start LM Studio or Ollama, or declare an engine"
    return (*findings, Finding(name="ladder", state="broken", says="no model", todo=todo))


def _engine(name: str, levels: dict[str, dict[str, object]]) -> Finding:
    errors = [level["error"] for level in levels.values() if level["ok"] is False]
    said = [str(error) for error in errors if error]
    if not levels["reachable"]["ok"]:
        says = said[0] if said else "does not answer"
        return Finding(name=name, state="note", says=says, todo="start it, or see rung engines")
    is_loaded = levels["loaded"]["ok"]
    return Finding(
        name=name, state="ok", says="answers, a model is loaded" if is_loaded else "answers"
    )


def _project(settings: Settings, root: Path) -> tuple[Finding, ...]:
    where = Finding(name="root", state="ok", says=str(root))
    try:
        python = project_python(root, settings.sandbox, module="pytest")
    except UsageError as error:
        return where, Finding(name="python", state="broken", says=str(error), todo="mend rung.toml")
    version = pytest_version(python, root)
    if version is None:
        todo = f"install pytest for {python}, or set sandbox.python"
        return where, Finding(name="pytest", state="note", says="not there", todo=todo)
    return where, Finding(name="pytest", state="ok", says=f"{version} ({python})")


def _language(tools: Equipment) -> Finding:
    parts = [
        "syntax" if tools.parses else "",
        f"compile: {tools.compiler}" if tools.compiler else "",
        f"types: {tools.types}" if tools.types else "",
    ]
    return Finding(
        name=tools.language,
        state="note" if tools.missing else "ok",
        says=", ".join(part for part in parts if part) or "nothing",
        todo="; ".join(tools.missing),
    )


async def _ledger(ledger: Ledger) -> tuple[Finding, ...]:
    health = await ledger_health(ledger)
    details = health["details"]
    says = f"{health['mode']} {details.get('url') or ''}".strip()
    if health["ok"] or health["mode"] == "off":
        return (Finding(name="ledger", state="ok", says=says),)
    todo = str(details.get("error") or "see rung health db")
    return (Finding(name="ledger", state="broken", says=says, todo=todo),)


async def _machine(settings: Settings) -> tuple[Finding, ...]:
    details = (await system_health(settings))["details"]
    folder = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    is_low = shutil.disk_usage(folder).free < _LOW_DISK_BYTES
    todo = "make room: a model has 1 to 20 GB, and each check copies the project" if is_low else ""
    return (
        Finding(name="memory", state="ok", says=details["memory"]),
        Finding(name="disk", state="note" if is_low else "ok", says=details["disk"], todo=todo),
        Finding(name="python", state="ok", says=f"{details['python']}, {details['system']}"),
        _classifier(),
    )


def _classifier() -> Finding:
    """Looks at the packaged weights and, if it is installed, the encoder: no language model."""
    says, todo = described()
    state = "broken" if says.startswith("rules only") else "ok"
    return Finding(name="classifier", state=state, says=says, todo=todo)


def _files(folder: Path) -> tuple[Finding, ...]:
    read = [
        Finding(
            name="file", state="ok", says=f"{path} ({'read' if path.is_file() else 'not there'})"
        )
        for path in config_files(folder)
    ]
    ignored = ignored_file(folder)
    if ignored is None:
        return tuple(read)
    todo = "it belongs to another user: make it yours if you trust it"
    return (*read, Finding(name="file", state="note", says=f"{ignored} (not read)", todo=todo))
