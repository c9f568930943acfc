"""JavaScript's and Python's ways of writing data, rewritten as JSON where they mean one thing only.

It is a rewriting of words, which knows nothing of structure: whether the outcome is one whole
JSON value is for the strict parser to say. So it closes no bracket and drops nothing that was said.
(The json-repair package does both, and makes a whole object of one that is cut off.)
"""

from __future__ import annotations

import re

_STRING = r'"(?:[^"\\]|\\.)*+"'
_WORD = re.compile(
    rf"""(?P<string>{_STRING})
    | (?P<quoted>'(?:[^'\\]|\\.)*+')
    | (?P<curly>“[^“”\\]*+”|‘[^‘’\\]*+’)
    | (?P<endless>["'].*)
    | (?P<comment>//[^\n]*|\#[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<number>[+-]?(?:\d|\.\d)[\w.+-]*)
    | (?P<name>[A-Za-z_$][\w$]*)
    | (?P<wide>[：，])""",
    re.DOTALL | re.VERBOSE,
)
# Other strings, and all of one that does not end, are passed over.
_LAST_COMMA = re.compile(rf'({_STRING}|".*)|(?<![\[{{,:\s])\s*+,(?=\s*[\]}}])', re.DOTALL)
# Before a key, and between the objects or lists of a list, nothing else can be missing.
_LOST_COMMA = re.compile(
    rf"""(?:{_STRING}|(?<![\w.+-])[\w.+-]++)(?=\s*+{_STRING}\s*+:)
    | [\]}}](?=\s*+(?:{_STRING}\s*+:|[\[{{]))
    | (?P<other>{_STRING}|".*)""",
    re.DOTALL | re.VERBOSE,
)
_KEY_FOLLOWS = re.compile(r"\s*:")
_KEY_PRECEDES = re.compile(r"[{,]\s*\Z")
_INSIDE = re.compile(r"\\(.)|[\"\x00-\x1f]", re.DOTALL)
# A comment that may hold, or stand for, a part of the answer.
_TELLING = re.compile(r"[\[{\"]|\.\.\.|…")
_HEXADECIMAL = re.compile(r"\+?(-?)0[xX]([0-9a-fA-F]{1,13})")  # 13 digits fit a double
_DECIMAL = re.compile(r"(?:\+|(-?))(\d*)(\.\d*)?((?:[eE][+-]?\d+)?)")
_LITERALS = {"True": "true", "False": "false", "None": "null", "undefined": "null"}
_CONTROLS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WIDE = {"：": ":", "，": ","}


def rewritten(text: str) -> str:
    """The text as JSON has it. In linear time.

    Single and curly quotes, bare keys, Python's literals, comments, hexadecimal numbers and those
    with a plus or a bare point, raw line ends in strings, commas before a closing bracket, and
    commas that are missing before a key or between objects.
    """
    words = _WORD.sub(_as_json, text)
    closed = _LAST_COMMA.sub(lambda found: found[1] or "", words)
    return _LOST_COMMA.sub(lambda found: found[0] + ("," if found["other"] is None else ""), closed)


def _as_json(found: re.Match[str]) -> str:
    word = found[0]
    match found.lastgroup:
        case "string" | "quoted" | "curly":
            return f'"{_INSIDE.sub(_escaped, word[1:-1])}"'
        case "comment" if not _TELLING.search(word):
            return " "
        case "number":
            return _number(word)
        case "name" if word in _LITERALS:
            return _LITERALS[word]
        case "name" if _is_key(found):
            return f'"{word}"'
        case "wide":
            return _WIDE[word]
        case _:
            return word


def _number(word: str) -> str:
    """A number of Python or JavaScript as JSON writes it; what is none, or could be two, as is."""
    if (found := _HEXADECIMAL.fullmatch(word)) is not None:
        return str(int(found[1] + found[2], 16))
    if (found := _DECIMAL.fullmatch(word)) is not None:
        sign, whole, fraction, exponent = (part or "" for part in found.groups())
        return f"{sign}{whole or '0'}{fraction}{'0' if fraction == '.' else ''}{exponent}"
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
