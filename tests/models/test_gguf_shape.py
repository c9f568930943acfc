"""A model's shape from its keys and tensors, as llama.cpp reads them."""

from __future__ import annotations

from typing import Any

import pytest

from rung.models.gguf_shape import GgufMetadata, Tensor, described


def shape(architecture: str, *tensors: Tensor, **keys: Any) -> GgufMetadata:
    """`__` in a key's name stands for a dot."""
    metadata = {f"{architecture}.{name.replace('__', '.')}": v for name, v in keys.items()}
    return described(architecture, metadata, tensors, 1000)


ATTENTION: dict[str, Any] = {
    "block_count": 12,
    "embedding_length": 512,
    "attention__head_count": 8,
    "attention__head_count_kv": 2,
}


@pytest.mark.parametrize(
    ("architecture", "keys", "full"),
    [
        ("gemma2", {}, {1, 3, 5, 7, 9, 11}),
        ("gemma3", {}, {5, 11}),
        ("gpt-oss", {}, {1, 3, 5, 7, 9, 11}),
        ("unheard-of", {}, set(range(12))),
        ("unheard-of", {"attention__sliding_window_pattern": 4}, {3, 7, 11}),
        ("unheard-of", {"attention__sliding_window_pattern": 0}, set[int]()),
        (
            "unheard-of",
            {"attention__sliding_window_pattern": (True, True, False)},
            {2, 5, 8, 11},
        ),
    ],
)
def test_the_layers_with_a_window_are_known(
    architecture: str, keys: dict[str, Any], full: set[int]
) -> None:
    found = shape(architecture, **ATTENTION, attention__sliding_window=1024, **keys)
    assert {layer for layer, is_sliding in enumerate(found.is_sliding) if not is_sliding} == full


def test_without_a_window_no_layer_slides() -> None:
    assert shape("gemma3", **ATTENTION).is_sliding == ()


def test_layers_that_use_an_earlier_layers_cache_have_none() -> None:
    found = shape("gemma3n", **ATTENTION, attention__shared_kv_layers=4)
    assert found.kv_heads == (2,) * 8 + (0,) * 4


def test_sliding_layers_may_have_heads_of_another_length() -> None:
    lengths = {"attention__key_length": 512, "attention__key_length_swa": 256}
    found = shape("gemma4", **ATTENTION, **lengths, attention__sliding_window=1024)
    assert (found.key_length, found.sliding_key_length) == (512, 256)


def test_a_latent_cache_keeps_no_values_of_its_own() -> None:
    found = shape(
        "deepseek2",
        **ATTENTION,
        attention__key_length=576,
        attention__value_length=512,
        attention__key_length_mla=192,
    )
    assert (found.key_length, found.value_length) == (576, 0)


def test_a_reader_of_whole_texts_keeps_no_cache() -> None:
    found = shape("bert", **ATTENTION, pooling_type=1)
    assert set(found.kv_heads) == {0}
    assert found.is_embedding
    assert found.capabilities == {"embedding"}


def test_a_mamba_state_is_its_convolution_and_its_states() -> None:
    found = shape(
        "mamba",
        block_count=24,
        embedding_length=768,
        ssm__conv_kernel=4,
        ssm__inner_size=1536,
        ssm__state_size=16,
    )
    assert found.state_bytes == 2_801_664  # 2.67 MiB, as llama.cpp reports
    assert not any(found.kv_heads)


def test_a_hybrid_has_a_state_in_its_recurrent_layers_and_a_cache_in_the_others() -> None:
    state = {"ssm__conv_kernel": 4, "ssm__inner_size": 1024, "ssm__state_size": 128}
    listed = shape(
        "jamba",
        **{**ATTENTION, "attention__head_count_kv": (0, 0, 0, 2) * 3},
        **state,
    )
    regular = shape("qwen3next", **ATTENTION, **state)
    parallel = shape("falcon-h1", **ATTENTION, **state)
    assert listed.kv_heads == regular.kv_heads == (0, 0, 0, 2) * 3
    assert listed.state_bytes == regular.state_bytes == parallel.state_bytes * 9 // 12


def test_rwkv_and_lfm2_have_states_too() -> None:
    rwkv = shape("rwkv7", block_count=12, embedding_length=768, wkv__head_size=64)
    lfm2 = shape(
        "lfm2", **{**ATTENTION, "attention__head_count_kv": (0, 2) * 6}, shortconv__l_cache=3
    )
    assert rwkv.state_bytes == 768 * (1 + 64) * 12 * 4
    assert lfm2.state_bytes == 512 * 2 * 6 * 4


Q4_K, F32 = 12, 0


def test_the_weights_of_matrix_products_are_summed_by_type() -> None:
    tensors = [
        Tensor("token_embd.weight", (512, 4096), Q4_K, 0),
        Tensor("blk.0.attn_q.weight", (512, 512), Q4_K, 0),
        Tensor("blk.0.ffn_up_exps.weight", (512, 64, 8), Q4_K, 0),
        Tensor("blk.0.odd.weight", (512, 12), Q4_K, 0),
        Tensor("blk.0.attn_norm.weight", (512,), F32, 0),
        Tensor("blk.0.router.weight", (512, 8), F32, 0),
    ]
    tied = shape("llama", *tensors, **ATTENTION)
    untied = shape("llama", *tensors, Tensor("output.weight", (512, 4096), 14, 0), **ATTENTION)
    block = 144 / 256
    products = (512 * 512 + 512 * 64 * 8) * block
    assert tied.matrix_bytes == {"Q4_K": products + 512 * 4096 * block}
    assert untied.matrix_bytes["Q4_K"] == products
    assert tied.vocabulary == 4096


def test_the_part_that_reads_images_is_told_apart() -> None:
    found = shape("clip", Tensor("v.patch_embd.weight", (8, 8), F32, 0), **ATTENTION)
    assert found.projector_bytes == 256


def test_the_chat_template_tells_what_the_model_was_made_for() -> None:
    template = "{% if tools %}…{% endif %}{% if enable_thinking %}<think>{% endif %}"
    metadata = {"tokenizer.chat_template": template}
    assert described("qwen3", metadata, (), 0).capabilities == {"tools", "thinking"}
    assert described("llama", {}, (), 0).capabilities == set()
