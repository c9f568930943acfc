"""What is known is served at once; only the first look is waited for."""

from __future__ import annotations

import asyncio

from rung.routing.kept import Kept
from tests.engines.calls import until


class Source:
    """Counts its looks; each waits until it is let go."""

    def __init__(self) -> None:
        self.looks = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def look(self, last: int | None) -> int:
        self.looks += 1
        number = self.looks
        assert last == (number - 1 or None)
        await self.may_end.wait()
        return number


async def test_a_fresh_value_is_not_looked_up_again() -> None:
    source = Source()
    kept = Kept(source.look, lambda _: 3600.0)
    assert [await kept.get() for _ in range(5)] == [1] * 5
    assert source.looks == 1


async def test_a_stale_value_is_served_at_once_while_it_is_looked_up_anew() -> None:
    source = Source()
    kept = Kept(source.look, lambda value: 3600.0 if value > 1 else 0.0)
    assert await kept.get() == 1
    source.may_end.clear()
    assert [await kept.get() for _ in range(3)] == [1, 1, 1]
    await until(lambda: source.looks == 2)
    source.may_end.set()
    async with asyncio.timeout(5):
        while await kept.get() == 1:
            await asyncio.sleep(0)
    assert source.looks == 2


async def test_all_first_callers_share_one_look_and_one_who_leaves_does_not_end_it() -> None:
    source = Source()
    source.may_end.clear()
    kept = Kept(source.look, lambda _: 3600.0)
    first, *others = [asyncio.create_task(kept.get()) for _ in range(5)]
    await until(lambda: source.looks == 1)
    first.cancel()
    source.may_end.set()
    assert await asyncio.gather(*others) == [1] * 4


async def test_who_cannot_do_with_an_old_value_waits_for_a_new_one() -> None:
    source = Source()
    kept = Kept(source.look, lambda _: 3600.0)
    assert await kept.get() == 1
    assert await kept.get(max_age_s=3600.0) == 1
    assert await kept.get(max_age_s=0.0) == 2


async def test_what_is_expired_is_looked_up_although_it_was_fresh() -> None:
    source = Source()
    kept = Kept(source.look, lambda _: 3600.0)
    kept.expire()
    assert await kept.get() == 1
    kept.expire()
    assert await kept.get() == 1
    await until(lambda: source.looks == 2)


async def test_closing_ends_a_look_that_would_last() -> None:
    source = Source()
    source.may_end.clear()
    kept = Kept(source.look, lambda _: 0.0)
    asking = asyncio.create_task(kept.get())
    await until(lambda: source.looks == 1)
    await kept.close()
    async with asyncio.timeout(5):
        await asyncio.wait([asking])
    assert asking.cancelled()
