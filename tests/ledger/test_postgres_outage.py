"""A PostgreSQL that goes away and comes back, in every way that one can."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from rung.errors import LedgerError
from rung.ledger.lost import LostRows
from tests.ledger.conftest import Place
from tests.ledger.samples import call, review
from tests.postgres import PostgresServer


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The server, which is up again after the test, whatever the test did to it."""
    yield postgres
    if not postgres.is_running:
        postgres.start()


@pytest.fixture
def place(server: PostgresServer, postgres_url: str, tmp_path: Path) -> Place:
    return Place(mode="postgresql", url=postgres_url, data_dir=tmp_path / "data")


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_rows_recorded_while_it_is_down_arrive_when_it_is_back(
    server: PostgresServer, place: Place, how: str
) -> None:
    ledger = place.open()
    ledger.record(call(attempt=0))
    assert await ledger.flush(20)
    getattr(server, how)()
    for n in range(1, 1501):
        ledger.record(call(attempt=n))
    assert not await ledger.flush(0.3)
    health = await ledger.health()
    assert not health.ok and health.last_error
    assert (health.pending_rows, health.lost_rows) == (1500, 0)
    server.start()
    assert await ledger.flush(30)
    assert [row.attempt for row in await ledger.calls(2000)] == list(range(1500, -1, -1))
    health = await ledger.health()
    assert (health.ok, health.pending_rows, health.lost_rows) == (True, 0, 0)
    await ledger.close()


async def test_a_server_that_is_down_at_the_start_does_not_stop_the_work(
    server: PostgresServer, place: Place
) -> None:
    server.stop()
    ledger = place.open()
    ledger.record(call())
    assert not (await ledger.health()).ok
    with pytest.raises(LedgerError, match="rung health db"):
        await ledger.summary(1)
    with pytest.raises(LedgerError, match="rung health db"):
        await ledger.add_review(review())
    server.start()
    assert await ledger.flush(30)
    assert len(await ledger.calls()) == 1
    await ledger.close()


async def test_a_server_that_hangs_blocks_neither_recording_nor_health_nor_closing(
    server: PostgresServer, place: Place
) -> None:
    ledger = place.open()
    assert (await ledger.health()).ok
    server.pause()
    try:
        for _ in range(100):
            ledger.record(call())
        health = await ledger.health()
        assert not health.ok and health.pending_rows == 100
        assert health.last_error == "no answer within 2 s"
        await ledger.close(timeout_s=0.2)
        assert LostRows(place.data_dir / "ledger-lost.json").count().lost_rows == 100
    finally:
        server.resume()


async def test_what_could_not_be_written_is_counted_and_later_told_once(
    server: PostgresServer, place: Place
) -> None:
    server.stop()
    first = place.open()
    for _ in range(3):
        first.record(call())
    await first.close(timeout_s=0.3)
    second = place.open()
    health = await second.health()
    assert (health.ok, health.lost_rows) == (False, 3)
    server.start()
    for _ in range(2):
        second.record(call())
        assert await second.flush(30)
    await second.close()
    third = place.open()
    third.record(call())
    (event,) = await third.audit()
    assert (event.kind, event.details["rows"]) == ("ledger_rows_lost", 3)
    assert "refused" in event.details["last_error"]
    assert (await third.health()).lost_rows == 3
    await third.close()
    assert len(await third.audit()) == 1


async def test_rows_wait_while_the_database_is_read_only(
    server: PostgresServer, place: Place
) -> None:
    ledger = place.open()
    assert (await ledger.health()).ok
    await ledger.close()
    name = place.url.rpartition("/")[2]
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        ledger = place.open()
        ledger.record(call())
        assert not await ledger.flush(0.3)
        health = await ledger.health()
        assert not health.ok and "read-only" in (health.last_error or "")
        assert (health.pending_rows, health.lost_rows) == (1, 0)
        assert await ledger.calls() == []
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = off')
    assert await ledger.flush(30)
    assert len(await ledger.calls()) == 1
    await ledger.close()


async def test_the_oldest_rows_give_way_when_the_queue_is_full(
    server: PostgresServer, place: Place
) -> None:
    server.stop()
    ledger = place.open()
    for n in range(12_000):
        ledger.record(call(attempt=n))
    server.start()
    assert await ledger.flush(60)
    found = [row.attempt for row in await ledger.calls(20_000)]
    lost_rows = (await ledger.health()).lost_rows
    assert found[:10_000] == list(range(11_999, 1_999, -1))
    assert len(found) + lost_rows == 12_000
    assert lost_rows >= 1_000  # beside the queue, a batch of at most 1,000 is in hand
    await ledger.close()


@pytest.mark.parametrize("is_committed", [True, False])
async def test_a_connection_lost_in_mid_commit_neither_doubles_nor_drops_rows(
    server: PostgresServer, postgres_url: str, tmp_path: Path, is_committed: bool
) -> None:
    async with CommitCutter(server.port, after_commit=is_committed) as cutter:
        url = postgres_url.replace(str(server.port), str(cutter.port))
        ledger = Place(mode="postgresql", url=url, data_dir=tmp_path).open()
        while not (await ledger.health()).ok:  # a busy machine may take longer than it waits
            await asyncio.sleep(0.05)
        cutter.is_armed = True
        for n in range(10):
            ledger.record(call(attempt=n))
        assert await ledger.flush(30)
        assert not cutter.is_armed
        assert sorted(row.attempt or 0 for row in await ledger.calls()) == list(range(10))
        await ledger.close()


class CommitCutter:
    """A proxy that, once armed, cuts the first connection that commits an insert.

    Either after the server has committed, so that only the answer is lost, or before it has heard.
    """

    def __init__(self, server_port: int, *, after_commit: bool) -> None:
        self._server_port = server_port
        self._after_commit = after_commit
        self.is_armed = False
        self.port = 0

    async def __aenter__(self) -> CommitCutter:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        server, ask = await asyncio.open_connection("127.0.0.1", self._server_port)
        answers = asyncio.create_task(_pump(server, answer))
        has_inserted = False
        while data := await client.read(65536):
            has_inserted |= b"INSERT INTO control.agent_run" in data
            if self.is_armed and has_inserted and b"COMMIT" in data:
                self.is_armed = False
                answers.cancel()
                if self._after_commit:
                    ask.write(data)
                    await server.read(65536)
                break
            ask.write(data)
            await ask.drain()
        ask.close()
        answer.transport.abort()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()


async def test_a_transaction_that_this_server_has_never_seen_was_not_committed(
    place: Place,
) -> None:
    """After a restore or a failover the numbers may begin again."""
    ledger = place.open()
    assert (await ledger.health()).ok
    store = ledger._store
    assert store is not None
    assert not store.was_committed(str(2**40))
    await ledger.close()
