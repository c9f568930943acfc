"""What is put into a copy of the project before its tests run: its own tests, and false ones."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom

from rung.validation.checks import falsify
from rung.validation.checks.junit import id_of_node, owner_of
from rung.validation.copies import lay_over
from rung.validation.suite_files import (
    restore_steering_files,
    restore_tests,
    test_names,
    tests_below,
    without_tests_of,
)
from rung.validation.verdict import Candidate, CheckContext

_PLANTED = """import math
import unittest

import pytest


class {name}(unittest.TestCase):
"""
_PLANTED_TEST = """
    def {test}(self):
        found, wanted = "{found}", "{wanted}"
        {assertion}
"""
_MODULE = re.compile(r"[A-Za-z_]*\*\w*\.py")
# Each must fail, and each by another of the means that tests have.
_FALSE_ASSERTIONS = (
    "assert found == wanted",
    "assert found in [wanted]",
    "assert all(letter == wanted for letter in found)",
    "assert isinstance(found, int)",
    "assert len(found) == pytest.approx(0.5)",
    "assert math.isclose(len(found), 0.5)",
    "self.assertEqual(found, wanted)",
    "self.assertTrue(found == wanted)",
    "with pytest.raises(BufferError): len(found)",
    "with self.assertRaises(BufferError): len(found)",
)
# Enough to meet whatever a run does to its results; each costs a failure's traceback.
_MOST_FALSE = 400


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A file of tests that must fail, and the source of the tests that it was planted among."""

    path: str
    ids: frozenset[str]
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
    path, text, ids = _planted(folder, test_names(base))
    lay_over(scratch, {path: text})
    return Planted(path=path, ids=ids, sources=sources)


def _planted(folder: Path, patterns: Collection[str]) -> tuple[str, str, frozenset[str]]:
    """A file of tests for `folder` under names that nobody knows: path, content, ids in reports.

    Its name must be one that pytest would collect: in a folder it asks for no other.
    """
    nonce = f"t{secrets.token_hex(6)}"
    names = [pattern.replace("*", nonce) for pattern in patterns if _MODULE.fullmatch(pattern)]
    path = (folder / secrets.choice(names or [f"test_{nonce}.py"])).as_posix()
    name = f"Test{nonce}"
    tests = [f"test_{secrets.token_hex(6)}" for _ in _FALSE_ASSERTIONS]
    text = _PLANTED.format(name=name) + "".join(
        _PLANTED_TEST.format(
            test=test,
            found=secrets.token_hex(6),
            wanted=secrets.token_hex(6),
            assertion=assertion,
        )
        for test, assertion in zip(tests, _FALSE_ASSERTIONS, strict=True)
    )
    return path, text, frozenset(id_of_node(f"{path}::{name}::{test}") for test in tests)


@dataclass(frozen=True, kw_only=True)
class FalseTest:
    """A test of the project's at `path`, and how it is made false."""

    path: str
    flip: falsify.Flip

    @property
    def id(self) -> str:
        """As in reports, without parameters."""
        return id_of_node(f"{self.path}::{self.flip.name}")

    def is_of(self, case: str) -> bool:
        """Whether a case of a report is of this test, be it by a class that inherits it."""
        module, _ = split_case(id_of_node(f"{self.path}::it"))
        place, test = split_case(case)
        is_there = place == module or place.startswith(f"{module}.")
        return is_there and test == self.flip.name.rpartition("::")[2]


def split_case(case: str) -> tuple[str, str]:
    """The module and class of a case of a report, and its test without parameters."""
    place, _, test = owner_of(case).partition("::")
    return place, test


def false_tests(base: Path, target: str, random: Random | None = None) -> list[FalseTest]:
    """Some of the project's tests below `target`, in the order in which they run."""
    random = random or SystemRandom()
    found = [
        FalseTest(path=path, flip=flip)
        for path in tests_below(base, target)
        for flip in falsify.flips(_read(base / path), random)
    ]
    chosen = random.sample(range(len(found)), min(len(found), _MOST_FALSE))
    return [found[at] for at in sorted(chosen)]


def halves(chosen: Sequence[FalseTest], random: Random | None = None) -> list[list[FalseTest]]:
    """The tests in two parts by chance, alike in size: `[]` and itself for one test."""
    random = random or SystemRandom()
    mixed = random.sample(chosen, len(chosen))
    parts = [mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]]
    return random.sample(parts, 2)


def make_false(
    base: Path, folder: Path, chosen: Sequence[FalseTest], false: Sequence[FalseTest]
) -> None:
    """Make those of `chosen` false that are in `false`.

    The files of all are written alike, so that neither times nor places of files tell which.
    """
    for path in sorted({test.path for test in chosen}):
        of_path = [test.flip for test in false if test.path == path]
        lay_over(folder, {path: falsify.flipped(_read(base / path), of_path)})
        shutil.copystat(base / path, folder / path)


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")
