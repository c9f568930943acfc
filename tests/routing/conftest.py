"""Nothing that a test of routing opens stays open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rung.engines.connection import Connection


@pytest.fixture(autouse=True)
async def connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Engines are built by the dozen here; each connection is closed when its test is over."""
    opened: list[Connection] = []
    build = Connection.__init__

    def build_and_keep(connection: Connection, *arguments: Any, **options: Any) -> None:
        build(connection, *arguments, **options)
        opened.append(connection)

    monkeypatch.setattr(Connection, "__init__", build_and_keep)
    yield
    for connection in opened:
        await connection.close()
