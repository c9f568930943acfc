"""Whether a prompt fits a context window, and whether the engine read all of it: pure decisions.

The numbers come in three strengths. Certain: a token is at least one byte and at most 128 bytes
of text. Likely: bytes by the ratio that this model's answers have taught, or by a careful guess.
Exact: the engine's own count, which costs a request and is asked for only where the others leave a
doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from rung.chat import ChatRequest, ModelInfo

# What a template adds: markers around each turn, and the system prompt that some put in front.
TEMPLATE_TOKENS = 128
TURN_TOKENS = 16
MAX_TOKEN_BYTES = 128
# Ordinary text has 3 to 5 bytes a token, code about 3, Chinese 2 to 3, random digits 2.
USUAL_BYTES_PER_TOKEN = 3.0
LIKELY_BYTES_PER_TOKEN = (1.0, 8.0)  # a ratio outside is a miscount, not a text
# An image is 250 to 2,000 tokens in the usual encoders, 4,800 at the highest resolutions.
IMAGE_TOKENS = 1_000
MOST_IMAGE_TOKENS = 4_800
# A window with less room than this after the prompt gives no answer worth having.
LEAST_ANSWER_TOKENS = 256
# What engines that choose a window by themselves choose at least.
FIRST_WINDOW_TOKENS = 4_096
_TELLING_BYTES = 400  # below, the template outweighs the text
_CALIBRATED_ERROR = 0.25
_GUESSED_ERROR = 0.5

Verdict = Literal["fits", "too_long", "doubt"]


@dataclass(frozen=True, kw_only=True)
class PromptSize:
    """A prompt in tokens: `estimate` is the best guess, the others bound it.

    `least` and `most` are certain (but for images), `low` and `high` likely.
    """

    text_bytes: int
    turns: int
    images: int
    bytes_per_token: float | None

    @property
    def least(self) -> int:
        return self.text_bytes // MAX_TOKEN_BYTES

    @property
    def most(self) -> int:
        return self.text_bytes + self._template + self.images * MOST_IMAGE_TOKENS

    @property
    def estimate(self) -> int:
        text = self.text_bytes / (self.bytes_per_token or USUAL_BYTES_PER_TOKEN)
        return min(self.most, round(text) + self.turns * TURN_TOKENS + self.images * IMAGE_TOKENS)

    @property
    def low(self) -> int:
        return max(self.least, round(self.estimate * (1 - self._error)))

    @property
    def high(self) -> int:
        return min(self.most, round(self.estimate * (1 + self._error)) + self._template)

    @property
    def _error(self) -> float:
        return _GUESSED_ERROR if self.bytes_per_token is None else _CALIBRATED_ERROR

    @property
    def _template(self) -> int:
        return TEMPLATE_TOKENS + self.turns * TURN_TOKENS


def prompt_size(request: ChatRequest, bytes_per_token: float | None) -> PromptSize:
    """The size of all that becomes prompt: turns, tool calls, and the tools that are offered."""
    texts = [message.content for message in request.messages]
    texts += [call.name + call.arguments for turn in request.messages for call in turn.tool_calls]
    text_bytes = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return PromptSize(
        text_bytes=text_bytes + (len(msgspec.json.encode(request.tools)) if request.tools else 0),
        turns=len(request.messages),
        images=sum(len(message.images) for message in request.messages),
        bytes_per_token=bytes_per_token,
    )


def answer_room(max_tokens: int | None) -> int:
    """The tokens that a window must have left for the answer: all it may take, 256 at most.

    More is not asked for: few answers are as long as they may be, and one that is ends with finish
    reason `length`, which everybody sees.
    """
    return min(max_tokens or LEAST_ANSWER_TOKENS, LEAST_ANSWER_TOKENS)


def judge(size: PromptSize, window: int, max_tokens: int | None) -> Verdict:
    """Whether the prompt fits, as far as it can be told without asking the engine."""
    if size.high + max(answer_room(max_tokens), max_tokens or 0) <= window:
        return "fits"
    if size.least + answer_room(max_tokens) > window:
        return "too_long"
    return "doubt"


def settle(
    size: PromptSize,
    exact: int | None,
    window: int,
    max_tokens: int | None,
    *,
    truncates: bool,
) -> bool:
    """Whether a prompt in doubt is sent. Without an `exact` count it gets the benefit of the doubt.

    Not on an engine that `truncates`: elsewhere a prompt that is too long after all is an error,
    there it is a wrong answer.
    """
    if exact is None:
        exact = size.estimate if truncates else size.low
    return exact + answer_room(max_tokens) <= window


def lowered_max_tokens(
    size: PromptSize, exact: int | None, window: int, max_tokens: int | None
) -> int | None:
    """`max_tokens` that the rest of the window holds, for an engine that refuses more."""
    if max_tokens is None or (size.estimate if exact is None else exact) + max_tokens <= window:
        return max_tokens
    rest = window - (size.high if exact is None else exact)
    return min(max_tokens, max(rest, answer_room(max_tokens)))


def planned_window(info: ModelInfo, declared: int | None, *, is_loadable: bool) -> int | None:
    """The window that a call will get; `None` where nobody knows.

    The engine knows best. What the user declares counts where it is silent or says more, and where
    the model can be loaded as it is declared, up to what the model was trained on. A window of 0
    is how some servers say that they do not know.
    """
    if declared is None:
        return info.context_tokens or None
    bound = info.max_context_tokens if is_loadable else info.context_tokens
    return min(declared, bound or declared)


def grown_window(current: int | None, needed: int, longest: int | None) -> int:
    """A window for an engine whose requests choose it (Ollama): the current one while it is enough.

    Every change loads the model anew, so it grows by powers of two and never shrinks.
    """
    window = current or FIRST_WINDOW_TOKENS
    if needed > window:
        window = 1 << (needed - 1).bit_length()
    # A window that is served already is not made smaller by what a listing says.
    return max(current or 0, min(window, longest or window))


def seen_bytes_per_token(size: PromptSize, tokens_in: int | None) -> float | None:
    """What an answer's usage teaches; `None` where it teaches nothing.

    Some engines leave cached tokens out of their count, which makes the ratio impossible.
    """
    if tokens_in is None or size.images or size.text_bytes < _TELLING_BYTES:
        return None
    text_tokens = tokens_in - size.turns * TURN_TOKENS
    smallest, largest = LIKELY_BYTES_PER_TOKEN
    if text_tokens < 1 or not smallest <= size.text_bytes / text_tokens <= largest:
        return None
    return size.text_bytes / text_tokens


def is_truncated(
    size: PromptSize, exact: int | None, tokens_in: int | None, window: int | None
) -> bool:
    """Whether the engine read clearly less than it was sent.

    Without an exact count only what cannot be otherwise counts: fewer tokens than the text can
    have, or half of what a learned ratio says of a prompt that the window could not hold. A cut
    prompt still fills much of its window; a count below that leaves out what was cached.
    """
    if tokens_in is None or size.images:
        return False
    if exact is not None:
        return tokens_in < exact * 0.9 - TURN_TOKENS
    if tokens_in < (window or FIRST_WINDOW_TOKENS) / 4:
        return False
    is_beyond_window = (
        size.bytes_per_token is not None and window is not None and size.estimate > window * 0.9
    )
    return tokens_in < size.least or (is_beyond_window and tokens_in < size.estimate / 2)
