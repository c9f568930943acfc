from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rung.config.settings import LedgerSettings
from rung.errors import ConfigError
from rung.ledger import Ledger
from rung.ledger.address import parse_address


def test_an_empty_url_is_a_file_in_the_data_folder(tmp_path: Path) -> None:
    address = parse_address("  ", tmp_path)
    assert (address.mode, address.file) == ("sqlite", tmp_path / "rung.db")


@pytest.mark.parametrize("text", ["off", "OFF", " off "])
def test_off_is_off(text: str, tmp_path: Path) -> None:
    assert parse_address(text, tmp_path).mode == "off"


def test_a_sqlite_path_may_start_at_home(tmp_path: Path) -> None:
    assert parse_address("sqlite:///~/x.db", tmp_path).file == Path.home() / "x.db"
    assert parse_address("sqlite:////abs/x.db", tmp_path).file == Path("/abs/x.db")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_password_is_never_shown(scheme: str, tmp_path: Path) -> None:
    address = parse_address(f"{scheme}://ada:hunter2@db.example/rung", tmp_path)
    assert address.url.drivername == "postgresql+psycopg"
    assert address.url.password == "hunter2"
    assert address.masked == "postgresql://ada:***@db.example/rung"


@pytest.mark.parametrize(
    "text",
    [
        "mysql://ada:hunter2@host/db",
        "postgresql+asyncpg://ada:hunter2@host/db",
        "nonsense hunter2",
        "postgresql://ada:hunter2@host:port/db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=ro",
    ],
)
def test_a_url_that_cannot_be_one_is_an_error_with_the_accepted_forms(
    text: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        Ledger.open(LedgerSettings(url=text), tmp_path)
    message = str(caught.value)
    assert all(form in message for form in ("sqlite:///", "postgresql://", "off"))
    assert "hunter2" not in message


def test_postgresql_without_its_driver_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"rung\[postgres\]"):
        parse_address("postgresql://host/db", tmp_path)
