"""CPython's own opinion of Python sources, from a short-lived child process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from rung.validation.sources import Source

_SCRIPT = Path(__file__).parent / "checks" / "compile_python.py"
_TIMEOUT_S = 30.0


async def python_problems(sources: Sequence[Source], python: Path) -> list[str]:
    """`name:line:column: message` with the offending line, for each source that does not compile.

    Nothing is executed. Raises RuntimeError if the interpreter gives no answer.
    """
    question = [{"name": source.name, "text": source.text} for source in sources]
    child = await asyncio.create_subprocess_exec(
        *(str(python), "-I", "-S", str(_SCRIPT)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={},
    )
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            answer, errors = await child.communicate(_encode(question))
    except TimeoutError:
        return [f"{sources[0].name}:1:1: compiling took more than {_TIMEOUT_S:g} s"]
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    status = child.returncode or 0
    if status < 0:
        return [f"{sources[0].name}:1:1: compiling crashed Python (signal {-status})"]
    if status > 0:
        raise RuntimeError(f"{python} cannot compile: {errors.decode('utf-8', 'replace')[-500:]}")
    return msgspec.json.decode(answer, type=list[str])


def _encode(question: list[dict[str, str]]) -> bytes:
    clean = [
        {key: value.encode("utf-8", "replace").decode() for key, value in source.items()}
        for source in question
    ]
    return msgspec.json.encode(clean)
