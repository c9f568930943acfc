from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.engines.ndjson import LineParser
from rung.engines.sse import EventTooLongError


@given(st.lists(st.binary(max_size=8)), st.integers(1, 5))
def test_lines_are_the_same_in_whatever_pieces_they_come(lines: list[bytes], size: int) -> None:
    body = b"\n".join(lines)
    parser = LineParser()
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    events = [event for piece in pieces for event in parser.feed(piece)] + parser.close()
    assert [event.data for event in events] == [line for line in body.split(b"\n") if line.strip()]


def test_a_line_is_there_as_soon_as_it_is_complete() -> None:
    parser = LineParser()
    assert parser.feed(b'{"a"') == []
    assert [event.data for event in parser.feed(b':1}\n{"b"')] == [b'{"a":1}']


@pytest.mark.parametrize("pieces", [(b"x" * 11,), (b"x" * 6, b"x" * 5), (b"x" * 11 + b"\n",)])
def test_a_line_that_never_ends_is_refused(pieces: tuple[bytes, ...]) -> None:
    parser = LineParser(10)
    with pytest.raises(EventTooLongError):
        for piece in pieces:
            parser.feed(piece)
