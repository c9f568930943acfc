"""Which models are probed: those that were named, or that are ready, and cost nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass

from rung.models.measured import Measurements
from rung.routing.calls import Calls, Label
from rung.routing.models import RoutedModel
from rung.routing.probe import Probed, probe, unprobed
from rung.routing.router import Router


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The models to probe: those that are `free`, and those that are not or may not be.

    `skipped` are others of the engines that were named, as results that say why.
    """

    free: tuple[RoutedModel, ...]
    paid: tuple[RoutedModel, ...]
    skipped: tuple[Probed, ...]


class Prober:
    """Probes models through `calls`, so that all is on record, and saves what it finds."""

    def __init__(self, router: Router, calls: Calls, measured: Measurements) -> None:
        self._router = router
        self._calls = calls
        self._measured = measured

    async def choose(self, names: Sequence[str] = (), *, loads: bool = False) -> Chosen:
        """The models of `names`: `ENGINE/MODEL`, or `ENGINE` for what it has loaded.

        Without names, what all engines have loaded; `loads` takes also what must be loaded first.
        Raises UsageError for a model that does not exist, EngineError where its engine is the
        trouble.
        """
        engines = {engine.name: engine for engine in self._router.engines}
        whole = [engines[name] for name in (names or engines) if name in engines]
        models = [await self._router.find(name) for name in names if name not in engines]
        skipped: list[Probed] = []
        for engine in whole:
            if not self._router.allows(engine, local_only=False):
                continue
            listing = await self._router.listing(engine)
            if listing.failure is not None:
                skipped.append(unprobed(engine.name, listing.failure.message))
            ready, others = _ready(listing.models, loads=loads)
            models += ready
            skipped += [unprobed(m.name, "not loaded; name it, or add --load") for m in others]
        unique = {model.name: model for model in models}.values()
        return Chosen(
            free=tuple(model for model in unique if model.is_free),
            paid=tuple(model for model in unique if not model.is_free),
            skipped=tuple(skipped),
        )

    async def run(
        self,
        models: Iterable[RoutedModel],
        on_step: Callable[[str, str], None] = lambda _model, _step: None,
    ) -> AsyncGenerator[Probed, None]:
        """Probe one after another; `on_step` hears the model's name and what is tried of it."""
        label = Label(purpose="probe")
        for model in models:
            try:
                yield await probe(
                    model,
                    lambda request, model=model: self._calls.stream(model, request, label),
                    self._measured,
                    lambda step, name=model.name: on_step(name, step),
                )
            finally:
                self._measured.save()


def _ready(
    models: Iterable[RoutedModel], *, loads: bool
) -> tuple[list[RoutedModel], list[RoutedModel]]:
    """Chat models that nobody named one by one: those that can be asked at once, and the others.

    An engine that does not say what is loaded has all its models ready. Of a cloud's hundreds only
    those count that the user declared.
    """
    offered = [
        model
        for model in models
        if model.info.is_chat and (model.locality != "cloud" or model.tier or model.is_default)
    ]
    ready = [model for model in offered if loads or model.info.is_loaded is not False]
    return ready, [model for model in offered if model not in ready]
