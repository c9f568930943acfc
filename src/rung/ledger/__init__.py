"""The record of every call, attempt, escalation, cost and decision: SQLite, PostgreSQL, or off.

Importing this package loads neither SQLAlchemy nor a database driver; `Ledger` does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rung.ledger.content import stored as stored
    from rung.ledger.ledger import Ledger as Ledger
    from rung.ledger.reports import LedgerHealth as LedgerHealth
    from rung.ledger.reports import ModelSummary as ModelSummary
    from rung.ledger.reports import Summary as Summary
    from rung.ledger.reports import ToolStatus as ToolStatus
    from rung.ledger.rows import AttemptRow as AttemptRow
    from rung.ledger.rows import AuditRow as AuditRow
    from rung.ledger.rows import CallRow as CallRow
    from rung.ledger.rows import DownloadRow as DownloadRow
    from rung.ledger.rows import InstallRow as InstallRow
    from rung.ledger.rows import ReviewItem as ReviewItem
    from rung.ledger.rows import TaskRow as TaskRow

_HOME = {
    "AttemptRow": "rung.ledger.rows",
    "AuditRow": "rung.ledger.rows",
    "CallRow": "rung.ledger.rows",
    "DownloadRow": "rung.ledger.rows",
    "InstallRow": "rung.ledger.rows",
    "Ledger": "rung.ledger.ledger",
    "LedgerHealth": "rung.ledger.reports",
    "ModelSummary": "rung.ledger.reports",
    "ReviewItem": "rung.ledger.rows",
    "Summary": "rung.ledger.reports",
    "TaskRow": "rung.ledger.rows",
    "ToolStatus": "rung.ledger.reports",
    "stored": "rung.ledger.content",
}

__all__ = [
    "AttemptRow",
    "AuditRow",
    "CallRow",
    "DownloadRow",
    "InstallRow",
    "Ledger",
    "LedgerHealth",
    "ModelSummary",
    "ReviewItem",
    "Summary",
    "TaskRow",
    "ToolStatus",
    "stored",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'rung.ledger' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
