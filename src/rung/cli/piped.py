"""Text that is piped into a command."""

from __future__ import annotations

import codecs
import os
import select
import stat
import sys

import click

from rung.errors import UsageError

MAX_PIPED_CHARACTERS = 4_000_000
NOTE_AFTER_S = 1.0
_BLOCK_BYTES = 65_536


def piped_text() -> str:
    """What was piped into the command, set apart by an empty line; empty where nothing was.

    A pipe, a socket and a file are read to their end, however late that comes; after a second
    without text a note on stderr says what is waited for. Raises UsageError.
    """
    stdin = _readable_stdin()
    piped = _read(stdin) if stdin is not None else ""
    return f"\n\n{piped}" if piped.strip() else ""


def _readable_stdin() -> int | None:
    """The descriptor of stdin; `None` for a terminal, a device such as /dev/null, or none."""
    if sys.stdin is None:
        return None
    try:
        stdin = sys.stdin.fileno()
        mode = os.fstat(stdin).st_mode
    except (OSError, ValueError):
        return None
    is_text = stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
    return stdin if is_text else None


def _read(stdin: int) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    parts: list[str] = []
    length = 0
    while True:
        block = _block(stdin, is_first=not parts)
        try:
            part = decoder.decode(block, final=not block)
        except UnicodeDecodeError:
            raise UsageError("the text on stdin is not UTF-8; convert it first") from None
        length += len(part)
        if length > MAX_PIPED_CHARACTERS:
            raise UsageError(
                f"the text on stdin is longer than {MAX_PIPED_CHARACTERS:,} characters; "
                "pipe in less of it"
            )
        parts.append(part)
        if not block:
            return "".join(parts).replace("\r\n", "\n")


def _block(stdin: int, *, is_first: bool) -> bytes:
    """The next bytes, empty at the end. Waits in `select`, which Ctrl-C ends."""
    try:
        if is_first and not select.select([stdin], [], [], NOTE_AFTER_S)[0]:
            click.echo("waiting for text on stdin; for none, add < /dev/null", err=True)
        select.select([stdin], [], [])
        return os.read(stdin, _BLOCK_BYTES)
    except OSError as error:
        raise UsageError(f"stdin cannot be read: {error.strerror}") from None
