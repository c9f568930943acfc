from __future__ import annotations

import pytest

from rung.chat import Locality
from rung.engines.locality import locality_of


@pytest.mark.parametrize(
    ("host", "locality"),
    [
        ("127.0.0.1:1234", "local"),
        ("127.8.8.8", "local"),
        ("localhost:8080", "local"),
        ("LOCALHOST.:8080", "local"),
        ("api.localhost", "local"),
        ("[::1]:8080", "local"),
        ("[::ffff:127.0.0.1]", "local"),
        ("0.0.0.0:11434", "local"),
        ("192.168.1.20", "lan"),
        ("10.0.0.1", "lan"),
        ("172.20.1.1", "lan"),
        ("169.254.1.1", "lan"),
        ("100.64.0.7", "lan"),
        ("[fd00::1]", "lan"),
        ("[fe80::1%25eth0]", "lan"),
        ("box.local:8000", "lan"),
        ("api.openai.com", "cloud"),
        ("8.8.8.8", "cloud"),
        ("[2606:4700::1111]", "cloud"),
        ("[::ffff:8.8.8.8]", "cloud"),
        ("localhost.evil.example", "cloud"),
        ("127.0.0.1.evil.example", "cloud"),
        ("user@evil.example", "cloud"),
        ("127.0.0.1@evil.example", "cloud"),
        ("gpu-box", "cloud"),
    ],
)
def test_locality_follows_the_host(host: str, locality: Locality) -> None:
    assert locality_of(f"http://{host}/v1") == locality


@pytest.mark.parametrize("url", ["", "nonsense", "http://", "http://[::1", "127.0.0.1:1234/v1"])
def test_what_is_not_a_url_is_not_taken_for_local(url: str) -> None:
    assert locality_of(url) == "cloud"
