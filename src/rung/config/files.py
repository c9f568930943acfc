"""Which `rung.toml` files are read, and what a project's may set: it may be a stranger's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rung.config.environment import environment
from rung.config.folders import config_folder
from rung.config.schema import Key, Value, dotted, expanded
from rung.config.settings import EscalationSettings
from rung.errors import ConfigError

FILE_NAME = "rung.toml"

# Neither where a prompt goes, nor what a model costs, nor what holds a model's code, nor where
# Rung writes: those are for the user to say.
PROJECT_MAY_SET: tuple[Key, ...] = (
    ("app",),
    ("budget",),
    ("classify",),
    ("discover",),
    ("embedded",),
    ("escalation",),
    ("ledger", "store_content"),
    ("local_only",),
    ("matrix",),
    ("tiers",),
)
_STRICTEST_FIRST = ("deny", "ask", "allow")
_PAID, _PAID_TIERS = ("escalation", "paid"), ("escalation", "paid_tiers")
_TASK_LIMITS: tuple[Key, ...] = (
    ("escalation", "task_budget_usd"),
    ("escalation", "task_tokens"),
    ("escalation", "warn_usd"),
)


def config_files(cwd: Path | None = None) -> tuple[Path, ...]:
    """The user's file and the project's, in the order in which they are read.

    `RUNG_CONFIG` names one file to be read instead of both. A project's file that belongs to
    another user is left out: see `ignored_file`.
    """
    explicit = environment().get("RUNG_CONFIG")
    if explicit:
        return (expanded(explicit, "RUNG_CONFIG"),)
    user, project = config_folder() / FILE_NAME, _project_file(cwd or Path.cwd())
    return (user,) if project == user or not _is_own(project) else (user, project)


def ignored_file(cwd: Path | None = None) -> Path | None:
    """The project's file where it is not read, because it belongs to neither the user nor root."""
    project = _project_file(cwd or Path.cwd())
    return None if environment().get("RUNG_CONFIG") or _is_own(project) else project


def _project_file(start: Path) -> Path:
    """The nearest file up to the top of the Git working tree; outside one, the folder's own."""
    nearest: Path | None = None
    for folder in (start, *start.parents):
        if nearest is None and (folder / FILE_NAME).is_file():
            nearest = folder / FILE_NAME
        if (folder / ".git").exists():
            return nearest or start / FILE_NAME
    return start / FILE_NAME


def _is_own(path: Path) -> bool:
    if not hasattr(os, "geteuid"):
        return True
    try:
        return path.stat().st_uid in (os.geteuid(), 0)
    except OSError:
        return True  # not there, or not readable: reading it says which


def check_project(project: Mapping[Key, Value], own: Mapping[Key, Value]) -> None:
    """Raise ConfigError for what a project sets beyond its rights; `own` is set by the user."""
    for key, item in project.items():
        if not any(key[: len(allowed)] == allowed for allowed in PROJECT_MAY_SET):
            raise _not_for_a_project(key, item, "may not be set by a project")
        if key == _PAID or key[:2] == _PAID_TIERS:
            mine = _own_policy(key, own)
            if _STRICTEST_FIRST.index(item.value) > _STRICTEST_FIRST.index(mine):
                raise _not_for_a_project(key, item, f"a project may not loosen {mine!r}")
        elif key in _TASK_LIMITS or key[0] == "budget":
            limit = _own_limit(key, own)
            if limit is not None and item.value > limit:
                raise _not_for_a_project(key, item, f"a project may not exceed {limit:g}")


def _own_policy(key: Key, own: Mapping[Key, Value]) -> str:
    """What the user says of a paid tier: of this one, else of all."""
    for known in (key, _PAID):
        if known in own:
            return own[known].value
    return EscalationSettings().paid


def _own_limit(key: Key, own: Mapping[Key, Value]) -> float | None:
    """The user's limit; `None` for none."""
    if key in own:
        return own[key].value
    return getattr(EscalationSettings(), key[1]) if key in _TASK_LIMITS else None


def _not_for_a_project(key: Key, item: Value, reason: str) -> ConfigError:
    return ConfigError(
        f"{item.origin}: {dotted(key)}: {reason}; it belongs into your own "
        f"{config_folder() / FILE_NAME}, a RUNG_… variable, or a file named by RUNG_CONFIG"
    )
