"""The audit against labelled models and schemas: nothing missed, and nothing that is not there."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from rung.structured.audit import Finding, audit

CASES: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("corpus.toml").read_text(encoding="utf-8")
)
IMPORTS = """
from __future__ import annotations
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum, auto
from typing import *
from uuid import UUID
from pydantic import *
import elsewhere
"""


def labelled(finding: Finding) -> str:
    engines = f": {' '.join(finding.targets)}" if finding.targets else ""
    return f"{finding.rule} {finding.path}{engines}"


@pytest.mark.parametrize("name", CASES)
def test_a_labelled_case_has_exactly_these_findings(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    file = tmp_path / ("m.py" if "python" in case else "s.json")
    file.write_text(IMPORTS + case["python"] if "python" in case else case["schema"])
    report = audit([file.name], folder=tmp_path, targets=case.get("targets", ["llamacpp"]))
    assert sorted(map(labelled, report.findings)) == sorted(case["expect"])


def test_the_corpus_is_large_and_most_of_it_is_python() -> None:
    assert len(CASES) >= 60
    assert sum("python" in case for case in CASES.values()) > len(CASES) / 2
