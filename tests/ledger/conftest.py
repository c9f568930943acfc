from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rung.config.settings import LedgerSettings
from rung.ledger import Ledger
from tests.postgres import postgres, postgres_url  # noqa: F401


@dataclass(frozen=True)
class Place:
    """Where a test's ledger is. Every `open` is one more ledger on the same data."""

    mode: str
    url: str
    data_dir: Path

    def open(self) -> Ledger:
        return Ledger.open(LedgerSettings(url=self.url), self.data_dir)


def place_for(mode: str, request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    urls = {
        "off": lambda: "off",
        "sqlite": lambda: "",
        "postgresql": lambda: request.getfixturevalue("postgres_url"),
    }
    return Place(mode=mode, url=urls[mode](), data_dir=tmp_path / "data")


@pytest.fixture(params=["sqlite", "postgresql", "off"])
def any_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_for(request.param, request, tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_for(request.param, request, tmp_path)


@pytest.fixture
async def ledger(place: Place) -> AsyncIterator[Ledger]:
    ledger = place.open()
    await ledger.health()  # creates the tables, which may take longer than a reader waits for rows
    yield ledger
    await ledger.close()
