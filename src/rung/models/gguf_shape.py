"""A model's shape, made from a gguf's keys and tensors: all that decides how much memory it takes.

The keys' names and their defaults are those of llama.cpp (llama-arch.cpp, llama-hparams.cpp,
src/models/), whose own reading of them decides what is allocated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from rung.chat import Capability
from rung.models.gguf_types import BLOCKS, FILE_TYPES, REPACKED_TYPES

Scalar = int | float | bool | str
MOST_BYTES = 1 << 60  # no claim makes more than this, so that sums fit into 64 bits
Metadata = Mapping[str, Scalar | tuple[int | float | bool, ...]]

# Architectures whose files do not say which layers have the window: all but every n-th one.
_SLIDING_PERIODS: Mapping[str, int] = {
    "cohere2": 4,
    "exaone4": 4,
    "gemma2": 2,
    "gemma3": 6,
    "gemma3n": 5,
    "gemma-embedding": 6,
    "gpt-oss": 2,
    "olmo2": 4,
}
# Hybrids whose files may not say how often a layer of attention follows recurrent ones.
_ATTENTION_INTERVALS: Mapping[str, int] = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}
# Architectures that read a text in one piece, and keep nothing of it.
_CACHELESS = frozenset(
    {"bert", "gemma-embedding", "jina-bert-v2", "jina-bert-v3", "modern-bert", "neo-bert"}
    | {"nomic-bert", "nomic-bert-moe", "t5encoder"}
)
_PROJECTOR = ("v.", "mm.", "a.")
_MOST = (1 << 31) - 1  # llama.cpp counts in 32 bits
_MAX_NAME = 200
_STATE_VALUE_BYTES = 4  # F32, whatever the type of the KV cache
_REPACK_ROWS = 8
_THINKS = ("enable_thinking", "<think>", "reasoning_content")


class Tensor(msgspec.Struct, frozen=True):
    """One tensor of the file: `dimensions` as GGML counts them, the row's length first."""

    name: str
    dimensions: tuple[int, ...]
    kind: int
    offset: int

    @property
    def values(self) -> int:
        return math.prod(self.dimensions)

    @property
    def size_bytes(self) -> int:
        """Bytes in the file; of an unknown type at least none."""
        per_block, block_bytes = BLOCKS.get(self.kind, (1, 0))
        return -(-self.values // per_block) * block_bytes


class GgufMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """A model's shape. Tuples have one item per layer.

    `kv_heads` is zero where a layer keeps no KV cache; `is_sliding` layers keep only the last
    `sliding_window` tokens, in heads of `sliding_key_length` and `sliding_value_length`.
    `state_bytes` is what one sequence takes in recurrent layers, whatever its length.
    `matrix_bytes` has the weights of matrix products by type, for some are copied when loaded.
    `projector_bytes` is the part of `size_bytes` that reads images or sound. `context_tokens` is
    what the model was trained on, `None` where the file does not say; `parts` the number of files
    that the model is split into.
    """

    architecture: str
    name: str
    quantization: str
    parameters: int
    size_bytes: int
    context_tokens: int | None
    layers: int
    kv_heads: tuple[int, ...]
    key_length: int
    value_length: int
    parts: int = 1
    heads: int = 0
    embedding_length: int = 0
    feed_forward_length: int = 0
    vocabulary: int = 0
    experts: int = 0
    experts_used: int = 0
    is_sliding: tuple[bool, ...] = ()
    sliding_window: int = 0
    sliding_key_length: int = 0
    sliding_value_length: int = 0
    state_bytes: int = 0
    matrix_bytes: Mapping[str, int] = {}
    projector_bytes: int = 0
    is_embedding: bool = False
    capabilities: frozenset[Capability] = frozenset()


def described(
    architecture: str, metadata: Metadata, tensors: Sequence[Tensor], size_bytes: int
) -> GgufMetadata:
    """The shape of a model of `architecture`."""
    keys = _Keys(architecture, metadata)
    layers, heads = keys.number("block_count"), keys.number("attention.head_count")
    key_length, value_length = _head_lengths(keys, heads)
    kv_heads = _kv_heads(keys, layers, heads)
    window = keys.number("attention.sliding_window")
    file_type = metadata.get("general.file_type")
    return GgufMetadata(
        architecture=architecture,
        name=keys.text("general.name")[:_MAX_NAME],
        quantization=FILE_TYPES.get(file_type, "") if isinstance(file_type, int) else "",
        parameters=sum(tensor.values for tensor in tensors),
        size_bytes=size_bytes,
        context_tokens=keys.number("context_length") or None,
        layers=layers,
        kv_heads=kv_heads,
        key_length=key_length,
        value_length=value_length,
        parts=max(integers(metadata.get("split.count")), default=1),
        heads=heads,
        embedding_length=keys.number("embedding_length"),
        feed_forward_length=max(
            keys.number("feed_forward_length"), keys.number("expert_feed_forward_length")
        ),
        vocabulary=keys.number("vocab_size") or _rows(tensors, "token_embd.weight"),
        experts=keys.number("expert_count"),
        experts_used=keys.number("expert_used_count"),
        is_sliding=_sliding_layers(keys, layers) if window else (),
        sliding_window=window,
        sliding_key_length=keys.number("attention.key_length_swa") or key_length,
        sliding_value_length=keys.number("attention.value_length_swa") or value_length,
        state_bytes=_state_bytes(keys, kv_heads),
        matrix_bytes=_matrix_bytes(tensors),
        projector_bytes=sum(t.size_bytes for t in tensors if t.name.startswith(_PROJECTOR)),
        is_embedding="pooling_type" in keys,
        capabilities=_capabilities(keys),
    )


class _Keys:
    """A model's keys, without the architecture's name that stands before most of them."""

    def __init__(self, architecture: str, metadata: Metadata) -> None:
        self.architecture = architecture
        self._metadata = metadata

    def __contains__(self, key: str) -> bool:
        return f"{self.architecture}.{key}" in self._metadata

    def numbers(self, key: str) -> tuple[int, ...]:
        return integers(self._metadata.get(f"{self.architecture}.{key}"))

    def number(self, key: str) -> int:
        """The number, or the largest of a list of one per layer; zero where there is none."""
        return max(self.numbers(key), default=0)

    def text(self, key: str) -> str:
        found = self._metadata.get(key)
        return found if isinstance(found, str) else ""


def _head_lengths(keys: _Keys, heads: int) -> tuple[int, int]:
    """Numbers in one head's key and in its value, per token of a layer's cache."""
    usual = keys.number("embedding_length") // heads if heads else 0
    is_latent = keys.number("attention.key_length_mla") > 0  # its values are part of its keys
    value_length = 0 if is_latent else keys.number("attention.value_length") or usual
    return keys.number("attention.key_length") or usual, value_length


def _kv_heads(keys: _Keys, layers: int, heads: int) -> tuple[int, ...]:
    """KV heads by layer: none where a layer is recurrent, or uses an earlier layer's cache."""
    if keys.architecture in _CACHELESS:
        return (0,) * layers
    found = keys.numbers("attention.head_count_kv") or (heads,)
    by_layer = (found * layers if len(found) == 1 else found)[:layers]
    interval = keys.number("full_attention_interval") or _ATTENTION_INTERVALS.get(
        keys.architecture, 0
    )
    own = layers - keys.number("attention.shared_kv_layers")
    return tuple(
        0 if layer >= own or (interval and (layer + 1) % interval) else count
        for layer, count in enumerate(by_layer)
    )


def _sliding_layers(keys: _Keys, layers: int) -> tuple[bool, ...]:
    """Which layers have the window. Where nobody says, none: that needs the most memory."""
    pattern = keys.numbers("attention.sliding_window_pattern")
    if len(pattern) > 1:
        return tuple(bool(pattern[layer % len(pattern)]) for layer in range(layers))
    period = pattern[0] if pattern else _SLIDING_PERIODS.get(keys.architecture, 1)
    return tuple(period == 0 or (layer + 1) % period > 0 for layer in range(layers))


def _state_bytes(keys: _Keys, kv_heads: Sequence[int]) -> int:
    """The state of one sequence in all recurrent layers: Mamba and its kin, RWKV, LFM2."""
    width, wkv_head = keys.number("embedding_length"), keys.number("wkv.head_size")
    inner, state = keys.number("ssm.inner_size"), keys.number("ssm.state_size")
    if wkv_head:
        values = width * (max(1, keys.number("token_shift_count")) + wkv_head)
    elif inner:
        groups = keys.number("ssm.group_count")
        convolved = max(0, keys.number("ssm.conv_kernel") - 1) * (inner + 2 * groups * state)
        values = convolved + inner * state
    else:
        values = width * max(0, keys.number("shortconv.l_cache") - 1)
    # Where every layer has attention as well, every layer is both.
    recurrent = kv_heads.count(0) or len(kv_heads)
    return min(values * recurrent * _STATE_VALUE_BYTES, MOST_BYTES)


def _matrix_bytes(tensors: Sequence[Tensor]) -> Mapping[str, int]:
    """Bytes by type of the weights that llama.cpp may lay out anew for the CPU it runs on.

    Those of matrix products with whole groups of rows; the table of embeddings is one only where
    it is also the output. Source: ggml/src/ggml-cpu/repack.cpp, and the log of a load.
    """
    has_output = any(tensor.name == "output.weight" for tensor in tensors)
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        is_table = tensor.name == "token_embd.weight" and has_output
        is_matrix = len(tensor.dimensions) > 1 and tensor.dimensions[1] % _REPACK_ROWS == 0
        if is_matrix and not is_table and tensor.kind in REPACKED_TYPES:
            sizes[REPACKED_TYPES[tensor.kind]] += tensor.size_bytes
    return dict(sizes)


def _capabilities(keys: _Keys) -> frozenset[Capability]:
    """What the file's own chat template provides for."""
    template = keys.text("tokenizer.chat_template")
    found: set[Capability] = set()
    if "tools" in template:
        found.add("tools")
    if any(sign in template for sign in _THINKS):
        found.add("thinking")
    if "pooling_type" in keys:
        found.add("embedding")
    return frozenset(found)


def _rows(tensors: Sequence[Tensor], name: str) -> int:
    found = next((t for t in tensors if t.name == name and len(t.dimensions) > 1), None)
    return found.dimensions[1] if found else 0


def integers(found: Scalar | tuple[int | float | bool, ...] | None) -> tuple[int, ...]:
    """The whole numbers of a value that may be one for all layers, or a list of one per layer.

    None is below zero, or beyond what llama.cpp can count.
    """
    items = found if isinstance(found, tuple) else (found,)
    return tuple(min(max(0, int(item)), _MOST) for item in items if isinstance(item, int))
