from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.engines.sse import Event, EventParser, EventTooLongError


def parse(*pieces: bytes) -> list[Event]:
    parser = EventParser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + parser.close()


def test_events_are_separated_by_empty_lines() -> None:
    assert parse(b"data: a\n\ndata:b\n\n") == [Event("", b"a"), Event("", b"b")]


def test_data_lines_of_one_event_are_joined() -> None:
    assert parse(b"event: error\ndata: a\ndata: b\n\n") == [Event("error", b"a\nb")]


def test_comments_and_unknown_fields_are_no_events() -> None:
    assert parse(b": ping\n\nid: 3\nretry: 10\n\nnonsense\n\n") == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_ending_of_the_standard_is_known(end: bytes) -> None:
    stream = b"data: a" + end + end + b"data: b" + end + end
    assert parse(stream) == [Event("", b"a"), Event("", b"b")]


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse(b"\xef\xbb\xbfdata: a\n\n") == [Event("", b"a")]


def test_a_last_event_without_an_empty_line_is_not_lost() -> None:
    assert parse(b"data: a\n\ndata: b") == [Event("", b"a"), Event("", b"b")]


def test_an_endless_line_is_refused_before_it_fills_the_memory() -> None:
    parser = EventParser(max_event_bytes=1000)
    with pytest.raises(EventTooLongError):
        for _ in range(20):
            parser.feed(b"data: " + b"x" * 100)


def test_an_endless_event_is_refused_before_it_fills_the_memory() -> None:
    parser = EventParser(max_event_bytes=1000)
    with pytest.raises(EventTooLongError):
        for _ in range(20):
            parser.feed(b"data: " + b"x" * 100 + b"\n")


_LINES = st.sampled_from(
    [b"data: a", b"data: \xf0\x9f\x99\x82", b": c", b"event: x", b"", b"", b"y"]
)
_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(st.tuples(_LINES, _ENDS).map(b"".join), max_size=12).map(b"".join), st.data())
def test_how_the_network_cuts_a_stream_does_not_matter(stream: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parse(*pieces) == parse(stream)
