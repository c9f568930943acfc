"""Rung: a local-first control plane for language models.

`Rung` is the facade that every door shares. Importing this package loads no engine, no server
and no database driver; each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rung.chat import Completion as Completion
    from rung.chat import Message as Message
    from rung.errors import EngineError as EngineError
    from rung.errors import RungError as RungError
    from rung.escalation.task import Outcome as Outcome
    from rung.escalation.task import Task as Task
    from rung.facade import Rung as Rung

__version__ = "0.1.0"

_HOME = {
    "Rung": "rung.facade",
    "Task": "rung.escalation.task",
    "Outcome": "rung.escalation.task",
    "Completion": "rung.chat",
    "Message": "rung.chat",
    "EngineError": "rung.errors",
    "RungError": "rung.errors",
}

__all__ = ["Completion", "EngineError", "Message", "Outcome", "Rung", "RungError", "Task"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'rung' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
