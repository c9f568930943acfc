"""The fit: estimated memory beside the resident memory of real model processes.

Each cell is a load of a model by the embedded engine, and an answer in every slot that fills the
first tokens of its window; the bar is 15 % either way. The estimate is for windows in use that far,
because what the scores of attention take is touched only then; the last cell fills its window.
Saved prompts are switched off: they have a bound of their own, and come with use.

Models are those of the store, and the paths of ggufs that are given as arguments. Needs Linux,
which tells what a process holds. Works offline once a model is pulled.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rung.chat import ChatRequest, LoadOptions, Message
from rung.config.load import load
from rung.config.settings import EmbeddedSettings, KvType
from rung.engines.embedded.engine import EmbeddedEngine
from rung.errors import EngineError
from rung.models.fit import budget
from rung.models.gguf import GgufMetadata, read_gguf
from rung.models.memory import available_memory_bytes
from rung.models.store import ModelStore

BAR = 0.15
CONTEXTS = (512, 4096, 32_768)
SLOTS = (1, 4)
KV_TYPES: tuple[KvType, ...] = ("f16", "q8_0", "q4_0")
PROMPT_WORDS = 150
FULL_CONTEXT = 2048
ANSWER_TOKENS = 32
MIB = 1 << 20


@dataclass(frozen=True)
class Cell:
    """One load, and how many words each slot is asked."""

    options: LoadOptions
    words: int


async def main() -> int:
    failures = 0
    for name, path in models():
        shape = read_gguf(path)
        print(f"{name}: {shape.quantization or '?'}, {shape.size_bytes / MIB:.0f} MiB of weights")
        print(f"{'context':>8} {'slots':>5} {'cache':>5} {'estimate':>9} {'resident':>9}  ratio")
        for cell in cells(shape):
            resident, tokens = await measured(path, cell)
            estimate = budget(shape, cell.options, tokens_in_use=tokens).resident_bytes
            ratio = estimate / resident
            is_miss = abs(ratio - 1) > BAR
            failures += is_miss
            o = cell.options
            print(
                f"{o.context_tokens:>8} {o.slots:>5} {o.kv_type:>5} {estimate / MIB:>5.0f} MiB"
                f" {resident / MIB:>5.0f} MiB  {ratio:.3f}{'  MISS' if is_miss else ''}",
                flush=True,
            )
    print(f"{failures} cells outside {BAR:.0%}")
    return 1 if failures else 0


def models() -> Iterator[tuple[str, Path]]:
    """What is installed, and what was named."""
    for model in ModelStore(load().settings.models_dir).list():
        if not model.problem:
            yield model.id, model.path
    for path in map(Path, sys.argv[1:]):
        yield path.stem, path


def cells(shape: GgufMetadata) -> Iterator[Cell]:
    """Every combination that the model was trained for and the machine has room for."""
    room = available_memory_bytes() // 2
    trained = shape.context_tokens or CONTEXTS[0]
    contexts = [context for context in CONTEXTS if context <= trained]
    for context, slots, kv_type in itertools.product(contexts, SLOTS, KV_TYPES):
        options = LoadOptions(context_tokens=context, slots=slots, kv_type=kv_type)
        if budget(shape, options).resident_bytes < room:
            yield Cell(options, PROMPT_WORDS)
    if trained >= FULL_CONTEXT:
        options = LoadOptions(context_tokens=FULL_CONTEXT, slots=1, kv_type="f16")
        yield Cell(options, FULL_CONTEXT * 3 // 4)


async def measured(path: Path, cell: Cell) -> tuple[int, int]:
    """Resident bytes of the process after the answers, and the tokens in use of one slot."""
    settings = EmbeddedSettings(cache_mib=0, load_timeout_s=300)
    model = path.stem
    async with EmbeddedEngine(settings, lambda _: path, list) as engine:
        await engine.load(model, cell.options)
        asked = [request(model, cell.words, slot) for slot in range(cell.options.slots or 1)]
        await asyncio.gather(*(answered(engine, one) for one in asked))
        (loaded,) = await engine.loaded()
        assert loaded.memory_bytes is not None, "this system does not tell what a process holds"
        read = await engine.count_tokens(asked[0])
        return loaded.memory_bytes, (read or cell.words) + ANSWER_TOKENS


async def answered(engine: EmbeddedEngine, asked: ChatRequest) -> None:
    """Answer it. An empty answer is as good: the prompt was read."""
    try:
        await engine.complete(asked)
    except EngineError as error:
        if error.kind != "bad_output":
            raise


def request(model: str, words: int, slot: int) -> ChatRequest:
    """A prompt of about a token a word, different in each slot, and an answer to it."""
    text = " ".join(("tree", "house", "water", "light")[(slot + at) % 4] for at in range(words))
    message = Message(role="user", content=text)
    return ChatRequest(model=model, messages=(message,), temperature=0.0, max_tokens=ANSWER_TOKENS)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
