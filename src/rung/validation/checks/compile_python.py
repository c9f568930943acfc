"""Compile Python sources without running them: a question a line, an answer a line, as JSON.

A script for the project's own interpreter, whatever its version; not imported, standard library
only.
"""

import json
import signal
import sys
import warnings

_IDLE_S = 300
OUT_OF_MEMORY = 77


def main() -> None:
    warnings.simplefilter("ignore")
    signal.alarm(_IDLE_S)  # its default action ends the process
    for line in iter(sys.stdin.buffer.readline, b""):
        signal.alarm(0)
        source = json.loads(line.decode("utf-8"))
        sys.stdout.write(json.dumps(_problem(source["name"], source["text"])) + "\n")
        sys.stdout.flush()
        signal.alarm(_IDLE_S)


def _problem(name: str, text: str) -> str:
    """`name:line:column: message` and the offending line, or nothing."""
    try:
        compile(text.encode("utf-8", "replace"), name, "exec", dont_inherit=True)
    except SyntaxError as error:
        place = f"{name}:{error.lineno or 1}:{max(error.offset or 1, 1)}"
        return f"{place}: {error.msg}\n    {(error.text or '').strip()[:200]}".rstrip()
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)  # what came before may have filled it
    except (ValueError, RecursionError) as error:
        return f"{name}:1:1: {type(error).__name__}: {error or 'nested too deeply'}"
    return ""


if __name__ == "__main__":
    main()
