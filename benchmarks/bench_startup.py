"""Start-up: `rung --help` and `rung config show` beside `python -c "import argparse"`.

The bar is a ratio below 3. Commands run in turn, so that a machine that slows down slows all.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 30
RUNG = str(Path(sys.executable).with_name("rung"))
COMMANDS = {
    'python -c "import argparse"': [sys.executable, "-c", "import argparse"],
    "rung --help": [RUNG, "--help"],
    "rung config show": [RUNG, "config", "show"],
}


def main() -> None:
    # As installed: with compiled bytecode, and without coverage's or other tools' hooks.
    hooks = ("COVERAGE", "PYTHONDONTWRITEBYTECODE")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hooks)}
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(1 + ROUNDS):
        for name, argv in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env=env)
            seconds[name].append(time.perf_counter() - started)
    seconds = {name: taken[1:] for name, taken in seconds.items()}
    base, *others = COMMANDS
    print(f"{base:<30} median {statistics.median(seconds[base]) * 1e3:6.1f} ms")
    for name in others:
        ratios = sorted(a / b for a, b in zip(seconds[name], seconds[base], strict=True))
        print(
            f"{name:<30} median {statistics.median(seconds[name]) * 1e3:6.1f} ms"
            f"   ratio {statistics.median(ratios):.2f}"
            f" ({ratios[len(ratios) // 10]:.2f} to {ratios[-len(ratios) // 10]:.2f})   bar 3.00"
        )


if __name__ == "__main__":
    main()
