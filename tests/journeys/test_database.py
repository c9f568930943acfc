"""The ledger's database goes away in mid-run and comes back: the work goes on."""

from __future__ import annotations

from pathlib import Path

from tests.ladder import ladder
from tests.postgres import PostgresServer, postgres, postgres_url  # noqa: F401


async def test_calls_go_on_while_postgresql_is_away(
    tmp_path: Path,
    postgres: PostgresServer,  # noqa: F811
    postgres_url: str,  # noqa: F811
) -> None:
    async with ladder(tmp_path, ledger=postgres_url) as it:
        await it.rung.ask("before")
        assert await it.rung.ledger.flush(10)
        postgres.stop()
        try:
            for _ in range(3):
                assert (await it.rung.ask("meanwhile")).text
            away = await it.rung.health("db")
            assert away["ok"] is False
            # Three calls, and sums of what they used of the budgets, which go on record in between.
            assert away["details"]["pending_rows"] >= 3
        finally:
            postgres.start()
        assert await it.rung.ledger.flush(30)
        calls = await it.rung.ledger.calls()
        assert len(calls) == 4
        tokens = sum((call.tokens_in or 0) + (call.tokens_out or 0) for call in calls)
        lines = (await it.rung.budget()).lines
        assert {line.used for line in lines if line.unit == "tokens"} == {tokens}
        back = await it.rung.health("db")
        assert (back["ok"], back["details"]["lost_rows"]) == (True, 0)
