"""Reasoning that a model prints inside its answer, told apart from the answer as it streams.

A leading `<think>…</think>` is reasoning; so is all text before a `</think>` that nothing opened
(chat templates that open the block in the prompt leave that), and everything after a block that
is never closed. Tags later in a text, or in the middle of a line, are the model's own words.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec.structs import replace

from rung.chat import ChatRequest, Message

_CLOSER = {"<think>": "</think>", "<thinking>": "</thinking>", "[THINK]": "[/THINK]"}
_TAGS = (*_CLOSER, *_CLOSER.values())

_State = Literal["start", "inside", "after", "text", "done"]


class Split(NamedTuple):
    """What a piece held. `recant`: all text handed out before it was reasoning after all."""

    text: str = ""
    reasoning: str = ""
    recant: bool = False


class ThinkSplitter:
    """Feed it an answer in pieces. It holds back no more than may be part of a tag."""

    def __init__(self) -> None:
        self._state: _State = "start"
        self._held: str = ""
        self._closer = ""
        self._last = "\n"
        self.found = False

    def feed(self, piece: str) -> Split:
        if self._state == "done":
            return Split(text=piece)
        self._held += piece
        return self._drain(at_end=False)

    def finish(self) -> Split:
        """What was held back, now that nothing more will come."""
        return self._drain(at_end=True)

    def _drain(self, *, at_end: bool) -> Split:
        total = Split()
        while self._held:
            before, held = self._state, len(self._held)
            part = self._step(at_end=at_end)
            if part.recant:
                total = Split("", total.text + total.reasoning + part.reasoning, recant=True)
            else:
                total = Split(
                    total.text + part.text, total.reasoning + part.reasoning, total.recant
                )
            if (self._state, len(self._held)) == (before, held):
                break
        return total

    def _step(self, *, at_end: bool) -> Split:
        match self._state:
            case "start":
                return self._start(at_end=at_end)
            case "inside":
                return self._inside(at_end=at_end)
            case "after":
                self._held = self._held.lstrip()
                self._state = "done" if self._held else "after"
                return Split()
            case "text":
                return self._text(at_end=at_end)
            case "done":
                return Split(text=self._take(len(self._held)))

    def _start(self, *, at_end: bool) -> Split:
        begin = self._held.lstrip()
        for opener, closer in _CLOSER.items():
            if begin.startswith(opener):
                self._state, self._closer, self.found = "inside", closer, True
                self._held = begin.removeprefix(opener)
                return Split()
            if begin.startswith(closer):
                self._state, self.found = "after", True
                self._held = begin.removeprefix(closer)
                return Split()
        may_be_a_tag = not begin or any(tag.startswith(begin) for tag in _TAGS)
        if at_end or not may_be_a_tag:
            self._state = "text"
        return Split()

    def _inside(self, *, at_end: bool) -> Split:
        reasoning, found, rest = self._held.partition(self._closer)
        if found:
            self._state, self._held = "after", rest
            return Split(reasoning=reasoning)
        keep = 0 if at_end else _partial_tag(self._held, (self._closer,))
        return Split(reasoning=self._take(len(self._held) - keep))

    def _text(self, *, at_end: bool) -> Split:
        if "<" not in self._held and "[" not in self._held:
            return Split(text=self._take(len(self._held)))
        found = [(place, tag) for tag in _TAGS if (place := self._held.find(tag)) >= 0]
        if not found:
            keep = 0 if at_end else _partial_tag(self._held, _TAGS)
            return Split(text=self._take(len(self._held) - keep))
        place, tag = min(found)
        if tag in _CLOSER:
            self._state = "done"
            return Split()
        end = place + len(tag)
        if end == len(self._held) and not at_end:
            return Split(text=self._take(place))
        before = self._held[place - 1] if place else self._last
        if before == "\n" or self._held[end : end + 1] in ("", "\n", "\r"):
            reasoning = self._take(place)
            self._state, self._held, self.found = "after", self._held[len(tag) :], True
            return Split(reasoning=reasoning, recant=True)
        return Split(text=self._take(end))

    def _take(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        self._last = taken[-1:] or self._last
        return taken


def without_old_thinking(request: ChatRequest) -> ChatRequest:
    """The request with what the model said in earlier turns, but not what it thought then.

    Models are trained on conversations without old reasoning, and it fills the context window.
    """
    messages = tuple(map(_without_thinking, request.messages))
    return request if messages == request.messages else replace(request, messages=messages)


def _without_thinking(message: Message) -> Message:
    if message.role != "assistant" or not any(tag in message.content for tag in _TAGS):
        return message
    splitter = ThinkSplitter()
    text = ""
    for split in (splitter.feed(message.content), splitter.finish()):
        text = split.text if split.recant else text + split.text
    return replace(message, content=text) if splitter.found else message


def _partial_tag(text: str, tags: tuple[str, ...]) -> int:
    """How many characters at the end of `text` may be the beginning of one of `tags`."""
    longest = max(len(tag) for tag in tags) - 1
    for count in range(min(longest, len(text)), 0, -1):
        if any(tag.startswith(text[-count:]) for tag in tags):
            return count
    return 0
