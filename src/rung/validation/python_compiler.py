"""CPython's own opinion of Python sources: `compile()` by the project's interpreter."""

from __future__ import annotations

from pathlib import Path

from rung.validation.front_end import FrontEnd, first_problem
from rung.validation.sandbox import confinement
from rung.validation.sources import Source

_SCRIPT = Path(__file__).parent / "checks" / "compile_python.py"


async def python_problem(source: Source, python: Path) -> str:
    """`name:line:column: message` with the offending line, or nothing if it compiles.

    Nothing is executed. To exhaust or crash the compiler is a problem. Raises RuntimeError if the
    interpreter gives no answer.
    """
    front_end = FrontEnd(
        command=(str(python), "-I", "-S", str(_SCRIPT)),
        readable=confinement.interpreter_paths(python),
    )
    return await first_problem(front_end, {"name": source.name, "text": source.text})
