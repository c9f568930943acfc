"""Rows to write, and waiting for what happens behind one's back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from rung.ledger import AttemptRow, AuditRow, CallRow, ReviewItem, TaskRow


def call(**fields: Any) -> CallRow:
    return CallRow(**{"tool": "lm_studio", "engine": "lmstudio", "model": "qwen3-4b", **fields})


def attempt(**fields: Any) -> AttemptRow:
    return AttemptRow(**{"task_id": "t1", "n": 1, "engine": "lmstudio", "model": "qwen3", **fields})


def task(**fields: Any) -> TaskRow:
    base = {"task_id": "t1", "task_type": "quick_edit", "description": "d", "outcome": "verified"}
    return TaskRow(**{**base, **fields})


def audit(**fields: Any) -> AuditRow:
    return AuditRow(**{"kind": "climb", **fields})


def review(**fields: Any) -> ReviewItem:
    base = {"task_id": "t1", "title": "Rename", "reason": "tests fail", "outcome": {"answer": "x"}}
    return ReviewItem(**{**base, **fields})


async def until(holds: Callable[[], Awaitable[bool]], timeout_s: float = 30.0) -> None:
    """Returns as soon as it holds; fails if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not await holds():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.02)
