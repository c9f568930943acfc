"""What a llama-server in router mode says of its models: its list, and its events as they happen.

Entries and events as in llama.cpp's tools/server/README.md, section "Using multiple models".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rung.chat import JsonObject
from rung.engines.fields import as_list, as_number, as_object, as_text, decode, first_count


class Size(NamedTuple):
    """Bytes of a download so far, and of all its files that are known by now."""

    done_bytes: int
    total_bytes: int | None


class Entry(NamedTuple):
    """One model of the list. `state` is empty on a server that has but one model.

    `size` is that of its download, `share` how much of its load is done, where it is told.
    """

    id: str
    names: frozenset[str]
    state: str
    has_meta: bool
    exit_code: int | None
    size: Size | None
    share: float | None

    @property
    def is_router(self) -> bool:
        return bool(self.state)

    @property
    def is_ready(self) -> bool:
        """Whether a call is served at once; a sleeping model wakes by itself."""
        return self.state in ("loaded", "sleeping") if self.state else self.has_meta

    @property
    def is_running(self) -> bool:
        """Whether it takes memory, or soon will."""
        return self.state in ("loading", "loaded", "sleeping") if self.state else self.has_meta

    @property
    def is_downloading(self) -> bool:
        return self.state == "downloading"


def read_entries(answer: JsonObject) -> list[Entry]:
    """`GET /models` of a router or of a server with one model."""
    entries = [_entry(as_object(raw)) for raw in as_list(answer.get("data"))]
    return [entry for entry in entries if entry.id]


def named(entries: Sequence[Entry], model: str) -> Entry | None:
    """The entry that `model` means: by its id, or one of its aliases."""
    return next((entry for entry in entries if model in entry.names), None)


def _entry(raw: JsonObject) -> Entry:
    status = as_object(raw.get("status"))
    identifier = as_text(raw.get("id"))
    return Entry(
        id=identifier,
        names=frozenset({identifier, *map(as_text, as_list(raw.get("aliases")))}),
        state=as_text(status.get("value")),
        has_meta=bool(as_object(raw.get("meta"))),
        exit_code=first_count(status.get("exit_code")),
        size=_size(status.get("progress")) or _size(raw.get("progress")),
        share=_share(as_object(status.get("progress"))),
    )


def _size(progress: object) -> Size | None:
    """The sum over the files of a download: `{url: {done, total}}`."""
    files = [file for file in map(as_object, as_object(progress).values()) if "done" in file]
    if not files:
        return None
    return Size(
        sum(first_count(file.get("done")) or 0 for file in files),
        sum(first_count(file.get("total")) or 0 for file in files) or None,
    )


def _share(progress: JsonObject) -> float | None:
    """How much of a load is done, over all its stages, which are taken as equally long."""
    value = as_number(progress.get("value"))
    if value is None:
        return None
    stages = as_list(progress.get("stages"))
    current = progress.get("current")
    before = stages.index(current) if current in stages else 0
    return min(1.0, (before + value) / max(1, len(stages)))


class RouterNews:
    """What the router has told of one model, while it loads or downloads."""

    def __init__(self, model: str) -> None:
        self._model = model
        self.share: float | None = None
        self.size: Size | None = None
        self.has_finished = False
        self.has_failed = False

    def take(self, data: bytes) -> None:
        """Takes in one event of `GET /models/sse`; those of other models are passed over."""
        event = as_object(decode(data))
        if event.get("model") != self._model:
            return
        progress = as_object(as_object(event.get("data")).get("progress"))
        share = _share(progress)
        self.share = self.share if share is None else share
        self.size = _size(progress) or self.size
        self.has_finished |= event.get("event") == "download_finished"
        self.has_failed |= event.get("event") == "download_failed"
