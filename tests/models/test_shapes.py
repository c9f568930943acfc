"""Shapes are read once, and again only where the file changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rung.errors import ModelError
from rung.models.gguf import read_gguf
from rung.models.shapes import FILE_NAME, Shapes
from tests.models.builders import SHAPE, gguf_bytes


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf_bytes(values=64))
    return path


def unreadable(path: Path) -> None:
    """Break the file without its size or time changing: who reads it, fails."""
    stat = path.stat()
    path.write_bytes(bytes(stat.st_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_shape_is_remembered_from_one_process_to_the_next(tmp_path: Path, gguf: Path) -> None:
    read = Shapes(tmp_path / "data")(gguf)
    assert read == read_gguf(gguf)
    unreadable(gguf)
    assert Shapes(tmp_path / "data")(gguf) == read


def test_a_file_that_changed_is_read_anew(tmp_path: Path, gguf: Path) -> None:
    shapes = Shapes(tmp_path / "data")
    assert shapes(gguf).layers == 2
    gguf.write_bytes(gguf_bytes(SHAPE | {"llama.block_count": 7}, values=128))
    assert shapes(gguf).layers == 7


def test_a_file_that_is_gone_or_no_gguf_is_an_error_and_nothing_to_find(
    tmp_path: Path, gguf: Path
) -> None:
    shapes = Shapes(tmp_path / "data")
    shapes(gguf)
    gguf.unlink()
    (tmp_path / "text.gguf").write_text("hello")
    for path in (gguf, tmp_path / "text.gguf"):
        assert shapes.find(path) is None
        with pytest.raises(ModelError):
            shapes(path)


@pytest.mark.parametrize("content", ["", "{", '{"format": 0, "known": {}}', '{"format": 1}'])
def test_a_damaged_memory_is_forgotten(tmp_path: Path, gguf: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    assert Shapes(tmp_path)(gguf).layers == 2
    unreadable(gguf)
    assert Shapes(tmp_path)(gguf).layers == 2


def test_a_folder_that_cannot_be_written_costs_only_the_memory(tmp_path: Path, gguf: Path) -> None:
    (tmp_path / "data").write_text("a file is in the way")
    assert Shapes(tmp_path / "data")(gguf).layers == 2
