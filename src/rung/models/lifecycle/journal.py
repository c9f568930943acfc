"""What the lifecycle leaves on record: loads and departures in the ledger, sizes as measured."""

from __future__ import annotations

from collections.abc import Callable

from rung.errors import EngineError
from rung.ledger.rows import AuditRow
from rung.models.lifecycle.state import EvictionReason, Key, Resident
from rung.models.measured import Measurements

_GREW = 1.02
_REASONS: dict[EvictionReason | str, str] = {
    "room": "another model needs its memory",
    "out_of_memory": "another model ran out of memory while it loaded",
    "options": "it is loaded anew with other options",
    "idle": "nobody used it for a while",
    "asked": "somebody asked for it",
    "vanished": "its engine does not have it any more",
}


class Journal:
    """Writes one audit row per load and departure, and remembers what models take."""

    def __init__(self, measured: Measurements, record: Callable[[AuditRow], None]) -> None:
        self._measured = measured
        self._record = record

    def loaded(self, resident: Resident, load_ms: float) -> None:
        self._measured.learn(*resident.key, load_ms=load_ms)
        told = resident.loaded.memory_bytes if resident.loaded is not None else None
        if told is not None:
            self._measured.learn_footprint(*resident.key, resident.options, told)
        self._note("model.load", resident, load_ms=round(load_ms, 1))

    def left(
        self, resident: Resident, reason: EvictionReason | str, room_for: Key | None = None
    ) -> None:
        is_eviction = reason in ("room", "out_of_memory")
        details = {"reason": _REASONS.get(reason, reason), "room_for": room_for and str(room_for)}
        self._note("model.evict" if is_eviction else "model.unload", resident, **details)

    def failed(self, resident: Resident, error: EngineError) -> None:
        self._note("model.load", resident, error=error.kind, message=error.message[:500])

    def measure(self, resident: Resident, memory_bytes: int) -> None:
        """Remember the footprint, if it grew: a model is at its largest once it has answered."""
        if memory_bytes > (resident.memory_bytes or 0) * _GREW:
            self._measured.learn_footprint(*resident.key, resident.options, memory_bytes)

    def _note(self, kind: str, resident: Resident, **details: object) -> None:
        engine, model = resident.key
        known = {"engine": engine, "model": model, "memory_bytes": resident.memory_bytes, **details}
        told = {name: value for name, value in known.items() if value is not None}
        self._record(AuditRow(kind=kind, details=told))
