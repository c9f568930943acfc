"""What is put into a copy of the project before its tests run: its own tests, and false ones."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom

from rung.validation.checks import falsify
from rung.validation.checks.junit import id_of_node
from rung.validation.copies import lay_over
from rung.validation.suite_files import (
    restore_steering_files,
    restore_tests,
    tests_below,
    without_tests_of,
)
from rung.validation.verdict import Candidate, CheckContext

_PLANTED = """import unittest


class {name}(unittest.TestCase):
    def {test}(self):
        found = "{found}"
        assert found == "{wanted}"
"""
# Enough to meet whatever a run does to its results; each costs a failure's traceback.
_MOST_FALSE = 40


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A test that must fail, and the source of the tests that it was planted among."""

    path: str
    id: str
    sources: bytes


def prepare(candidate: Candidate, context: CheckContext, target: str) -> Planted:
    """Put back what the tests are made of, as an earlier check's code may have changed it."""
    base, scratch = context.base, context.scratch
    restore_tests(base, scratch, target)
    restore_steering_files(base, scratch, keep=candidate.files.keys())
    lay_over(scratch, without_tests_of(base, candidate.files, [target]))
    place = scratch / target
    files = list(place.rglob("*.py")) if place.is_dir() else [place]
    sources = b"\n".join(file.read_bytes() for file in files if file.is_file())
    folder = Path(target) if place.is_dir() else Path(target).parent
    nonce = secrets.token_hex(6)
    path = (folder / f"test_{nonce}.py").as_posix()
    name, test = f"Test{nonce}", f"test_{nonce}"
    found, wanted = secrets.token_hex(6), secrets.token_hex(6)
    text = _PLANTED.format(name=name, test=test, found=found, wanted=wanted)
    lay_over(scratch, {path: text})
    return Planted(path=path, id=id_of_node(f"{path}::{name}::{test}"), sources=sources)


@dataclass(frozen=True, kw_only=True)
class FalseTest:
    """A test of the project's at `path`, by its id in reports, and how it is made false."""

    path: str
    id: str
    flip: falsify.Flip


def false_tests(base: Path, target: str, random: Random | None = None) -> list[FalseTest]:
    """Some of the project's tests below `target`; only hidden changes if there are any."""
    random = random or SystemRandom()
    found = [
        FalseTest(path=path, id=id_of_node(f"{path}::{flip.name}"), flip=flip)
        for path in tests_below(base, target)
        for flip in falsify.flips(_read(base / path), random)
    ]
    found = [test for test in found if test.flip.is_hidden] or found
    return random.sample(found, min(len(found), _MOST_FALSE))


def make_false(base: Path, folder: Path, chosen: Sequence[FalseTest]) -> None:
    """Write these tests of `base` into `folder`, made false."""
    for path in {test.path for test in chosen}:
        of_path = [test.flip for test in chosen if test.path == path]
        lay_over(folder, {path: falsify.flipped(_read(base / path), of_path)})


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")
