"""Paths that a model wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.validation import UnsafePathError, safe_path


@pytest.mark.parametrize(
    "name", ["a.py", "a/b/c.txt", "ein ordner/Grüße.md", ".github/x.yml", "-x"]
)
def test_a_plain_relative_path_is_accepted(tmp_path: Path, name: str) -> None:
    assert safe_path(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "/etc/passwd",
        "../outside",
        "a/../../outside",
        "a/./b",
        "a//b",
        "a/",
        "a\x00b",
        "a\nb",
        "C:/windows",
        "a\\b",
        ".git/hooks/pre-commit",
        "sub/.GIT/config",
        "x" * 256,
        "/".join(["dir"] * 400),
        "\ud800",
    ],
)
def test_anything_else_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafePathError):
        safe_path(tmp_path, name)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "out").symlink_to(outside)
    (root / "file").symlink_to(outside / "new")
    (root / "loop").symlink_to("loop")
    for name in ("out/x", "file", "loop/x"):
        with pytest.raises(UnsafePathError):
            safe_path(root, name)


def test_a_link_that_stays_inside_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert safe_path(tmp_path, "link/x") == tmp_path / "link" / "x"


@given(st.text(alphabet=st.sampled_from("./\\a~:\x00 g-"), max_size=20))
def test_no_accepted_path_leaves_the_root(name: str) -> None:
    root = Path("/tmp/nowhere-in-particular")
    try:
        path = safe_path(root, name)
    except UnsafePathError:
        return
    assert path.resolve().is_relative_to(root)
    assert path != root
