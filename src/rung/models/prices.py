"""What a model costs, and what a call with it has cost; whatever is not known is `None`, never 0.

Published prices come from the package genai-prices, from the data inside it: nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import TYPE_CHECKING

from rung.chat import Usage
from rung.config.settings import EngineKind

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

# A kind that is one provider's. The OpenAI API is spoken by many, told apart by their address.
# OpenRouter lists its own prices: where it says none, for it varies, there is none.
_PROVIDERS: Mapping[EngineKind, str] = {"anthropic": "anthropic"}

# The units of text. A model that bills by others as well would be under-estimated, so it has no
# price, but for these, which Rung neither sends nor asks for.
_TEXT_UNITS = frozenset(
    {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok"}
)
_UNUSED_UNITS = frozenset(
    {
        "web_searches_kcount",
        "storage_searches_kcount",
        "input_audio_mtok",
        "output_audio_mtok",
        "cache_audio_read_mtok",
        "input_video_mtok",
        "output_video_mtok",
    }
)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """USD per million tokens. Tokens that were written into a cache are billed instead of, not
    on top of, `usd_per_mtok_in`; `1h` is for a cache that lives an hour instead of minutes.
    """

    usd_per_mtok_in: float
    usd_per_mtok_out: float
    usd_per_mtok_cache_read: float | None = None
    usd_per_mtok_cache_write: float | None = None
    usd_per_mtok_cache_write_1h: float | None = None

    @property
    def is_free(self) -> bool:
        return self.usd_per_mtok_in == self.usd_per_mtok_out == 0


@dataclass(frozen=True, kw_only=True)
class LongPrompt:
    """The tariff for every token of a request whose prompt is longer than `above_tokens`."""

    above_tokens: int
    rates: Rates


@dataclass(frozen=True, kw_only=True)
class Price(Rates):
    """A model's price at one time. `source` says whose figure it is, `effective_from` since when.

    `effective_from` is `None` where the source does not date it. `long_prompts` go from short to
    long.
    """

    long_prompts: tuple[LongPrompt, ...] = ()
    source: str = ""
    effective_from: date | None = None

    @property
    def is_free(self) -> bool:
        return super().is_free and all(long.rates.is_free for long in self.long_prompts)

    def rates_for(self, tokens_in: int) -> Rates:
        """The tariff of a request with a prompt of `tokens_in`, cached tokens included."""
        fitting = [long.rates for long in self.long_prompts if tokens_in > long.above_tokens]
        return fitting[-1] if fitting else self

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """USD for tokens of which none were cached."""
        rates = self.rates_for(tokens_in)
        return (tokens_in * rates.usd_per_mtok_in + tokens_out * rates.usd_per_mtok_out) / 1e6

    def most(self, tokens_in: int, tokens_out: int) -> float:
        """USD that a request of up to so many tokens costs at most, in any tariff it may fall in.

        Providers that cache by themselves bill the first reading of a prompt as a cache write.
        """
        longer = [long.rates for long in self.long_prompts if tokens_in > long.above_tokens]
        return (
            max(
                tokens_in * max(rates.usd_per_mtok_in, rates.usd_per_mtok_cache_write or 0.0)
                + tokens_out * rates.usd_per_mtok_out
                for rates in (self, *longer)
            )
            / 1e6
        )

    def cost_of(self, usage: Usage) -> float | None:
        """USD for what a call used; `None` where a part of it, or that part's price, is unknown.

        Cached tokens without a price of their own count as plain input, which is never less.
        """
        if usage.tokens_in is None or usage.tokens_out is None:
            return None
        rates = self.rates_for(usage.tokens_in)
        written = _write_cost(rates, usage)
        read = usage.tokens_cached or 0
        plain = usage.tokens_in - read - (usage.tokens_cache_write or 0)
        if written is None or plain < 0:
            return None
        read_rate = rates.usd_per_mtok_cache_read
        return (
            plain * rates.usd_per_mtok_in
            + read * (rates.usd_per_mtok_in if read_rate is None else read_rate)
            + written
            + usage.tokens_out * rates.usd_per_mtok_out
        ) / 1e6


def _write_cost(rates: Rates, usage: Usage) -> float | None:
    """Millionths of a USD for the tokens written into a cache; `None` where it is not known."""
    written, lasting = usage.tokens_cache_write, usage.tokens_cache_write_1h
    if written == 0:
        return 0.0
    if written is None:
        # Nothing is said of a cache; that is of no matter where none costs more than input does.
        surcharge = (rates.usd_per_mtok_cache_write or 0.0) - rates.usd_per_mtok_in
        return None if surcharge > 0 else 0.0
    if lasting is None:
        if rates.usd_per_mtok_cache_write_1h is not None:
            return None
        lasting = 0
    parts = (
        (written - lasting, rates.usd_per_mtok_cache_write),
        (lasting, rates.usd_per_mtok_cache_write_1h),
    )
    if any(tokens < 0 or (tokens and rate is None) for tokens, rate in parts):
        return None
    return sum(tokens * (rate or 0.0) for tokens, rate in parts)


FREE = Price(usd_per_mtok_in=0.0, usd_per_mtok_out=0.0, source="own machine")


def published_price(
    kind: EngineKind, base_url: str, model_id: str, at: datetime | None = None
) -> Price | None:
    """What the provider publishes as the price of `model_id` at a time (default: now).

    `None` where the provider or the model is not known, and where it bills by more than tokens of
    text. A price that changes by the hour counts at its peak, for a call may end in another hour
    than it began in.
    """
    on = (at or datetime.now(UTC)).astimezone(UTC).date()
    return _published_on(kind, base_url, model_id, on)


@lru_cache(maxsize=4096)
def _published_on(kind: EngineKind, base_url: str, model_id: str, on: date) -> Price | None:
    # Imported here: 1.6 MB of data, which only a paid model needs.
    from genai_prices import __version__
    from genai_prices.data_snapshot import get_snapshot

    provider = _PROVIDERS.get(kind)
    if provider is None and kind != "openai":
        return None
    try:
        _, model = get_snapshot().find_provider_model(
            model_id, None, provider, base_url if provider is None else None
        )
    except LookupError:
        return None
    source = f"genai-prices {__version__}"
    prices = [_as_price(table, since, source) for table, since in _tables(model, on)]
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return None
    return max(known, key=lambda price: (price.usd_per_mtok_out, price.usd_per_mtok_in))


def _tables(model: ModelInfo, on: date) -> Iterator[tuple[ModelPrice, date | None]]:
    """The price tables that hold at some hour of a day, each with the day from which it does."""
    from genai_prices.types import ModelPrice, StartDateConstraint

    if isinstance(model.prices, ModelPrice):
        yield model.prices, None
        return
    for hour in range(24):
        at = datetime.combine(on, time(hour), UTC)
        active = [
            row for row in model.prices if row.constraint is None or row.constraint.active(at)
        ]
        row = active[-1] if active else model.prices[0]
        since = row.constraint
        yield row.prices, since.start_date if isinstance(since, StartDateConstraint) else None


def _as_price(table: ModelPrice, since: date | None, source: str) -> Price | None:
    units = {unit for unit, value in vars(table).items() if value is not None}
    if not {"input_mtok", "output_mtok"} <= units <= _TEXT_UNITS | _UNUSED_UNITS:
        return None
    starts = sorted(_tier_starts(getattr(table, unit) for unit in units & _TEXT_UNITS))
    return Price(
        **_rates_above(table, -1),
        long_prompts=tuple(
            LongPrompt(above_tokens=start, rates=Rates(**_rates_above(table, start)))
            for start in starts
        ),
        source=source,
        effective_from=since,
    )


def _tier_starts(values: Iterable[object]) -> set[int]:
    from genai_prices.types import TieredPrices

    return {
        tier.start for value in values if isinstance(value, TieredPrices) for tier in value.tiers
    }


def _rates_above(table: ModelPrice, start: int) -> Mapping[str, float]:
    """The fields of `Rates` for a prompt longer than `start` tokens (-1: any prompt)."""
    from genai_prices.types import TieredPrices

    def rate(unit: str) -> float | None:
        value = getattr(table, unit)
        if isinstance(value, TieredPrices):
            reached = [tier.price for tier in value.tiers if tier.start <= start]
            value = reached[-1] if reached else value.base
        return None if value is None else float(value)

    fields = {
        "usd_per_mtok_in": rate("input_mtok"),
        "usd_per_mtok_out": rate("output_mtok"),
        "usd_per_mtok_cache_read": rate("cache_read_mtok"),
        "usd_per_mtok_cache_write": rate("cache_write_mtok"),
        "usd_per_mtok_cache_write_1h": rate("cache_write_1h_mtok"),
    }
    return {name: value for name, value in fields.items() if value is not None}
