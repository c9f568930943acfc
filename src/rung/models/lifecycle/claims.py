"""Which models Rung loaded into engines that outlive it, and which process did, in one small file.

A model that no process claims was loaded by the user or another program, and is left alone. What a
dead process claimed is any process's to use and to evict; what a living one claims is its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import msgspec

from rung.chat import LoadedModel, LoadOptions
from rung.ledger.owner import is_running, started_ticks
from rung.models.lifecycle.state import Key
from rung.models.lock import FileLock

FILE_NAME = "claims.json"


class Claim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A process loaded the model. `started` tells it from a later one with the same `pid`.

    `told` is the engine's own name for the model, `used_at` a wall-clock time. `is_kept`: somebody
    asked for it to be loaded, rather than needed it for a call.
    """

    pid: int
    started: int | None
    options: LoadOptions
    used_at: float
    told: str = ""
    is_kept: bool = False

    @property
    def is_living(self) -> bool:
        """Whether the process that claims the model lives."""
        return is_running(self.pid) and started_ticks(self.pid) == self.started

    def is_of(self, key: Key, model: LoadedModel) -> bool:
        """Whether it is about what the engine lists as `model`."""
        return model.model in (key.model, f"{key.model}:latest", self.told)


class Claims:
    """The claims of all processes. Without a `data_dir` there are only those of this one.

    `save` blocks, for a few ms; everything else is quick.
    """

    def __init__(self, data_dir: Path | None) -> None:
        self._path = data_dir / FILE_NAME if data_dir is not None else None
        self._mine: dict[Key, Claim] = {}
        self._dropped: set[Key] = set()
        self._has_news = False
        self._others: dict[Key, Claim] = {}
        self._pid, self._started = os.getpid(), started_ticks(os.getpid())

    def take(self, key: Key, options: LoadOptions, told: str = "") -> None:
        """This process loads the model, or uses what a dead one left."""
        self._others.pop(key, None)
        self._dropped.discard(key)
        self._mine[key] = Claim(
            pid=self._pid,
            started=self._started,
            options=options,
            used_at=time.time(),
            told=told,
        )
        self._has_news = True

    def used(self, key: Key, *, is_kept: bool) -> None:
        """A model of this process is used; `save` may come later."""
        mine = self._mine.get(key)
        if mine is not None:
            news = {"used_at": time.time(), "is_kept": mine.is_kept or is_kept}
            self._mine[key] = msgspec.structs.replace(mine, **news)

    def drop(self, key: Key) -> None:
        """The model is not in memory any more."""
        known = self._mine.pop(key, None) or self._others.pop(key, None)
        if known is not None:
            self._dropped.add(key)
            self._has_news = True

    def prune(self, engine: str, there: Container[Key]) -> None:
        """Drop the claims on models that are not `there`, if no other living process has them."""
        for key, claim in list(self.on(engine)):
            if key not in there and not self.is_taken(claim):
                self.drop(key)

    @property
    def has_news(self) -> bool:
        """Whether others should be told soon, by `save`."""
        return self._has_news and self._path is not None

    @property
    def mine(self) -> Sequence[Key]:
        """The models that this process claims."""
        return tuple(self._mine)

    def on(self, engine: str) -> Iterator[tuple[Key, Claim]]:
        """The claims on an engine's models. Where two processes loaded one, the living other's."""
        claims = {**self._mine, **self._others}
        return ((key, claim) for key, claim in claims.items() if key.engine == engine)

    def is_taken(self, claim: Claim) -> bool:
        """Whether another process, which lives, has the claim."""
        is_own = (claim.pid, claim.started) == (self._pid, self._started)
        return not is_own and claim.is_living

    def refresh(self) -> None:
        """Read what other processes claim now."""
        stored = _read(self._path)
        self._others = {
            key: claim
            for key, claim in stored.items()
            if key not in self._dropped and (key not in self._mine or self.is_taken(claim))
        }

    def save(self) -> None:
        """Write the claims of this process, and forget those that were dropped.

        A folder that cannot be written costs only what the next process would know.
        """
        if self._path is None or not (self._has_news or self._mine):
            return
        self._has_news = False
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._path.with_suffix(".lock"))
            if not lock.acquire_soon():
                self._has_news = True
                return
            try:
                self._merge(self._path)
            finally:
                lock.release()
        except OSError:
            return

    def _merge(self, path: Path) -> None:
        dropped = set(self._dropped)
        stored = {
            key: claim
            for key, claim in _read(path).items()
            if key not in dropped or self.is_taken(claim)
        }
        claims = {**stored, **dict(self._mine)}
        named = {f"{key.engine}/{key.model}": claim for key, claim in claims.items()}
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(named)))
        draft.replace(path)
        self._dropped -= dropped


def _read(path: Path | None) -> dict[Key, Claim]:
    """What the file has; nothing where it is missing or damaged: then nobody claims anything."""
    try:
        text = path.read_bytes() if path is not None else b"{}"
        stored = msgspec.json.decode(text, type=dict[str, Claim])
    except (OSError, msgspec.DecodeError):
        return {}
    pairs = ((name.partition("/"), claim) for name, claim in stored.items())
    return {Key(engine, model): claim for (engine, _, model), claim in pairs}
