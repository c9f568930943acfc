"""ssh:// addresses of engines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.engines.ssh.url import parse_ssh_url
from rung.errors import UsageError

LMSTUDIO = "http://127.0.0.1:1234/v1"


@pytest.mark.parametrize(
    ("url", "destination", "port", "base_url"),
    [
        ("ssh://me@mini/", "me@mini", None, "http://127.0.0.1:1234/v1"),
        ("ssh://mini", "mini", None, "http://127.0.0.1:1234/v1"),
        ("ssh://me@mini.local:2222", "me@mini.local", 2222, "http://127.0.0.1:1234/v1"),
        ("ssh://me@mini/11434", "me@mini", None, "http://127.0.0.1:11434/v1"),
        ("ssh://me@mini/11434/v1", "me@mini", None, "http://127.0.0.1:11434/v1"),
        ("ssh://me@mini/gpu-box:8000/api/v1/", "me@mini", None, "http://gpu-box:8000/api/v1"),
        ("ssh://me@[fe80::1]/1234", "me@fe80::1", None, "http://127.0.0.1:1234/v1"),
    ],
)
def test_what_is_left_out_is_the_kinds_own(
    url: str, destination: str, port: int | None, base_url: str
) -> None:
    parsed = parse_ssh_url(url, LMSTUDIO)
    assert (parsed.destination, parsed.port, parsed.base_url) == (destination, port, base_url)


@pytest.mark.parametrize(
    "url",
    [
        "ssh://",
        "ssh://-oProxyCommand=evil/",
        "ssh://-oProxyCommand=evil@mini/",
        "ssh://me@-mini/",
        "ssh://me:secret@mini/",
        "ssh://me@mini/99999",
        "ssh://me@mini:0x16/",
        "ssh://me@mini/1234?x=1",
        "ssh://me@mi ni/",
        "ssh://me@mini;reboot/",
    ],
)
def test_what_ssh_could_misread_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="ssh://USER@HOST") as caught:
        parse_ssh_url(url, LMSTUDIO)
    assert "secret" not in str(caught.value)


def test_a_kind_without_a_port_of_its_own_must_be_given_one() -> None:
    with pytest.raises(UsageError, match="names no port"):
        parse_ssh_url("ssh://me@mini/", "https://api.example.com/v1")


@given(st.text(max_size=40))
def test_no_address_makes_an_option_of_ssh(rest: str) -> None:
    try:
        parsed = parse_ssh_url(f"ssh://{rest}", LMSTUDIO)
    except UsageError:
        return
    assert not parsed.destination.startswith("-")
    assert not any(c.isspace() for c in parsed.destination + parsed.remote)
