"""Outlines of source files, by tree-sitter."""

from __future__ import annotations

import pytest

from rung.escalation.outline import MAX_PLAIN, outline

PYTHON = '''"""What it is for."""

import os
from x import (
    a,
    b,
)


@decorated
class Shelf(Base):
    """Holds books."""

    def add(self, book: Book) -> None:
        def secret():
            pass

        self.books.append(book)


async def load(path: str,
               strict: bool = True) -> Shelf:
    return read(path)
'''


def test_an_outline_has_imports_and_heads_and_no_bodies() -> None:
    assert outline("shelf.py", PYTHON).splitlines() == [
        "import os",
        "from x import ( a, b, )",
        "class Shelf(Base):",
        "    def add(self, book: Book) -> None: …",
        "async def load(path: str, strict: bool = True) -> Shelf: …",
    ]


@pytest.mark.parametrize(
    ("path", "source", "heads"),
    [
        (
            "a.ts",
            "import x from 'y'\nexport class A extends B {\n  f(a: number): string { g() }\n}\n"
            "export const h = (x) => { return 1 }\n",
            [
                "import x from 'y'",
                "export class A extends B",
                "    f(a: number): string …",
                "export const h = (x) => …",
            ],
        ),
        (
            "a.rs",
            "use std::io;\nimpl P {\n  pub fn new(x: i32) -> Self { P { x } }\n}\n",
            ["use std::io;", "impl P", "    pub fn new(x: i32) -> Self …"],
        ),
        (
            "a.go",
            'package main\nimport "fmt"\nfunc (a *A) F(x int) error { return nil }\n',
            ["package main", 'import "fmt"', "func (a *A) F(x int) error …"],
        ),
        (
            "A.java",
            "import java.util.*;\npublic class A { int x; public int f(int a) { return 1; } }\n",
            ["import java.util.*;", "public class A", "    public int f(int a) …"],
        ),
        (
            "a.c",
            "#include <stdio.h>\nint main(int argc, char **argv) { return 0; }\n",
            ["#include <stdio.h>", "int main(int argc, char **argv) …"],
        ),
        ("a.rb", "class A < B\n  def f(x)\n    1\n  end\nend\n", ["class A < B", "    def f(x) …"]),
        ("a.sh", "f() {\n  echo 1\n}\n", ["f() …"]),
    ],
)
def test_every_language_of_the_checks_has_outlines(
    path: str, source: str, heads: list[str]
) -> None:
    assert outline(path, source).splitlines() == heads


@pytest.mark.parametrize("path", ["notes.txt", "data.json", "empty.py"])
def test_what_has_no_definitions_is_its_beginning_and_end(path: str) -> None:
    text = "[" + "1, " * 3000 + "1]"
    shown = outline(path, text)
    assert shown.startswith("[1, 1,")
    assert shown.endswith(" 1, 1]")
    assert len(shown) < MAX_PLAIN + 100


@pytest.mark.parametrize("source", ["(" * 100_000, "class A:\n" * 2000, "def f(\x00", "\udc80"])
def test_hostile_source_has_an_outline_too(source: str) -> None:
    assert isinstance(outline("a.py", source), str)
