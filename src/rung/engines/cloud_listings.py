"""The models that paid APIs list, with what only they tell: prices, and what a model can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from rung.chat import Capability, JsonObject, ModelInfo
from rung.engines.fields import as_list, as_number, as_object, as_text, first_count
from rung.engines.listings import read_openai


def read_anthropic(answers: Sequence[object]) -> list[ModelInfo] | None:
    """`GET /v1/models`: each can call tools, and says what else it can."""
    listing = as_object(answers[0])
    if not isinstance(listing.get("data"), list):
        return None
    return [
        ModelInfo(
            id=as_text(entry.get("id")),
            context_tokens=first_count(entry.get("max_input_tokens")),
            max_context_tokens=first_count(entry.get("max_input_tokens")),
            capabilities=_claude_capabilities(as_object(entry.get("capabilities"))),
        )
        for entry in map(as_object, as_list(listing["data"]))
        if as_text(entry.get("id"))
    ]


def _claude_capabilities(told: JsonObject) -> frozenset[Capability] | None:
    if not told:
        return None
    can: set[Capability] = {"tools"}
    if as_object(told.get("image_input")).get("supported"):
        can.add("vision")
    if as_object(told.get("thinking")).get("supported"):
        can.add("thinking")
    return frozenset(can)


def read_openrouter(answers: Sequence[object]) -> list[ModelInfo] | None:
    """`GET /api/v1/models`, whose prices are texts, in USD per token."""
    models = read_openai(answers)
    if models is None:
        return None
    entries = map(as_object, as_list(as_object(answers[0]).get("data")))
    by_id = {as_text(entry.get("id")): entry for entry in entries}
    return [_with_details(model, by_id[model.id]) for model in models]


def supported_parameters(listing: JsonObject) -> Mapping[str, frozenset[str]]:
    """What each of OpenRouter's models takes in a request, by its id."""
    entries = map(as_object, as_list(listing.get("data")))
    return {
        as_text(entry.get("id")): frozenset(map(as_text, as_list(entry["supported_parameters"])))
        for entry in entries
        if isinstance(entry.get("supported_parameters"), list)
    }


def _with_details(model: ModelInfo, entry: JsonObject) -> ModelInfo:
    prices = as_object(entry.get("pricing"))
    return msgspec.structs.replace(
        model,
        capabilities=_capabilities(entry),
        # What is billed by request would be missing from any sum of tokens.
        **({} if as_number(prices.get("request")) else _prices(prices)),
    )


def _prices(told: JsonObject) -> Mapping[str, float | None]:
    """A price of -1 is one that varies: it is unknown."""
    names = {
        "usd_per_mtok_in": "prompt",
        "usd_per_mtok_out": "completion",
        "usd_per_mtok_cache_read": "input_cache_read",
        "usd_per_mtok_cache_write": "input_cache_write",
    }
    per_token = {ours: as_number(told.get(theirs)) for ours, theirs in names.items()}
    return {
        name: None if price is None else round(price * 1e6, 9) for name, price in per_token.items()
    }


def _capabilities(entry: JsonObject) -> frozenset[Capability] | None:
    if not isinstance(entry.get("supported_parameters"), list):
        return None
    can: set[Capability] = set()
    parameters = as_list(entry["supported_parameters"])
    if "tools" in parameters:
        can.add("tools")
    if "reasoning" in parameters:
        can.add("thinking")
    if "image" in as_list(as_object(entry.get("architecture")).get("input_modalities")):
        can.add("vision")
    return frozenset(can)
