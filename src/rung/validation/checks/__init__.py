"""The built-in validators; importing this folder registers them."""

from rung.validation.checks import bench, command, compilers, schema, semantic, suite, syntax

__all__ = ["bench", "command", "compilers", "schema", "semantic", "suite", "syntax"]
