"""Start pytest, so that nothing in the tree under test stands in for pytest or what it imports.

Run as `python -I pytest_start.py SOURCES ARGUMENT…`, never imported by Rung. `python -m pytest`
would take a `pytest.py` or `json.py` from the current folder. Only when pytest is complete are that
folder and `SOURCES` (may be empty) put where `python -m` and PYTHONPATH would have put them.
"""

from __future__ import annotations

import importlib
import os
import sys


def main() -> None:
    sources, *arguments = sys.argv[1:]
    sys.dont_write_bytecode = True
    try:
        pytest = importlib.import_module("pytest")
    except ModuleNotFoundError:
        sys.exit("No module named pytest")
    for plugin in importlib.import_module("_pytest.config").default_plugins:
        importlib.import_module(f"_pytest.{plugin}")
    sys.path[:0] = [os.getcwd(), *filter(None, [sources])]  # noqa: PTH109 - a search path is text
    sys.argv[:] = ["pytest", *arguments]
    sys.exit(pytest.main(arguments))


if __name__ == "__main__":
    main()
