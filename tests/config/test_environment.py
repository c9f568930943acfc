from __future__ import annotations

import os

import pytest

from rung.config.environment import system_proxy

PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_the_systems_proxy_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert system_proxy("https://api.example/v1") is None
    monkeypatch.setenv(name, PROXY)
    assert system_proxy("https://api.example/v1") == PROXY


def test_a_proxy_is_for_its_scheme_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", PROXY)
    assert system_proxy("http://api.example/v1") is None


def test_no_proxy_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", PROXY)
    monkeypatch.setenv("no_proxy", "api.example,other.example:8443")
    assert system_proxy("https://api.example/v1") is None
    assert system_proxy("https://user@api.example:444/v1") is None
    assert system_proxy("https://other.example:8443/v1") is None
    assert system_proxy("https://other.example/v1") == PROXY


def test_a_proxy_without_a_scheme_speaks_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "proxy.example:3128")
    assert system_proxy("https://api.example/v1") == PROXY


@pytest.mark.parametrize("url", ["", "nonsense", "http://[broken/v1"])
def test_what_is_no_url_has_no_proxy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", PROXY)
    assert system_proxy(url) is None
