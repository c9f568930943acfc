"""Text of models and tasks on a terminal: what it prints, and nothing that the terminal obeys."""

from __future__ import annotations

import re
import sys

# CSI and OSC sequences as a whole, so that nothing of them is left to read (ECMA-48).
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"
)
# Every other control character but line feed and tab, and what turns the direction of text about.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# What a terminal shows nothing of: zero-width characters and marks of direction.
_INVISIBLE = re.compile(r"[\u00ad\u061c\u180e\u200b-\u200f\u2060-\u2064\ufeff]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def printable(text: str) -> str:
    """The text without escape sequences and control characters; line feeds and tabs stay.

    A sequence that is split over two pieces of a stream loses its first character in the one,
    and is harmless text in the other.
    """
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", _SEQUENCES.sub("", text)))


def revealed(text: str) -> str:
    """The text with `<U+202E>` for whatever a terminal would obey or not show; line feeds and tabs
    stay. For text that a person answers for, where a part that is not seen would deceive
    (https://trojansource.codes).
    """
    for hidden in (_CONTROLS, _INVISIBLE, _SURROGATES):
        text = hidden.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)
    return text


def say(text: str, *, err: bool = False) -> None:
    """A line that quotes an engine or a file: printable, on stdout or stderr."""
    import click

    click.echo(printable(text), err=err)


def echo_answer(text: str, *, nl: bool = True) -> None:
    """An answer on stdout: printable on a terminal, as it came to everything else."""
    import click

    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    # With `color` click passes on what it would strip from text that goes to a file.
    click.echo(printable(text) if is_terminal else text, nl=nl, color=True)


def escape_controls(document: str) -> str:
    r"""A JSON document whose control characters are `\u001b` and the like: the same values."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
