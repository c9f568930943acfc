"""Runs pip in a child process that ends when its parent does, even when that one is killed.

Started as a script: `python -P pip_child.py <pip's arguments>`, leading a process group of its
own, with a pipe as standard input that the parent holds open and never writes to.
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import signal
import sys
import threading

NO_PIP = 69  # EX_UNAVAILABLE


def _end_with_parent() -> None:
    os.read(0, 1)  # returns when the parent is gone
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    if importlib.util.find_spec("pip") is None:
        sys.exit(NO_PIP)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
