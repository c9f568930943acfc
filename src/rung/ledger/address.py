"""Where the ledger is: `RUNG_DATABASE_URL` read into a typed address."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Literal

import msgspec
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from rung.errors import ConfigError

Mode = Literal["sqlite", "postgresql", "off"]

_FORMS = (
    "accepted are an empty value (a file in the data folder), sqlite:///path/to/file.db, "
    "postgresql://user:password@host:5432/database, and off"
)
_POSTGRES_NAMES = ("postgresql", "postgres", "postgresql+psycopg")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """`url` may hold a password, `masked` does not. `file` is the file of a SQLite ledger."""

    mode: Mode
    url: URL
    masked: str
    file: Path | None = None


def parse_address(text: str, data_dir: Path) -> Address:
    """Read the setting `ledger.url`. `ConfigError` names the accepted forms; nothing is opened."""
    text = text.strip()
    if text.lower() == "off":
        return Address(mode="off", url=URL.create("off"), masked="off")
    if not text:
        return _sqlite(str(data_dir / "rung.db"))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text may hold a password, so it is not repeated.
        raise ConfigError(f"the ledger's URL is not a URL; {_FORMS}") from None
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if url.query:
            raise ConfigError(f"a SQLite ledger's URL takes no parameters; {_FORMS}")
        return _sqlite(url.database or "")
    if url.drivername in _POSTGRES_NAMES:
        return _postgresql(url)
    raise ConfigError(
        f"the ledger's URL starts with {url.drivername}://, which is unknown; {_FORMS}"
    )


def _sqlite(database: str) -> Address:
    if not database or database.startswith((":memory:", "file:")):
        raise ConfigError(f"a SQLite ledger needs a file, not {database or 'nothing'}; {_FORMS}")
    file = Path(database).expanduser().absolute()
    url = URL.create("sqlite+pysqlite", database=str(file))
    return Address(mode="sqlite", url=url, masked=f"sqlite:///{file}", file=file)


def _postgresql(url: URL) -> Address:
    try:
        import_module("psycopg")
    except ImportError as error:
        raise ConfigError(
            f"a PostgreSQL ledger needs psycopg ({error}): pip install 'rung[postgres]'"
        ) from error
    return Address(
        mode="postgresql",
        url=url.set(drivername="postgresql+psycopg"),
        masked=url.set(drivername="postgresql").render_as_string(hide_password=True),
    )
