"""JavaScript's and Python's ways of writing data, rewritten as JSON where they mean one thing only.

It is a rewriting of words, which knows nothing of structure: whether the outcome is one whole
JSON value is for the strict parser to say. So it closes no bracket, adds no comma, and drops no
text. (The json-repair package does all three, and makes a whole object of one that is cut off.)
"""

from __future__ import annotations

import re

_STRING = r'"(?:[^"\\]|\\.)*+"'
_WORD = re.compile(
    rf"""(?P<string>{_STRING})
    | (?P<quoted>'(?:[^'\\]|\\.)*+')
    | (?P<endless>["'].*)
    | (?P<comment>//[^\n]*|\#[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<number>\d[\w.+-]*)
    | (?P<name>[A-Za-z_$][\w$]*)""",
    re.DOTALL | re.VERBOSE,
)
_LAST_COMMA = re.compile(rf'({_STRING}|".*)|,(?=\s*[\]}}])', re.DOTALL)
_KEY_FOLLOWS = re.compile(r"\s*:")
_KEY_PRECEDES = re.compile(r"[{,]\s*\Z")
_INSIDE = re.compile(r"\\(.)|[\"\x00-\x1f]", re.DOTALL)
_LITERALS = {"True": "true", "False": "false", "None": "null", "undefined": "null"}
_CONTROLS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def rewritten(text: str) -> str:
    """The text with single quotes, bare keys, Python's literals, comments, commas before a closing
    bracket and raw line ends in strings written as JSON has them. In linear time."""
    return _LAST_COMMA.sub(lambda found: found[1] or "", _WORD.sub(_as_json, text))


def _as_json(found: re.Match[str]) -> str:
    word = found[0]
    match found.lastgroup:
        case "string" | "quoted":
            return f'"{_INSIDE.sub(_escaped, word[1:-1])}"'
        case "comment":
            return ""
        case "name" if word in _LITERALS:
            return _LITERALS[word]
        case "name" if _is_key(found):
            return f'"{word}"'
        case _:
            return word


def _is_key(found: re.Match[str]) -> bool:
    before = found.string[max(0, found.start() - 200) : found.start()]
    follows = _KEY_FOLLOWS.match(found.string, found.end())
    return follows is not None and _KEY_PRECEDES.search(before) is not None


def _escaped(found: re.Match[str]) -> str:
    """A character inside a string as JSON escapes it; JSON has no escape for a single quote."""
    if found[1] is not None:
        return "'" if found[1] == "'" else found[0]
    return '\\"' if found[0] == '"' else _CONTROLS.get(found[0], f"\\u{ord(found[0]):04x}")
