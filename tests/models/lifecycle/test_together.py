"""Whether models can be in memory at the same time."""

from __future__ import annotations

import pytest

from rung.chat import LoadOptions
from rung.models.lifecycle.state import Key, Resident
from rung.models.lifecycle.together import fit_together

A, B, C = Key("e", "a"), Key("e", "b"), Key("e", "c")


def resident(key: Key, memory_bytes: int | None, *, is_ours: bool = True) -> Resident:
    return Resident(
        key=key,
        options=LoadOptions(),
        state="ready",
        memory_bytes=memory_bytes,
        is_ours=is_ours,
    )


@pytest.mark.parametrize(
    ("sizes", "room", "fits"),
    [
        ((40, 60), 100, True),
        ((41, 60), 100, False),
        ((None, 60), 100, False),
        ((40, 60), None, False),
    ],
)
def test_models_fit_where_their_sizes_are_known_and_there_is_room(
    sizes: tuple[int | None, int | None], room: int | None, fits: bool
) -> None:
    assert fit_together(dict(zip((A, B), sizes, strict=True)), {}, room) is fits


def test_one_model_alone_waits_for_its_turn_and_fits() -> None:
    assert fit_together({A: None}, {}, None)
    assert fit_together({}, {}, 0)


def test_what_is_loaded_counts_as_it_is_and_what_can_go_does_not_count() -> None:
    assert fit_together({A: 90, B: 50}, {A: resident(A, 40)}, 100)
    assert fit_together({A: 40, B: 50}, {C: resident(C, 90)}, 100)
    assert not fit_together({A: 40, B: 50}, {C: resident(C, 20, is_ours=False)}, 100)
