"""LM Studio's own list of models, `GET /api/v1/models`: what each is called, can do and runs as."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rung.chat import JsonObject, LoadedModel, LoadOptions
from rung.engines.fields import as_list, as_object, as_text, first_count

_INSTANCE_NUMBER = re.compile(r":\d+$")


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A model in memory. `context_tokens` is the window of each of its `slots`."""

    id: str
    context_tokens: int | None
    slots: int | None

    def suits(self, options: LoadOptions, max_context_tokens: int | None) -> bool:
        """Whether it is loaded as `options` want; what LM Studio does not tell is taken to be so.

        More than a model's own window cannot be had, so asking for more asks for that.
        """
        wanted = options.context_tokens
        if wanted is not None and max_context_tokens is not None:
            wanted = min(wanted, max_context_tokens)
        return _agree(wanted, self.context_tokens) and _agree(options.slots, self.slots)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model on disk. `reasoning` are the settings that its `reasoning` parameter takes.

    `format` is that of its file: "gguf", "mlx", what is yet to come, or empty if it is not told.
    """

    key: str
    names: frozenset[str]
    instances: tuple[Instance, ...]
    size_bytes: int | None
    max_context_tokens: int | None
    reasoning: tuple[str, ...]
    format: str = ""

    @property
    def is_gguf(self) -> bool:
        """Whether llama.cpp runs it. Any other runs on MLX, where Outlines enforces schemas."""
        return self.format in ("", "gguf")

    def loaded(self) -> list[LoadedModel]:
        """Its instances. Their memory is that of the file, for LM Studio does not measure it."""
        return [
            LoadedModel(
                model=self.key,
                instance=instance.id,
                context_tokens=instance.context_tokens,
                slots=instance.slots,
                memory_bytes=self.size_bytes,
            )
            for instance in self.instances
        ]


def read_entries(answer: JsonObject) -> list[Entry]:
    """The models of the list; what is unknown or of the wrong type is left out."""
    entries = (as_object(raw) for raw in as_list(answer.get("models")))
    return [_entry(fields) for fields in entries if as_text(fields.get("key"))]


def read_v0_entries(answer: JsonObject) -> list[Entry]:
    """The models of `GET /api/v0/models` of LM Studio 0.3, by their id alone."""
    found = (as_object(raw) for raw in as_list(answer.get("data")))
    return [
        Entry(
            key=as_text(fields["id"]),
            names=frozenset({as_text(fields["id"]).lower()}),
            instances=(),
            size_bytes=None,
            max_context_tokens=first_count(fields.get("max_context_length")),
            reasoning=(),
            format=as_text(fields.get("compatibility_type")),
        )
        for fields in found
        if as_text(fields.get("id"))
    ]


def read_config(config: JsonObject, identifier: str) -> Instance:
    """An instance from the `config` of the list, or the `load_config` of a load."""
    return Instance(
        id=identifier,
        context_tokens=first_count(config.get("context_length")),
        slots=first_count(config.get("parallel")),
    )


def names_of(fields: JsonObject) -> frozenset[str]:
    """What else LM Studio certainly means by an entry of its list, in lower case.

    Of its variants only the one that it would load: another is other weights.
    """
    key, publisher = as_text(fields.get("key")), as_text(fields.get("publisher"))
    quantization = as_text(as_object(fields.get("quantization")).get("name"))
    keys = [key, f"{publisher}/{key}"]
    instances = (as_object(raw) for raw in as_list(fields.get("loaded_instances")))
    names = [
        *keys,
        *(f"{name}@{quantization}" for name in keys if quantization),
        as_text(fields.get("selected_variant")),
        *(as_text(instance.get("id")) for instance in instances),
    ]
    return frozenset(name.lower() for name in names if name)


def find_entry(entries: Sequence[Entry], name: str) -> Entry | None:
    """The model that `name` means, if that is certain.

    A name is a key, `publisher/key`, `key@quantisation`, or the id of an instance, which is the
    key, with `:2` and so on for further ones, or whatever `lms load --identifier` was given.
    """
    name = name.lower()
    for form in (name, name.partition("@")[0], _INSTANCE_NUMBER.sub("", name)):
        found = [entry for entry in entries if form in entry.names]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _entry(fields: JsonObject) -> Entry:
    raw_instances = (as_object(raw) for raw in as_list(fields.get("loaded_instances")))
    instances = tuple(
        read_config(as_object(raw.get("config")), as_text(raw.get("id")))
        for raw in raw_instances
        if as_text(raw.get("id"))
    )
    variants = (as_text(raw) for raw in as_list(fields.get("variants")))
    reasoning = as_object(as_object(fields.get("capabilities")).get("reasoning"))
    options = (as_text(raw) for raw in as_list(reasoning.get("allowed_options")))
    return Entry(
        key=as_text(fields["key"]),
        names=names_of(fields) | {variant.lower() for variant in variants},
        instances=instances,
        size_bytes=first_count(fields.get("size_bytes")),
        max_context_tokens=first_count(fields.get("max_context_length")),
        reasoning=tuple(filter(None, options)),
        format=as_text(fields.get("format")),
    )


def _agree(wanted: int | None, there: int | None) -> bool:
    return wanted is None or there is None or wanted == there
