"""The tables that migrations make are the tables that the code works with."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from rung.errors import LedgerError
from rung.ledger.migrate import HEAD, VERSION_TABLE
from rung.ledger.tables import SCHEMA, metadata
from tests.ledger.conftest import Place
from tests.ledger.samples import call


def version_table(place: Place) -> str:
    return VERSION_TABLE if place.mode == "sqlite" else f"{SCHEMA}.{VERSION_TABLE}"


def test_the_code_expects_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(files("rung.ledger") / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_migrated_tables_have_the_columns_and_indexes_of_the_metadata(place: Place) -> None:
    ledger = place.open()
    assert (await ledger.health()).revision == HEAD
    store = ledger._store
    assert store is not None
    with store.read() as connection:
        schema = None if place.mode == "sqlite" else SCHEMA
        found = inspect(connection)
        assert set(found.get_table_names(schema)) == {
            *(table.name for table in metadata.tables.values()),
            VERSION_TABLE,
        }
        for table in metadata.tables.values():
            columns = {c["name"]: c for c in found.get_columns(table.name, schema)}
            assert columns.keys() == set(table.columns.keys())
            for column in table.columns:
                compiled = column.type.compile(connection.dialect)
                assert columns[column.name]["type"].compile(connection.dialect) == compiled
                assert columns[column.name]["nullable"] == column.nullable
            indexes = {i["name"] for i in found.get_indexes(table.name, schema)}
            assert indexes == {index.name for index in table.indexes}
    await ledger.close()


async def test_a_ledger_of_a_newer_rung_is_refused_and_left_alone(place: Place) -> None:
    ledger = place.open()
    assert (await ledger.health()).ok
    store = ledger._store
    assert store is not None
    with store.write() as connection:
        connection.execute(text(f"UPDATE {version_table(place)} SET version_num = '9999'"))
    await ledger.close()
    older = place.open()
    older.record(call())
    health = await older.health()
    assert not health.ok and "upgrade Rung" in (health.last_error or "")
    with pytest.raises(LedgerError, match="upgrade Rung"):
        await older.calls()
    await older.close(timeout_s=0.2)
    assert (await older.health()).lost_rows == 1


async def test_a_revision_that_nobody_knows_is_an_error_and_no_crash(place: Place) -> None:
    ledger = place.open()
    assert (await ledger.health()).ok
    store = ledger._store
    assert store is not None
    with store.write() as connection:
        connection.execute(text(f"UPDATE {version_table(place)} SET version_num = '0000'"))
    await ledger.close()
    other = place.open()
    assert "cannot be migrated" in ((await other.health()).last_error or "")
    await other.close()


async def test_a_schema_that_exists_already_is_used(postgres, tmp_path) -> None:
    import psycopg

    database = postgres.create_database()
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS plain")
        admin.execute("CREATE ROLE plain LOGIN")
    with psycopg.connect(postgres.url(database), autocommit=True) as admin:
        admin.execute("CREATE SCHEMA control AUTHORIZATION plain")
    url = postgres.url(database).replace("postgres@", "plain@")
    ledger = Place(mode="postgresql", url=url, data_dir=tmp_path).open()
    assert (await ledger.health()).ok
    await ledger.close()


async def test_alembic_is_not_imported_when_the_tables_are_up_to_date(place: Place) -> None:
    ledger = place.open()
    assert (await ledger.health()).ok
    await ledger.close()
    script = (
        "import asyncio, sys; from pathlib import Path; from rung.ledger import Ledger\n"
        "from rung.config.settings import LedgerSettings\n"
        "async def main():\n"
        "    ledger = Ledger.open(LedgerSettings(url=sys.argv[2]), Path(sys.argv[1]))\n"
        "    assert (await ledger.health()).ok and await ledger.calls() == []\n"
        "    assert 'alembic' not in sys.modules\n"
        "asyncio.run(main())"
    )
    subprocess.run([sys.executable, "-c", script, place.data_dir, place.url], check=True)


def test_importing_the_package_loads_no_database() -> None:
    script = (
        "import sys, rung.ledger\n"
        "heavy = {'sqlalchemy', 'psycopg', 'alembic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
