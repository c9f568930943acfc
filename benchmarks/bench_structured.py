"""Structured output by the embedded model: are the objects valid under the caller's schema?

    python benchmarks/bench_structured.py FOLDER [--budget 220] [--limit N] [--seconds N]
    python benchmarks/bench_structured.py --in-a-row 500

For every schema of a folder, by the same model process, from the same prompt with the same seed
and at most `--budget` new tokens: one object by Rung (compiled schema, reading, repair turn), and
one by llama.cpp's own `response_format` with the original schema. Judged by the original schema,
with formats. Bars: 98 % valid with 1,024 tokens, 93 % with 220, and no invalid object that is
returned as valid. `--in-a-row` asks again and again for one three-level object: all must be valid,
none cut off, none repaired.

Results are added to the file `--out`, and what is in it is not run again unless what would be sent
has changed, so a run that was stopped goes on. Works offline once the model is pulled.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
from msgspec.structs import replace
from schema_folder import Sample, samples

from rung.chat import ChatRequest, Completion, LoadOptions, Message, Usage
from rung.config.load import load
from rung.config.settings import EmbeddedSettings
from rung.engines.deadline import Deadline
from rung.engines.embedded.process import ModelProcess
from rung.engines.embedded.spec import load_spec
from rung.engines.failure import Origin
from rung.engines.llamacpp.engine import LlamaServerEngine
from rung.errors import EngineError, RungError
from rung.models.store import ModelStore
from rung.structured import compile_schema, complete_object, violations, with_instructions
from rung.structured.parse import NotJsonError, parse

TEMPERATURE = 0.2
TIMEOUT_S = 300.0
WAYS = ("rung", "plain")
PROMPT = "Write one realistic example of the data that is described, and nothing else."
ROW = "a plan in a row"
# Three levels, as a planning task asks for: objects in arrays of objects, enums, bounds.
PLAN: dict[str, Any] = {
    "type": "object",
    "required": ["title", "phases", "budget_usd", "verdict"],
    "additionalProperties": False,
    "properties": {
        "title": {"type": "string", "minLength": 3, "maxLength": 24},
        "phases": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {
                "type": "object",
                "required": ["name", "risk", "tasks"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "maxLength": 24},
                    "risk": {"enum": ["low", "medium", "high"]},
                    "tasks": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 2,
                        "items": {
                            "type": "object",
                            "required": ["id", "what", "days"],
                            "additionalProperties": False,
                            "properties": {
                                "id": {"type": "integer", "minimum": 1, "maximum": 99},
                                "what": {"type": "string", "maxLength": 24},
                                "days": {"type": "integer", "minimum": 1, "maximum": 365},
                            },
                        },
                    },
                },
            },
        },
        "budget_usd": {"type": "integer", "minimum": 0, "maximum": 1000000},
        "verdict": {"enum": ["go", "no_go"]},
    },
}


@dataclass(frozen=True)
class Result:
    """How one request ended. `outcome` is valid, error (a typed one) or invalid.

    For Rung "invalid" means an invalid object that was returned as if it were valid; for the plain
    way it is any answer that is not a valid object. `cause` is the error's kind and text.
    """

    key: str
    name: str
    group: str
    way: str
    budget: int
    outcome: str
    calls: int
    tokens: int
    seconds: float
    finish: str
    repairs: list[str]
    cause: str = ""


class Bench:
    """The model process, and the two ways to ask it."""

    def __init__(self, server: LlamaServerEngine, model: str, session: aiohttp.ClientSession):
        self._server = server
        self._model = model
        self._session = session

    def request(self, schema: Any, budget: int, seed: int) -> ChatRequest:
        return ChatRequest(
            model=self._model,
            messages=(Message(role="user", content=PROMPT),),
            schema=schema,
            max_tokens=budget,
            temperature=TEMPERATURE,
            seed=seed,
            timeout_s=TIMEOUT_S,
        )

    async def by_rung(self, request: ChatRequest) -> tuple[str, str, list[Completion]]:
        """The outcome, its cause, and the answers that it took."""
        answers: list[Completion] = []

        async def call(asked: ChatRequest) -> Completion:
            answers.append(await self._server.complete(asked))
            return answers[-1]

        try:
            done = await complete_object(call, request, can_continue=self._server.continues_answers)
        except RungError as error:
            kind = error.kind if isinstance(error, EngineError) else type(error).__name__
            return "error", f"{kind}: {str(error)[:300]}", answers
        answers[-1] = replace(answers[-1], repairs=done.repairs)
        problems = violations(done.parsed, request.schema or {})
        is_valid = done.parsed is not None and not problems
        return "valid" if is_valid else "invalid", "; ".join(problems)[:300], answers

    async def plain(self, request: ChatRequest) -> tuple[str, str, list[Completion]]:
        """llama.cpp's own enforcement of the schema as it is."""
        body = {
            "model": self._model,
            "messages": [
                {"role": turn.role, "content": turn.content}
                for turn in with_instructions(request).messages
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": request.schema},
            },
            "max_tokens": request.max_tokens,
            "temperature": TEMPERATURE,
            "seed": request.seed,
        }
        settings = self._server.settings
        headers = {"Authorization": f"Bearer {settings.api_key:s}"}
        url = f"{settings.base_url}/chat/completions"
        async with self._session.post(url, json=body, headers=headers) as response:
            answer = await response.json()
        if "error" in answer:
            return "error", str(answer["error"].get("message"))[:300], []
        [choice], usage = answer["choices"], answer["usage"]
        text = choice["message"]["content"] or ""
        completion = Completion(
            text=text,
            engine="plain",
            model=self._model,
            usage=Usage(tokens_out=usage["completion_tokens"]),
            finish_reason="length" if choice["finish_reason"] == "length" else "stop",
        )
        try:
            problems = violations(parse(text.strip()), request.schema or {})
        except NotJsonError as error:
            problems = [f"not JSON: {error}"]
        return ("invalid" if problems else "valid"), "; ".join(problems)[:300], [completion]

    async def run(self, way: str, sample: Sample, budget: int, seed: int, key: str) -> Result:
        started_at = time.perf_counter()
        ask = self.by_rung if way == "rung" else self.plain
        try:
            outcome, cause, answers = await ask(self.request(sample.schema, budget, seed))
        except (TimeoutError, aiohttp.ClientError) as error:
            outcome, cause, answers = "error", f"{type(error).__name__}: {error}", []
        return Result(
            key=key,
            name=sample.name,
            group=sample.group,
            way=way,
            budget=budget,
            outcome=outcome,
            calls=len(answers),
            tokens=sum(answer.usage.tokens_out or 0 for answer in answers),
            seconds=round(time.perf_counter() - started_at, 3),
            finish=answers[-1].finish_reason if answers else "",
            repairs=list(answers[-1].repairs) if answers else [],
            cause=cause,
        )


@asynccontextmanager
async def running_model() -> AsyncGenerator[Bench]:
    """The default embedded model in a process of its own."""
    settings = EmbeddedSettings(load_timeout_s=300)
    installed = ModelStore(load().settings.models_dir).find(settings.model)
    if installed is None or installed.problem:
        raise SystemExit(f"pull the model first: rung models pull {settings.model}")
    origin = Origin(engine="embedded", base_url="", model=settings.model)
    process = ModelProcess(
        settings.model, installed.path, load_spec(settings, LoadOptions()), origin
    )
    try:
        await process.load(Deadline(origin, None, None))
        assert process.server is not None, "the model is loaded"
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield Bench(process.server, settings.model, session)
    finally:
        await process.stop()


def key_of(way: str, sample: Sample, budget: int, seed: int) -> str:
    """The same for a request that would be sent in the same way."""
    sent: Any = sample.schema
    if way == "rung":
        try:
            compiled = compile_schema(sample.schema, "llamacpp", budget)
            sent = [compiled.schema, sample.schema]
        except RungError as error:
            sent = str(error)
    text = json.dumps([PROMPT, way, sample.name, sent, budget, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def seed_of(sample: Sample) -> int:
    return int(hashlib.sha256(sample.name.encode()).hexdigest()[:6], 16)


def spread(found: list[Sample], limit: int | None) -> list[Sample]:
    """The samples in turn from each group, so that the first of them stand for all."""
    groups: dict[str, list[Sample]] = {}
    for sample in found:
        groups.setdefault(sample.group, []).append(sample)
    longest = max(map(len, groups.values()), default=0)
    turns = [group[i] for i in range(longest) for group in groups.values() if i < len(group)]
    return turns[:limit]


class Record:
    """The results so far, by key; each new one is in the file before the next is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.results = {(r := Result(**json.loads(line))).key: r for line in lines if line}

    def add(self, result: Result) -> None:
        self.results[result.key] = result
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")


async def measure(jobs: list[tuple[str, Sample, int, int]], record: Record, seconds: float) -> int:
    """Runs what is not on record; how many are left when the time is up."""
    keyed = [(key_of(*job), job) for job in jobs]
    waiting = [(key, job) for key, job in keyed if key not in record.results]
    ends_at = time.monotonic() + seconds
    if not waiting:
        return 0
    async with running_model() as bench:
        for left, (key, (way, sample, budget, seed)) in enumerate(waiting):
            if time.monotonic() > ends_at:
                return len(waiting) - left
            result = await bench.run(way, sample, budget, seed, key)
            record.add(result)
            print(
                f"{way:5} {sample.name[:40]:40} {result.outcome:7} {result.calls} calls"
                f" {result.tokens:5} tokens {result.seconds:6.1f} s {result.cause[:90]}",
                flush=True,
            )
    return 0


def show(results: list[Result], budget: int) -> bool:
    """Prints the table; whether the bars are met."""
    is_met = True
    bar = 0.98 if budget >= 1024 else 0.93
    print(
        f"\nat most {budget} new tokens, temperature {TEMPERATURE}, judged by the original schema\n"
        f"{'':22}{'schemas':>8}{'valid':>14}{'in one call':>14}{'errors':>8}{'invalid':>8}"
        f"{'cut off':>8}{'tokens':>8}{'s':>7}"
    )
    for way in WAYS:
        of = [r for r in results if r.way == way and r.budget == budget]
        if not of:
            continue
        valid = [r for r in of if r.outcome == "valid"]
        once = [r for r in valid if r.calls == 1]
        label = "Rung" if way == "rung" else "plain response_format"
        print(
            f"{label:22}{len(of):>8}{_share(valid, of):>14}{_share(once, of):>14}"
            f"{_count(of, lambda r: r.outcome == 'error'):>8}"
            f"{_count(of, lambda r: r.outcome == 'invalid'):>8}"
            f"{_count(of, lambda r: r.finish == 'length'):>8}"
            f"{statistics.median(r.tokens for r in of):>8.0f}"
            f"{statistics.median(r.seconds for r in of):>7.2f}"
        )
        if way == "rung":
            has_lied = any(r.outcome == "invalid" for r in of)
            is_met = len(valid) >= bar * len(of) and not has_lied
    print("tokens and seconds: medians a schema; a plain answer that is cut off is invalid")
    for result in results:
        if result.way == "rung" and result.budget == budget and result.outcome != "valid":
            print(f"  {result.name}: {result.outcome}: {result.cause}")
    return is_met


def show_row(results: list[Result]) -> bool:
    of = [r for r in results if r.name.startswith(ROW)]
    bad = [r for r in of if r.outcome != "valid" or r.calls != 1 or r.finish == "length"]
    print(
        f"\n{len(of)} in a row: {_count(of, lambda r: r.outcome == 'valid')} valid,"
        f" {_count(of, lambda r: r.finish == 'length')} cut off,"
        f" {_count(of, lambda r: r.calls > 1)} with a repair turn;"
        f" {statistics.median(r.tokens for r in of):.0f} tokens and"
        f" {statistics.median(r.seconds for r in of):.2f} s each"
    )
    return not bad


def _share(part: list[Result], whole: list[Result]) -> str:
    return f"{len(part)} ({len(part) / len(whole):.1%})"


def _count(results: list[Result], is_one: Callable[[Result], bool]) -> str:
    return str(sum(map(is_one, results)))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="a folder or file of schemas")
    parser.add_argument("--budget", type=int, default=1024, help="new tokens, at most")
    parser.add_argument("--limit", type=int, help="only so many schemas, spread over the groups")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after that")
    parser.add_argument("--ways", default=",".join(WAYS), help="rung, plain, or both")
    parser.add_argument("--in-a-row", type=int, default=0, help="so many objects of one schema")
    parser.add_argument("--out", type=Path, help="a .jsonl file of results, to go on from")
    arguments = parser.parse_args()
    row = arguments.in_a_row or (0 if arguments.folder else 10)
    found = spread(samples(arguments.folder), arguments.limit) if arguments.folder else []
    jobs = [
        (way, sample, arguments.budget, seed_of(sample))
        for sample in found
        for way in arguments.ways.split(",")
    ]
    jobs += [("rung", Sample(f"{ROW} {i}", "row", PLAN), arguments.budget, i) for i in range(row)]
    record = Record(arguments.out or Path("/dev/null"))
    left = asyncio.run(measure(jobs, record, arguments.seconds))
    keys = [key_of(*job) for job in jobs]
    done = [record.results[key] for key in keys if key in record.results]
    is_met = not left
    if found and done:
        is_met &= show([r for r in done if r.group != "row"], arguments.budget)
    if row and done:
        is_met &= show_row([r for r in done if r.group == "row"])
    if left:
        print(f"{left} requests are left; run it again with the same --out to go on")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
