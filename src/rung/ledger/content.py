"""How much of a prompt or an answer goes on record: the user's setting decides."""

from __future__ import annotations

import hashlib
from typing import Any

from rung.config.settings import StoreContent

TRUNCATED_CHARS = 500


def stored(text: str, policy: StoreContent) -> dict[str, Any]:
    """What the ledger may keep of `text`, as JSON. `length` is in characters.

    off: `{}` · hash: `{sha256, length}` · truncated: `{text, length}` with the first 500
    characters · full: `{text, length}`.
    """
    if policy == "off":
        return {}
    if policy == "hash":
        # surrogatepass: half an emoji in an answer must not make it impossible to hash.
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return {"sha256": digest, "length": len(text)}
    if policy == "truncated":
        return {"text": text[:TRUNCATED_CHARS], "length": len(text)}
    return {"text": text, "length": len(text)}
