"""Keeps what may be a printed tool call out of a stream, until the end tells what it was.

A user interface would otherwise show raw markup first and the call after it. Text that cannot be a
call is let through at once, except white space at its end and the beginning of a possible markup.
"""

from __future__ import annotations

import re
from itertools import product

MARKUP = ("<tool_call>", "<function=", "[TOOL_CALLS]", "<|python_tag|>")
FENCE = "```"
# The code blocks in which models print calls as JSON.
JSON_FENCES = (FENCE, f"{FENCE}json", f"{FENCE}tool_call", f"{FENCE}tool_code")

# At the start of a line: the side of a code block, or markup, which counts only outside of one.
# A line that is indented further than by three spaces is code in itself.
LANDMARK = re.compile(
    rf"^ {{0,3}}(?:(?P<fence>{FENCE})|(?:{'|'.join(map(re.escape, MARKUP))}))", re.MULTILINE
)

_LINE_STARTS = (*MARKUP, FENCE)
# How an answer that is nothing but JSON calls begins, without its white space.
_WHOLE = tuple(
    f'{fence}{bracket}{{"{key}":'
    for fence, bracket, key in product(
        ("", *JSON_FENCES),
        ("", "["),
        ("name", "function", "type", "id", "arguments", "parameters", "tool_calls"),
    )
)
_HEAD_CHARS = 200


class ToolGate:
    """Feed it text in pieces; it returns what may be shown, and at the end what it held back."""

    def __init__(self) -> None:
        self._held = ""
        self._is_shut = False
        self._has_shown = False
        self._is_in_code = False

    def feed(self, piece: str) -> str:
        """What of the text so far may be shown now."""
        self._held += piece
        if self._is_shut:
            return ""
        if not self._has_shown and _may_be_json_calls(self._held):
            return ""
        return self._pass(self._safe_length())

    def finish(self) -> str:
        """What was held back."""
        held, self._held = self._held, ""
        return held

    def _safe_length(self) -> int:
        """How much of the held text is certainly no call; shuts the gate where one may begin."""
        for landmark in LANDMARK.finditer(self._held):
            if landmark.start() == 0 and self._has_shown:
                continue  # the middle of a line
            if landmark["fence"]:
                self._is_in_code = not self._is_in_code
            elif not self._is_in_code:
                self._is_shut = True
                return len(self._held[: landmark.start()].rstrip())
        line_start = self._held.rfind("\n") + 1
        line = self._held[line_start:].lstrip(" \t")
        is_line = line_start > 0 or not self._has_shown
        if is_line and any(start.startswith(line) and start != line for start in _LINE_STARTS):
            return len(self._held[:line_start].rstrip())
        return len(self._held.rstrip())

    def _pass(self, length: int) -> str:
        shown, self._held = self._held[:length], self._held[length:]
        self._has_shown = self._has_shown or bool(shown)
        return shown


def _may_be_json_calls(text: str) -> bool:
    compact = "".join(text[:_HEAD_CHARS].split())
    return any(start.startswith(compact) or compact.startswith(start) for start in _WHOLE)
