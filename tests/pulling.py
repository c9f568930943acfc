"""Pulls into a store without a ledger or engines, for tests."""

from __future__ import annotations

from collections.abc import Callable

from rung.config.settings import HubSettings
from rung.engines.base import Engine
from rung.ledger.rows import DownloadRow, Row
from rung.models.catalogue import CatalogueModel
from rung.models.downloads import Downloads, Job
from rung.models.pull import Net
from rung.models.store import InstalledModel, ModelStore
from rung.models.transfer import Patience

QUICK = Patience(stall_s=2.0, first_wait_s=0.01, longest_wait_s=0.05, failures=4)


class Rows:
    """A ledger that only remembers, in the order of recording."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def record(self, row: Row) -> None:
        self.rows.append(row)

    def of(self, kind: type[Row]) -> list[Row]:
        return [row for row in self.rows if isinstance(row, kind)]

    async def downloads(self, limit: int = 50) -> list[DownloadRow]:
        newest = {row.job_id: row for row in self.rows if isinstance(row, DownloadRow)}
        return list(newest.values())[::-1][:limit]


def downloads(
    store: ModelStore,
    hub_url: str = "",
    *,
    token: str = "",
    patience: Patience = QUICK,
    history: Rows | None = None,
    engine: Engine | None = None,
) -> Downloads:
    """Downloads into `store`; the only engine is `engine`."""

    def named(name: str) -> Engine:
        assert engine is not None and name == engine.name
        return engine

    hub = HubSettings(url=hub_url or "http://127.0.0.1:9", token=token)
    return Downloads(store, Net(hub=hub, patience=patience), history or Rows(), named)


async def pulled(
    source: str | CatalogueModel,
    store: ModelStore,
    on_update: Callable[[Job], None] | None = None,
    *,
    model_id: str | None = None,
    verify: bool = False,
) -> InstalledModel:
    """Pull, and what is then in the store."""
    job = await downloads(store).pull(source, on_update, model_id=model_id, verify=verify)
    found = store.find(job.model)
    assert found is not None
    return found
