"""The starter model, fetched once for all tests that need a real one."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rung.models.store import ModelStore
from tests.pulling import pulled

STARTER = "smollm2-135m"
CACHE = Path(__file__).resolve().parent.parent / ".cache" / "models"


def starter_models_dir() -> Path:
    """A models folder that holds the starter model, pulled with Rung's own code if it is not there.

    Test processes that come at the same time wait for the one that pulls. It works in a thread of
    its own because a loop may be running here.
    """
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, pulled(STARTER, ModelStore(CACHE))).result()
    return CACHE


@pytest.fixture(scope="session")
def starter_model_dir() -> Path:
    """`models_dir` with the starter model. Read it; install nothing into it."""
    return starter_models_dir()
