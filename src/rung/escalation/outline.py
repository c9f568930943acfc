"""A source file's outline: its imports and the heads of its definitions, without their bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rung.escalation.quoting import capped
from rung.validation.languages import Language, of_path

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_PLAIN = 600  # characters of a file that has no definitions: its beginning and its end
_MAX_HEAD = 300
_MAX_DEPTH = 12
_IMPORT = re.compile(r"import|include|use_declaration|using_directive|package_clause")
_CALLABLE = re.compile(r"function|method|constructor|procedure|subroutine")
_CONTAINER = re.compile(r"class|interface|struct|impl|trait|module|enum|namespace|record|object")


def outline(path: str, text: str) -> str:
    """The imports and heads of functions, classes and the like, in their order and indentation.

    A file in a language that is not known, or without definitions, is its beginning and its end.
    """
    language = of_path(path)
    lines = _lines(text, language) if language else []
    return "\n".join(lines) if lines else capped(text, MAX_PLAIN)


def _lines(text: str, language: Language) -> list[str]:
    # Parsers are not for who only imports this.
    from rung.validation.checks.tree import syntax_tree

    source = text.encode("utf-8", "replace")
    root = syntax_tree(source, language)
    return list(_heads(root, source, 0)) if root is not None else []


def _heads(node: Node, source: bytes, depth: int, inside: int = 0) -> Iterator[str]:
    """`depth` is that of the tree, `inside` that of the definitions."""
    if depth > _MAX_DEPTH:
        return
    for child in node.named_children:
        body = child.child_by_field_name("body")
        if _IMPORT.search(child.type):
            yield _line(source, child, child.end_byte, inside)
        elif body is not None and _CALLABLE.search(child.type):
            yield f"{_line(source, child, body.start_byte, inside)} …"
        elif body is not None and _CONTAINER.search(child.type):
            yield _line(source, child, body.start_byte, inside)
            yield from _heads(body, source, depth + 1, inside + 1)
        elif not _CALLABLE.search(child.type):
            yield from _heads(child, source, depth + 1, inside)


def _line(source: bytes, node: Node, end: int, inside: int) -> str:
    """The source from the node's start to `end` on one line, with what leads up to it on its own:
    `export`, `const name =`.
    """
    start = source.rfind(b"\n", 0, node.start_byte) + 1
    if any(mark in source[start : node.start_byte] for mark in (b"{", b";", b"}")):
        start = node.start_byte
    words = source[start:end].decode("utf-8", "replace").split()
    return "    " * inside + capped(" ".join(words), _MAX_HEAD)
