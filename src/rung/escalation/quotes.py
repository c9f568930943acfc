"""Whether a checker's evidence is in the work, and whether the work talks to its checker. Pure."""

from __future__ import annotations

import re
import unicodedata

from rung.escalation.quoting import INVISIBLE

_LEAST = 8  # characters: shorter ones are found anywhere
_MARKS = "\"'`“”‘’«»"
_ELLIPSIS = re.compile(r"\s*(?:\[?\.\.\.\]?|\[?…\]?)\s*")
_DIFF_SIGNS = re.compile(r"^[+-] ?", re.MULTILINE)

# Orders to whoever judges, and verdicts written in advance. Each needs two signs: comments such as
# "ignore the above" and variables named `passed` are in honest code.
_JUDGE = r"(?:judge|grader|evaluator|reviewer|checker)"
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget)\b[^.]{0,40}"
    r"\b(?:above|previous|prior|earlier|instructions?|criteri\w+|rules|prompt)\b"
    r".{0,120}?\b(?:pass(?:ed)?|approved?|accept(?:ed)?|verdict|confidence|criteri\w+|judge)\b"
    r"|[\"']passed[\"']\s*:\s*true\b.{0,120}?[\"']confidence[\"']\s*:"
    r"|[\"']confidence[\"']\s*:.{0,120}?[\"']passed[\"']\s*:\s*true\b"
    rf"|\b(?:note|message|instructions?|attention|dear)\b(?: (?:to|for))?(?: the)? {_JUDGE}\s*[:,!]"
    r"|\b(?:judge|grader|evaluator)\b[^.]{0,20}\b(?:must|should|shall|will|please)\b"
    r"[^.]{0,20}\b(?:pass|accept|approve)\b"
    r"|\b(?:answer|reply|respond) (?:with|only) [\"'`]?pass(?:ed)?\b",
    re.IGNORECASE,
)
_PRAISE = re.compile(
    r"\b(?:meets?|satisf(?:y|ies)|fulfil?ls?|pass(?:es)?|matches)\b[^.\n]{0,30}"
    r"\b(?:criteri\w+|requirements?|checks|tests|task)\b"
    r"|\b(?:is|are|work(?:s|ing)?)\b[^.\n]{0,15}\b(?:complete(?:ly)?|correct(?:ly)?|perfect(?:ly)?)\b",
    re.IGNORECASE,
)


def is_quoted(quote: str, work: str) -> bool:
    """Whether the quote's words are in the work, whatever the white space between them.

    Marks around it, a diff's signs and an ellipsis between two parts of it are allowed for. It must
    have 8 characters, or be all there is, and be neither praise of the work nor an order.
    """
    text, whole = _plain(quote), _flat(work)
    if not text:
        return not whole
    if _PRAISE.search(text) or _ORDERS.search(text):
        return False
    least = min(_LEAST, len(whole))
    if len(as_it_is := _flat(quote)) >= least and as_it_is in whole:
        return True  # what looks like marks around it is the work's own
    parts = [text] if text in whole else [part for part in _ELLIPSIS.split(text) if part]
    return bool(parts) and all(len(part) >= least and part in whole for part in parts)


def words_to_the_checker(work: str, given: str) -> str:
    """The first words of the work that would steer its checker; empty if there are none.

    What the task itself says (`given`) is no attempt of the worker's.
    """
    known = _read(given).lower()
    for found in _ORDERS.finditer(_read(work)):
        if found[0].lower() not in known:
            return found[0]
    return ""


def _read(text: str) -> str:
    """The words as a model reads them, in one line: without invisible signs, with hidden letters.

    Unicode's tags are an alphabet that nobody sees; wide letters are letters all the same.
    """
    return _flat(unicodedata.normalize("NFKC", INVISIBLE.sub(_visible, text)))


def _visible(found: re.Match[str]) -> str:
    letter = chr(ord(found[0]) & 0x7F) if found[0] >= "\U000e0000" else ""
    return letter if letter.isprintable() else ""


def _plain(quote: str) -> str:
    return _flat(_DIFF_SIGNS.sub("", quote.strip().strip(_MARKS)))


def _flat(text: str) -> str:
    """One line, without the signs that a diff puts before lines."""
    return " ".join(_DIFF_SIGNS.sub("", text).split())
