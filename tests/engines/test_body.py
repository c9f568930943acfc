from __future__ import annotations

from typing import Any

import pytest

from rung.engines.body import AnswerBody
from rung.engines.failure import Origin
from rung.errors import EngineError

ORIGIN = Origin(engine="e", base_url="http://127.0.0.1:1/v1")
WHOLE = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'


def read(*pieces: bytes, max_bytes: int = 10_000) -> list[dict[str, Any]]:
    body = AnswerBody(ORIGIN, max_bytes)
    events = [event for piece in pieces for event in body.feed(piece)]
    return events + body.close()


def kind_of(*pieces: bytes) -> str:
    with pytest.raises(EngineError) as raised:
        read(*pieces)
    assert "<" not in raised.value.message
    return raised.value.kind


def test_a_stream_is_read_up_to_its_end_marker() -> None:
    assert read(b'data: {"a":1}\n\ndata: [DONE]\n\ndata: {"b":2}\n\n') == [{"a": 1}]


def test_a_whole_completion_is_accepted_where_a_stream_was_asked_for() -> None:
    (event,) = read(WHOLE[:20], WHOLE[20:])
    assert event["choices"][0]["message"]["content"] == "hi"


def test_blank_lines_before_a_whole_completion_do_no_harm() -> None:
    assert len(read(b"\n", b" \r\n", WHOLE)) == 1


def test_empty_events_and_comments_are_passed_over() -> None:
    assert read(b": ping\n\ndata:\n\ndata: {}\n\ndata: [DONE]\n\n") == [{}]


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ((b"",), "bad_output"),
        ((b" \n ",), "bad_output"),
        ((b": ping\n\n",), "bad_output"),
        ((WHOLE[:40],), "bad_output"),
        ((b"{}",), "bad_output"),
        ((b"[]",), "bad_output"),
        ((b'{"choices":[]}',), "bad_output"),
        ((b"Internal error",), "bad_output"),
        ((b"[" * 100_000,), "bad_output"),
        ((b"<!DOCTYPE html><html><title>Hi</title></html>",), "unreachable"),
        ((b'{"error":"Unexpected endpoint or method. (POST /x)"}',), "bad_request"),
        ((b'{"error":{"message":"no credit","code":402}}',), "over_budget"),
        ((b'{"choices":[{"error":{"code":429,"message":"slow"}}]}',), "rate_limited"),
        ((b"data: {nonsense\n\n",), "bad_output"),
        ((b'data: {"a":"\xff\xfe"}\n\n',), "bad_output"),
        ((b'data: {"error":"boom"}\n\n',), "server_error"),
        ((b"event: error\ndata: it broke\n\n",), "server_error"),
        ((b'data: {"choices":[]}\n\ndata: {"error":{"code":502}}\n\n',), "server_error"),
        ((b'data: {"choices":[{"delta":{},"error":{"code":402}}]}\n\n',), "over_budget"),
        ((b"data: " + b"x" * 20_000,), "bad_output"),
        ((b'{"a":"', b"x" * 20_000), "bad_output"),
    ],
)
def test_each_lie_of_a_200_has_its_kind(pieces: tuple[bytes, ...], kind: str) -> None:
    assert kind_of(*pieces) == kind


def test_a_null_error_is_no_error() -> None:
    assert len(read(b'{"error":null,' + WHOLE[1:])) == 1
    assert len(read(b'data: {"error":null}\n\ndata: [DONE]\n\n')) == 1


def test_a_stream_that_just_ends_is_not_done() -> None:
    body = AnswerBody(ORIGIN)
    body.feed(b'data: {"a":1}\n\n')
    body.close()
    assert not body.is_done
