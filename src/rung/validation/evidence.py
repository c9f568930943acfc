"""Evidence from hostile output: no control characters, no escapes, of bounded length."""

from __future__ import annotations

import re

LONGEST = 4000
_HEAD = 1200

# CSI and OSC sequences, other two-character escapes (ECMA-48), then every other control character.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]{0,64}[ -/]{0,16}[@-~]|\x1b\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|\x1b[@-Z\\-_]"
)
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def clean(text: str, longest: int = LONGEST) -> str:
    """Printable text of at most `longest` characters; of more, head and tail are kept."""
    # Cleaning first would spend seconds on a flood that is thrown away anyway.
    text = shorten(text, 8 * longest)
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    text = _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))
    return shorten(text.strip(), longest)


def shorten(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    left_out = f"\n… {len(text) - longest} characters left out …\n"
    room = longest - len(left_out)
    head = min(_HEAD, room // 3)
    return text[:head] + left_out + text[len(text) - (room - head) :]
