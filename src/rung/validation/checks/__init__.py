"""The built-in validators; importing this folder registers them."""

from rung.validation.checks import (
    bench,
    command,
    compilers,
    diff,
    schema,
    semantic,
    suite,
    syntax,
    types,
)

__all__ = [
    "bench",
    "command",
    "compilers",
    "diff",
    "schema",
    "semantic",
    "suite",
    "syntax",
    "types",
]
