"""What a call may cost at most, and what it did cost: whole nano-USD, so that sums are exact."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rung.chat import ChatRequest, Usage
from rung.config.settings import MOST_USD
from rung.routing.context import prompt_size
from rung.routing.models import RoutedModel

NANO = 1_000_000_000
# What a provider's own text on how to call tools adds to a prompt.
TOOLS_TOKENS = 1_000
# No call has more. A figure beyond is an engine's mistake, and sums must fit 64 bits.
MOST_TOKENS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class WorstCase:
    """The most that a call can use; `nano_usd` is `None` where its price is not known."""

    nano_usd: int | None
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What a call used. Where nobody knows, its worst case, and `is_known` is false."""

    nano_usd: int
    tokens: int
    is_known: bool


NOTHING = Bill(nano_usd=0, tokens=0, is_known=True)


def nano_usd(usd: float) -> int:
    """Never less than `usd`. What a float cannot say exactly is rounded away first.

    0.1 is 100,000,000 and so is 0.1 + 1e-17; any part of a nano-USD that is left counts as one.
    """
    return math.ceil(round(usd * NANO, 3))


def in_usd(nano: int) -> str:
    """`$0.0120` for a person; what is less than a hundredth of a cent is not shown as nothing."""
    usd = nano / NANO
    return f"${usd:.4f}" if usd == 0 or usd >= 0.0001 else f"${usd:.9f}"


def worst_case(model: RoutedModel, request: ChatRequest) -> WorstCase:
    """The prompt counted in bytes, the answer at full length, at the dearest tariff it may get."""
    tokens_in = prompt_size(request, None).most
    tokens_in += len(str(request.schema or "").encode("utf-8", "surrogatepass"))
    tokens_in += TOOLS_TOKENS if request.tools else 0
    tokens_out = request.max_tokens
    if model.is_free:
        cost = 0
    elif model.price is None or tokens_out is None:
        cost = None
    else:
        usd = model.price.most(tokens_in, tokens_out)
        cost = nano_usd(usd) if usd <= MOST_USD else None
    return WorstCase(nano_usd=cost, tokens=tokens_in + (tokens_out or 0))


def bill_of(model: RoutedModel, usage: Usage, worst: WorstCase) -> Bill:
    """What an engine says that the call used.

    A figure that no bill can have (missing, negative, no number, beyond all measure) is not known.
    """
    usd = model.cost_usd(usage) if _are_possible(usage) else None
    tokens = worst.tokens
    if usage.tokens_in is not None and usage.tokens_out is not None and _are_possible(usage):
        tokens = usage.tokens_in + usage.tokens_out
    if usd is None or not 0 <= usd <= MOST_USD:
        return Bill(nano_usd=worst.nano_usd or 0, tokens=tokens, is_known=model.is_free)
    return Bill(nano_usd=nano_usd(usd), tokens=tokens, is_known=True)


def _are_possible(usage: Usage) -> bool:
    return all(0 <= count <= MOST_TOKENS for count in (usage.tokens_in or 0, usage.tokens_out or 0))
