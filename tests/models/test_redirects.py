"""Redirects: where a hub may send who asks it, and where not."""

from __future__ import annotations

import pytest

from rung.models.redirects import may_follow


@pytest.mark.parametrize(
    ("url", "following", "may"),
    [
        ("https://hub/x", "https://cdn/y", True),
        ("http://127.0.0.1/x", "https://cdn/y", True),
        ("http://127.0.0.1:1/x", "http://127.0.0.1:2/y", True),
        ("http://mirror.lan/x", "http://mirror.lan/y", True),
        ("https://hub/x", "http://hub/y", False),
        ("https://hub/x", "http://127.0.0.1/y", False),
        ("http://127.0.0.1/x", "http://mirror.lan/y", False),
        ("http://mirror.lan/x", "http://127.0.0.1/y", False),
        ("https://hub/x", "ftp://hub/y", False),
    ],
)
def test_redirects_never_lose_protection(url: str, following: str, may: bool) -> None:
    assert may_follow(url, following) is may
