"""What the repository says of the files of a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.escalation import signals
from rung.escalation.signals import signals_of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for path, text in {
        "src/shop/core.py": "x = 1\n" * 10,
        "src/shop/cart.py": "from shop.core import x\n",
        "src/web/page.py": "import os\nimport shop.core\n",
        "src/web/other.py": "# core is fine\n",
        "tests/test_core.py": "from shop import core\n",
        "node_modules/core.py": "import core\n",
    }.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_importers_and_tests_are_counted_apart(project: Path) -> None:
    found = signals_of(project, ["src/shop/core.py"])
    assert (found.fan_in, found.tests, found.lines, found.packages) == (2, 1, 10, 1)
    assert found.is_complete


def test_a_file_that_does_not_exist_is_named(project: Path) -> None:
    found = signals_of(project, ["src/shop/core.py", "src/none.py"])
    assert found.files == ("src/shop/core.py",)
    assert found.missing == ("src/none.py",)


def test_no_file_outside_the_folder_is_looked_at(project: Path) -> None:
    assert signals_of(project / "src", ["../tests/test_core.py"]).files == ()


def test_a_search_that_was_cut_off_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "MAX_FILES", 1)
    assert not signals_of(project, ["src/shop/core.py"]).is_complete
