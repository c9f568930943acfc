"""What a caller of the lifecycle gets: the right to use a model for a while."""

from __future__ import annotations

from dataclasses import dataclass

from rung.chat import LoadedModel

# Of a call that set no limit itself: behind a model that never becomes free, it ends like this.
LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to use a model, which stays in memory until the lease ends.

    `loaded` is `None` where the engine cannot load models. `queue_ms` is the wait without the load;
    `load_ms` is there only for the caller whom the model was loaded for.
    """

    loaded: LoadedModel | None = None
    queue_ms: float = 0.0
    load_ms: float | None = None
