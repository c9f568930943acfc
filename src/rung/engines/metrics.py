"""How busy an engine says it is: `GET /metrics` in Prometheus' text format.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from rung.engines.fields import as_number

_RUNNING = ("vllm:num_requests_running", "llamacpp:requests_processing")
_WAITING = ("vllm:num_requests_waiting", "llamacpp:requests_deferred")
_KV_CACHE = ("vllm:kv_cache_usage_perc", "llamacpp:kv_cache_usage_ratio")


class EngineMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """Requests in work and in the queue; `kv_cache_usage` is a share, 0 to 1. `None`: not told."""

    requests_running: int | None = None
    requests_waiting: int | None = None
    kv_cache_usage: float | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is known to be in work."""
        return not (self.requests_running or self.requests_waiting)


def read_metrics(text: str) -> EngineMetrics:
    """The few gauges that are of use, summed over an engine's replicas."""
    samples = read_samples(text)
    running, waiting = _values(samples, _RUNNING), _values(samples, _WAITING)
    return EngineMetrics(
        requests_running=int(sum(running)) if running else None,
        requests_waiting=int(sum(waiting)) if waiting else None,
        kv_cache_usage=max(_values(samples, _KV_CACHE), default=None),
    )


def read_samples(text: str) -> dict[str, list[float]]:
    """The samples by the name of their metric, whatever their labels; bad lines are left out."""
    samples: dict[str, list[float]] = {}
    for line in text.splitlines():
        name, _, rest = line.partition("{")
        # A label may hold a blank or a brace: the value comes after the last brace.
        value = rest.rpartition("}")[2] if rest else name.partition(" ")[2]
        number = as_number(next(iter(value.split()), ""))
        if number is not None and not line.startswith("#"):
            samples.setdefault(name.partition(" ")[0], []).append(number)
    return samples


def _values(samples: Mapping[str, list[float]], names: Sequence[str]) -> list[float]:
    return next((samples[name] for name in names if name in samples), list[float]())
