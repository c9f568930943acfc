"""What was measured of each model on each engine of this machine, kept from one run to the next.

A JSON file in the data folder, not the ledger: it is about this machine's engines, it must be there
where the ledger is off, and every value in it can be measured again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from rung.chat import LoadOptions
from rung.models.lock import FileLock

FILE_NAME = "measured.json"
SAVE_EVERY_S = 30.0
_SMOOTHING = 0.3


class Measured(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model on one engine. `None` or empty means that it was not seen yet.

    `footprints` are bytes in memory by load options (see `options_key`), `bytes_per_token` is UTF-8
    bytes of prompt per token, and the flags are what the engine really did, not what it claims:
    `calls_tools` in any form, `tools_as_text` where Rung has to take the calls out of the text,
    `truncates` where it was caught reading less of a prompt than it was sent.
    """

    footprints: Mapping[str, int] = {}
    load_ms: float | None = None
    tokens_per_s: float | None = None
    first_token_ms: float | None = None
    bytes_per_token: float | None = None
    enforces_schema: bool | None = None
    calls_tools: bool | None = None
    tools_as_text: bool | None = None
    thinks: bool | None = None
    switches_thinking: bool | None = None
    parallel_slots: int | None = None
    truncates: bool | None = None
    probed_at: datetime | None = None


class Measurements:
    """All of them, by engine and model. `learn` is cheap; `save` writes what was learned."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE_NAME
        self._known = _read(self._path)
        self._learned: dict[str, dict[str, Any]] = {}

    def of(self, engine: str, model: str) -> Measured:
        """What is known of the model; all fields empty where nothing is."""
        return self._known.get(f"{engine}/{model}", Measured())

    def learn(self, engine: str, model: str, **fields: Any) -> None:
        """Replace fields of `Measured` by what was just seen; `None` forgets."""
        key, known = f"{engine}/{model}", self.of(engine, model)
        news = {name: value for name, value in fields.items() if getattr(known, name) != value}
        if news:
            self._known[key] = msgspec.structs.replace(known, **news)
            self._learned.setdefault(key, {}).update(news)

    def learn_footprint(
        self, engine: str, model: str, options: LoadOptions, memory_bytes: int
    ) -> None:
        """What the model took in memory, loaded with `options`."""
        known = self.of(engine, model).footprints
        footprints = {**known, options_key(options): memory_bytes}
        self.learn(engine, model, footprints=footprints)

    def smooth(self, engine: str, model: str, **speeds: float) -> None:
        """As `learn`, for numbers that vary: the old value keeps most of its weight."""
        known = self.of(engine, model)
        merged = {
            name: value
            if (old := getattr(known, name)) is None
            else old + _SMOOTHING * (value - old)
            for name, value in speeds.items()
        }
        self.learn(engine, model, **merged)

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Saves now and then for as long as the context lasts, and at its end."""

        async def now_and_then() -> None:
            while True:
                await asyncio.sleep(SAVE_EVERY_S)
                await asyncio.to_thread(self.save)

        saving = asyncio.create_task(now_and_then())
        try:
            yield
        finally:
            saving.cancel()
            await asyncio.wait([saving])
            await asyncio.to_thread(self.save)

    def save(self) -> None:
        """Write what was learned into the file, leaving what other processes learned meanwhile.

        A folder that cannot be written costs only the memory of it. Blocks for a few ms,
        half a second at the most.
        """
        if not self._learned:
            return
        learned, self._learned = self._learned, {}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._path.with_suffix(".lock"))
            if not lock.acquire_soon():
                for key, fields in learned.items():
                    self._learned[key] = {**fields, **self._learned.get(key, {})}
                return
            try:
                self._merge(learned)
            finally:
                lock.release()
        except OSError:
            return

    def _merge(self, learned: Mapping[str, Mapping[str, Any]]) -> None:
        stored = _read(self._path)
        for key, fields in learned.items():
            old = stored.get(key, Measured())
            news = dict(fields)
            if "footprints" in news:
                news["footprints"] = {**old.footprints, **news["footprints"]}
            stored[key] = msgspec.structs.replace(old, **news)
        draft = self._path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(stored)))
        draft.replace(self._path)
        # What was learned while this thread wrote is not in the file, but known all the same.
        for key, fields in list(self._learned.items()):
            stored[key] = msgspec.structs.replace(stored.get(key, Measured()), **dict(fields))
        self._known = stored


def options_key(options: LoadOptions) -> str:
    """Load options as a key: only what changes how much memory a model takes."""
    kind = "embedding" if options.is_embedding else "chat"
    parts = (options.context_tokens or "own", options.slots or 1, options.kv_type or "f16", kind)
    return "x".join(str(part) for part in parts)


def _read(path: Path) -> dict[str, Measured]:
    """What the file has; nothing where it is missing, or damaged, for it can be measured again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Measured])
    except (OSError, msgspec.DecodeError):
        return {}
