"""The validators that run nothing: how long a verdict takes, warm and cold, for each language.

    python benchmarks/bench_validators.py

Each verdict is that of `--check syntax` on one file, beside a bare tree-sitter parse of the same
text (and `ast.parse` for Python). Then syntax, compile and types together on 2,000 lines, in the
sandbox, in a project that has another version of the file. Bars: a syntax verdict on 500 lines
under 10 ms once its parser has been started; all fast validators on 2,000 lines under 1 s.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from tree_sitter import Language, Parser

from rung.config.settings import SandboxSettings
from rung.validation import Candidate, CheckContext, Workspace, parse_check, run_checks
from rung.validation.checking import check_candidate
from rung.validation.languages import LANGUAGES

ROUNDS = 15
SYNTAX_BAR_MS = 10.0
FAST_BAR_S = 1.0
FAST = ("syntax", "compile", "types")

# One unit of ordinary code in each language; `@` is its number.
UNITS = {
    "python": "def f_@(values: list[int]) -> int:\n    total = @\n    for value in values:\n"
    "        if value % 2:\n            total += value * (total - 1)\n    return total\n\n",
    "javascript": "function f_@(values) {\n  let total = @;\n  for (const value of values) {\n"
    "    if (value % 2) total += value * (total - 1);\n  }\n  return total;\n}\n",
    "typescript": "function f_@(values: number[]): number {\n  let total = @;\n"
    "  for (const value of values) {\n    if (value) total += value;\n  }\n  return total;\n}\n",
    "tsx": "const View_@ = (props: { name: string }) => {\n  return (\n    <div key={@}>\n"
    "      <b>{props.name}</b>\n    </div>\n  );\n};\n",
    "go": "func f@(values []int) int {\n\ttotal := @\n\tfor _, value := range values {\n"
    "\t\ttotal += value\n\t}\n\treturn total\n}\n",
    "rust": "pub fn f_@(values: &[i64]) -> i64 {\n    let mut total = @;\n"
    "    for value in values {\n        total += value;\n    }\n    total\n}\n",
    "java": "class A@ {\n    int f(int[] values) {\n        int total = @;\n"
    "        for (int value : values) total += value;\n        return total;\n    }\n}\n",
    "c": "int f_@(const int *values, int n) {\n    int total = @;\n"
    "    for (int i = 0; i < n; i++) {\n        total += values[i];\n    }\n    return total;\n}\n",
    "cpp": "template <class T> T f_@(const T *values, int n) {\n    T total = @;\n"
    "    for (int i = 0; i < n; i++) {\n        total += values[i];\n    }\n    return total;\n}\n",
    "bash": 'f_@() {\n  local total=@\n  for value in "$*"; do\n    if [ -n "$value" ]; then\n'
    "      total=$((total + value))\n    fi\n  done\n}\n",
    "json": '  "f_@": {\n    "values": [1, 2, 3, 4],\n    "total": @,\n    "name": "words"\n  },\n',
    "yaml": "f_@:\n  values:\n    - 1\n    - two\n  total: @\n",
    "ruby": "def f_@(values)\n  total = @\n  values.each do |value|\n    total += value if value\n"
    "  end\n  total\nend\n",
    "c_sharp": "class A@ {\n    int F(int[] values) {\n        int total = @;\n"
    "        foreach (int value in values) total += value;\n        return total;\n    }\n}\n",
}


def source(language: str, lines: int) -> str:
    unit = UNITS[language]
    count = lines // unit.count("\n") + 1
    numbered = [unit.replace("f_@", f"f_{n}").replace("@", str(n)) for n in range(count)]
    text = "".join(numbered)
    if language == "json":
        return "{\n" + text + '  "end": 0\n}\n'
    return ("package a\n\n" if language == "go" else "") + text


def median_ms(work: Callable[[], object]) -> float:
    taken: list[float] = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - started))
    return statistics.median(taken)


def tree_sitter_ms(language: str, text: str) -> float:
    """A parse by tree-sitter alone."""
    [entry] = [known for known in LANGUAGES if known.name == language]
    module, function = entry.grammar
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        grammar = Language(getattr(importlib.import_module(module), function)())
    content = text.encode()
    return median_ms(lambda: Parser(grammar).parse(content))


async def syntax_ms(base: Path, name: str, text: str) -> tuple[float, float]:
    """The first verdict, and the median of those after it."""
    candidate = Candidate(text="", files={name: text})
    context = CheckContext(base=base, scratch=base, sandbox=SandboxSettings())
    taken: list[float] = []
    for _ in range(1 + ROUNDS):
        started = time.perf_counter()
        [verdict] = await run_checks([parse_check("syntax")], candidate, context)
        taken.append(1e3 * (time.perf_counter() - started))
        if verdict.result != "pass":
            raise SystemExit(f"{name} should parse: {verdict.evidence}")
    return taken[0], statistics.median(taken[1:])


async def languages(base: Path) -> bool:
    """Prints the table; whether each verdict on 500 lines is within the bar."""
    print(f"{'syntax, ms':12}{'first':>8}{'500 lines':>11}{'2,000 lines':>13}", end="")
    print(f"{'tree-sitter alone':>19}{'ratio':>7}{'ast.parse':>11}{'ratio':>7}")
    is_met = True
    for entry in LANGUAGES:
        name = f"a{entry.extensions[0]}"
        small, large = source(entry.name, 500), source(entry.name, 2000)
        first, warm = await syntax_ms(base, name, small)
        _, warm_large = await syntax_ms(base, name, large)
        bare = tree_sitter_ms(entry.name, small)
        print(f"{entry.name:12}{first:8.1f}{warm:11.2f}{warm_large:13.2f}", end="")
        print(f"{bare:19.2f}{warm / bare:7.1f}", end="")
        if entry.name == "python":
            parsed = median_ms(lambda text=small: ast.parse(text))
            print(f"{parsed:11.2f}{warm / parsed:7.1f}", end="")
        print("" if warm < SYNTAX_BAR_MS else f"   over the bar of {SYNTAX_BAR_MS:g} ms")
        is_met &= warm < SYNTAX_BAR_MS
    return is_met


async def together(base: Path) -> bool:
    """All fast validators on 2,000 lines, of which the project has an earlier version."""
    text = source("python", 2000)
    (base / "a.py").write_text(text + "old: int = 'words'\n")
    candidate = Candidate(text="", files={"a.py": text + "old: int = 'words'\nnew = f_1([1])\n"})
    checks = [parse_check(spec) for spec in FAST]

    def context_in(scratch: Path) -> CheckContext:
        return CheckContext(base=base, scratch=scratch, sandbox=SandboxSettings())

    taken: list[float] = []
    async with Workspace(base) as workspace:
        for _ in range(1 + ROUNDS):
            started = time.perf_counter()
            verdicts = await check_candidate(workspace, checks, candidate, context_in)
            taken.append(time.perf_counter() - started)
            if [verdict.result for verdict in verdicts] != ["pass"] * len(FAST):
                raise SystemExit(f"these should pass: {verdicts}")
    shown = ", ".join(f"{verdict.validator} {verdict.seconds:.2f} s" for verdict in verdicts)
    print(f"\n{' + '.join(FAST)}, Python, 2,000 lines: first {taken[0]:.2f} s,", end=" ")
    print(f"median {statistics.median(taken[1:]):.2f} s, bar {FAST_BAR_S:g} s ({shown})")
    return statistics.median(taken[1:]) < FAST_BAR_S


async def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        is_met = await languages(Path(folder))
        return 0 if await together(Path(folder)) and is_met else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
