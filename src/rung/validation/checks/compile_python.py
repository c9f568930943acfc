"""Compile Python sources without running them: JSON on stdin and stdout. A script, not imported.

`compile()` never executes code, but hostile source may exhaust or crash the interpreter, so it is
not done in Rung's own process. Standard library only.
"""

import json
import resource
import sys
import warnings

_MEMORY_BYTES = 1024**3
_CPU_S = 20


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    warnings.simplefilter("ignore")
    sources = json.load(sys.stdin)
    problems = [_problem(source["name"], source["text"]) for source in sources]
    json.dump([problem for problem in problems if problem], sys.stdout)


def _problem(name: str, text: str) -> str:
    """`name:line:column: message` and the offending line, or nothing."""
    try:
        compile(text.encode("utf-8", "replace"), name, "exec", dont_inherit=True)
    except SyntaxError as error:
        place = f"{name}:{error.lineno or 1}:{error.offset or 1}"
        return f"{place}: {error.msg}\n    {(error.text or '').strip()[:200]}".rstrip()
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{name}:1:1: {type(error).__name__}: {error or 'nested too deeply'}"
    return ""


if __name__ == "__main__":
    main()
