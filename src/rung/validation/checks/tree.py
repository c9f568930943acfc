"""What tree-sitter says of a source: places of errors, for any language, whole or cut off."""

from __future__ import annotations

import functools
import importlib
import time
import warnings
from collections.abc import Iterator

from tree_sitter import Language as Grammar
from tree_sitter import Node, Parser

from rung.validation.languages import Language
from rung.validation.sources import Source

MOST_PROBLEMS = 10
_LONGEST_LINE = 200
_LONGEST_PARSE_S = 2.0
_SLICE_BYTES = 64 * 1024
_LARGEST_BYTES = 4 * 1024 * 1024


def tree_problems(source: Source) -> list[str]:
    """`name:line:column: message` with the offending line, for the first errors of the source."""
    content = source.text.encode("utf-8", "replace")
    if len(content) > _LARGEST_BYTES:
        return [f"{source.name}:1:1: larger than {_LARGEST_BYTES // 1024**2} MiB, not parsed"]
    root = syntax_tree(content, source.language)
    if root is None:
        return [f"{source.name}:1:1: so broken that parsing took over {_LONGEST_PARSE_S:g} s"]
    return _describe(source.name, root, content.split(b"\n"))


def has_jsx(source: Source) -> bool:
    """Whether it is JavaScript with JSX in it, and without errors: what only a bundler takes."""
    if "<" not in source.text:
        return False
    root = syntax_tree(source.text.encode("utf-8", "replace"), source.language)
    return root is not None and not root.has_error and any(map(_is_jsx, _nodes(root)))


def _is_jsx(node: Node) -> bool:
    return node.type in ("jsx_element", "jsx_self_closing_element")


def syntax_tree(content: bytes, language: Language) -> Node | None:
    """The tree's root; `None` if it took too long."""
    deadline = time.monotonic() + _LONGEST_PARSE_S

    def read(offset: int, _point: object) -> bytes:
        return content[offset : offset + _SLICE_BYTES]

    def is_too_long(*_progress: object) -> bool:
        return time.monotonic() > deadline

    try:
        # In slices: only so does the parser ask whether to go on, and let other threads run.
        return Parser(_grammar(language)).parse(read, progress_callback=is_too_long).root_node
    except ValueError:
        return None


def _describe(name: str, root: Node, lines: list[bytes]) -> list[str]:
    found: list[str] = []
    for node in _nodes(root, only_errors=True):
        if not (node.is_error or node.is_missing):
            continue
        row, column = node.start_point.row, node.start_point.column
        what = f"missing {node.type}" if node.is_missing else "syntax error"
        line = lines[row].decode("utf-8", "replace").strip()[:_LONGEST_LINE]
        found.append(f"{name}:{row + 1}:{column + 1}: {what}\n    {line}")
        if len(found) == MOST_PROBLEMS:
            break
    return found


def _nodes(root: Node, *, only_errors: bool = False) -> Iterator[Node]:
    """The nodes in the order of the text, or those on the way to an error, and no deeper.

    Iterative, for any depth of nesting.
    """
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        if not only_errors or (node.has_error and not node.is_error):
            pending.extend(reversed(node.children))


@functools.cache
def _grammar(language: Language) -> Grammar:
    module, function = language.grammar
    pointer = getattr(importlib.import_module(module), function)()
    with warnings.catch_warnings():
        # Some wheels still give the pointer as an integer.
        warnings.simplefilter("ignore", DeprecationWarning)
        return Grammar(pointer)  # pyright: ignore[reportDeprecated]
