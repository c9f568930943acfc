"""What the ledger adds to 200 small calls of the embedded model, in pairs: on, off, on, off, …

The bar is less than 2 %. Both sides use one loaded model; the order in a pair alternates.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from rung import Message, Rung
from rung.chat import ChatRequest
from rung.config.load import load
from rung.config.settings import LedgerSettings, Settings
from rung.ledger.ledger import Ledger
from rung.routing.calls import Calls, Label
from rung.routing.models import RoutedModel

CALLS = 200
TOKENS = 8
MODEL = "embedded/smollm2-135m"
PROMPT = "Count from one to ten."


def settings(folder: Path, url: str) -> Settings:
    return load().settings.replaced(
        discover=False, data_dir=folder, ledger=LedgerSettings(url=url, store_content="full")
    )


async def one_call(calls: Calls, model: RoutedModel) -> float:
    request = ChatRequest(
        model=model.info.id,
        messages=(Message(role="user", content=PROMPT),),
        max_tokens=TOKENS,
        temperature=0.0,
    )
    started = time.perf_counter()
    await calls.complete(model, request, Label())
    return time.perf_counter() - started


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        off_settings, on_settings = settings(folder, "off"), settings(folder, "")
        ledger = Ledger.open(on_settings.ledger, folder)
        async with Rung(off_settings) as rung:
            model = await rung.router.find(MODEL)
            on, off = Calls(ledger, on_settings), Calls(rung.ledger, off_settings)
            for _ in range(5):
                await one_call(off, model)
                await one_call(on, model)
            pairs: list[tuple[float, float]] = []
            for _ in range(CALLS):
                if random.random() < 0.5:
                    first = await one_call(on, model)
                    pairs.append((first, await one_call(off, model)))
                else:
                    first = await one_call(off, model)
                    pairs.append((await one_call(on, model), first))
            await ledger.flush(10)
            assert len(await ledger.calls(10_000)) == CALLS + 5
        await ledger.close()
    print_result(pairs)


def print_result(pairs: list[tuple[float, float]]) -> None:
    on_s, off_s = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    ratios = [a / b for a, b in pairs]
    draws = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(2000))
    print(f"{len(pairs)} pairs of {TOKENS}-token calls: on {on_s:.2f} s, off {off_s:.2f} s in all")
    print(
        f"ledger on / off: median of pairs {statistics.median(ratios):.4f} "
        f"(95 % {draws[50]:.4f} to {draws[-51]:.4f}), sum {on_s / off_s:.4f}   bar 1.02"
    )


if __name__ == "__main__":
    random.seed(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    asyncio.run(main())
