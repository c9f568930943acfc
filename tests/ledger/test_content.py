from __future__ import annotations

import hashlib

import pytest

from rung.ledger import stored

LONG = "x" * 499 + "éyz"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("off", {}),
        ("hash", {"sha256": hashlib.sha256(LONG.encode()).hexdigest(), "length": 502}),
        ("truncated", {"text": "x" * 499 + "é", "length": 502}),
        ("full", {"text": LONG, "length": 502}),
    ],
)
def test_only_what_the_policy_allows_is_kept(policy, expected) -> None:
    assert stored(LONG, policy) == expected


def test_text_that_is_not_valid_unicode_can_be_hashed() -> None:
    assert stored("\ud800", "hash")["length"] == 1
