"""What the policy decides about: models in memory, callers that wait, and whose turn it is.

Times are seconds of the event loop's clock, sizes are bytes, and `None` is always "unknown".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from rung.chat import LoadedModel, LoadOptions

ResidentState = Literal["loading", "ready", "unloading"]
EvictionReason = Literal["room", "options", "idle", "asked", "out_of_memory"]


class Key(NamedTuple):
    """One model on one engine: what is in memory at most once."""

    engine: str
    model: str

    def __str__(self) -> str:
        return f"{self.engine}/{self.model}"


@dataclass(frozen=True, kw_only=True)
class Resident:
    """A model that is in memory, is coming into it, or is leaving it.

    `memory_bytes` is what it takes, or is expected to take while it loads. `slots` bounds its
    leases. `leaving_ticket` is set while somebody who asked for its unloading waits for them to
    end: who came later is not served by it any more. `changed_at` is when `state` last changed.
    `is_ours`: Rung loaded it, and may unload it; `is_left`: in a process that has ended since, and
    nobody has used it here. `claimed_by` is the id of another living process that loaded it.
    `used_at` is 0 where no use is known.
    """

    key: Key
    options: LoadOptions
    state: ResidentState
    loaded: LoadedModel | None = None
    memory_bytes: int | None = None
    slots: int | None = None
    leases: int = 0
    used_at: float = 0.0
    changed_at: float = 0.0
    expires_at: float | None = None
    leaving_ticket: int | None = None
    is_ours: bool = True
    is_left: bool = False
    claimed_by: int | None = None
    is_pinned: bool = False
    is_kept: bool = False
    stuck_until: float | None = None

    @property
    def is_evictable(self) -> bool:
        """Whether it may ever be evicted to make room, if not just now."""
        return self.is_ours and not self.is_pinned and not self.is_stuck

    @property
    def is_stuck(self) -> bool:
        """Whether its engine would not unload it, and is not to be asked again before a while."""
        return self.stuck_until is not None

    @property
    def is_unused(self) -> bool:
        return self.state == "ready" and not self.leases

    def serves(self, wanted: LoadOptions) -> bool:
        """Whether a caller who wants `wanted` can use it; an option that is `None` always agrees.

        What an engine does not tell of a model that others loaded is taken to agree, too.
        """
        mine, told = self.options, self.loaded or LoadedModel(model=self.key.model)
        pairs = (
            (wanted.context_tokens, mine.context_tokens or told.context_tokens),
            (wanted.slots, mine.slots or told.slots),
            (wanted.kv_type, mine.kv_type),
            (wanted.gpu_layers, mine.gpu_layers),
        )
        if not self.is_ours:
            return all(want is None or have in (None, want) for want, have in pairs)
        return wanted.is_embedding == mine.is_embedding and all(
            want in (None, have) for want, have in pairs
        )


@dataclass(frozen=True, kw_only=True)
class Waiter:
    """A caller that waits for a lease. Tickets are given in the order of arrival."""

    ticket: int
    key: Key
    wanted: LoadOptions
    needs_bytes: int | None
    arrived_at: float


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The oldest caller whose model cannot be loaded before `victims` are free to go."""

    ticket: int
    began_at: float
    victims: frozenset[Key]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The models that share one memory, and the callers that wait for some of it, oldest first.

    `budget_bytes` is for all residents together. `engine_slots` bounds the leases of an engine.
    A model is `starved` when its load ran out of memory and it waits for another to be evicted.
    """

    budget_bytes: int | None
    residents: Mapping[Key, Resident] = field(default_factory=dict[Key, Resident])
    waiters: tuple[Waiter, ...] = ()
    turn: Turn | None = None
    engine_slots: Mapping[str, int] = field(default_factory=dict[str, int])
    starved: frozenset[Key] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is to be done now, and the turn that goes on; deciding again after it may give more."""

    grants: tuple[int, ...] = ()
    load: Waiter | None = None
    evictions: tuple[tuple[Key, EvictionReason], ...] = ()
    room_for: Key | None = None
    refusal: int | None = None
    turn: Turn | None = None

    @property
    def is_empty(self) -> bool:
        return not self.grants and not self.evictions and self.load is None and self.refusal is None
