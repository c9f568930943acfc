"""A ladder of two stand-in engines for tests: a free local one, and a paid one in the cloud."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung import Rung
from rung.config.settings import (
    EmbeddedSettings,
    EscalationSettings,
    LearningSettings,
    LedgerSettings,
    ModelSettings,
    Settings,
)
from tests.fakes.server import MODEL, FakeServer, Script

SMALL = f"small/{MODEL}"
BIG = f"big/{MODEL}"
GOOD = "```python\ndef add(a, b):\n    return a + b\n```"
WRONG = "```python\ndef add(a, b):\n    return a - b\n```"
BROKEN = "```python\ndef add(a, b:\n```"
TEST = "from sums import add\n\n\ndef test_adds():\n    assert add(2, 3) == 5\n"


def judgement(quote: str, *, passed: bool, confidence: float = 0.9, criteria: int = 1) -> str:
    """What a checker model answers, with the same finding for each criterion."""
    finding = {"quote": quote, "reason": "so", "passed": passed, "confidence": confidence}
    return json.dumps({f"criterion_{number}": finding for number in range(1, criteria + 1)})


@dataclass
class Ladder:
    """The facade, and the two servers behind it."""

    rung: Rung
    small: FakeServer
    big: FakeServer


@asynccontextmanager
async def ladder(
    folder: Path,
    small: Script = (GOOD,),
    big: Script = (GOOD,),
    *,
    paid: Any = "allow",
    price: float | None = 1.0,
    ledger: str = "",
    **changes: Any,
) -> AsyncIterator[Ladder]:
    """`small` stands on local_fast, `big` on haiku at `price` USD per million tokens each way."""
    async with FakeServer("openai", small) as one, FakeServer("openai", big) as two:
        settings = Settings(
            discover=False,
            data_dir=folder / "data",
            models_dir=folder / "models",
            embedded=EmbeddedSettings(enabled=False),
            engines={
                "small": one.settings(locality="local"),
                "big": two.settings(locality="cloud"),
            },
            models={
                SMALL: ModelSettings(tier="local_fast"),
                BIG: ModelSettings(tier="haiku", usd_per_mtok_in=price, usd_per_mtok_out=price),
            },
            ledger=LedgerSettings(url=ledger, store_content="full"),
            escalation=EscalationSettings(paid=paid),
            learning=LearningSettings(audit_rate=0.0),
        ).replaced(**changes)
        async with Rung(settings) as rung:
            yield Ladder(rung=rung, small=one, big=two)


def project(folder: Path) -> Path:
    """A small project with a test for `sums.add`, which does not exist yet."""
    root = folder / "project"
    (root / "tests").mkdir(parents=True)
    (root / "tests" / "test_sums.py").write_text(TEST)
    (root / "tests" / "conftest.py").write_text(
        "import sys\nfrom pathlib import Path\n\n"
        "sys.path.insert(0, str(Path(__file__).parent.parent))\n"
    )
    return root
