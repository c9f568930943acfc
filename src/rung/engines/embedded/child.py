"""The child process that holds an embedded model: llama.cpp's HTTP server on a loopback port.

Run by path, isolated (`python -I`), by `process.py`. It reads one line of JSON from stdin,
writes one to stdout (`{"url"}`, or `{"error"}` and why), serves until stdin is closed, and imports
nothing of Rung: it must start fast. Its owner's death ends it in any state: the kernel kills it
on Linux, the closed stdin ends it elsewhere, and an alarm ends a load that hangs. That needs no
Python to run, for llama.cpp holds the interpreter's lock while it loads.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CPU_BATCH_TOKENS = 64
_CHECKPOINTS = 4


def main() -> None:
    """Load, tell the owner, serve, and end with the owner."""
    _end_with_owner()
    # The owner reads fd 1: whatever a library prints there must go to stderr instead.
    channel = os.dup(1)
    os.dup2(2, 1)
    spec = json.loads(sys.stdin.readline() or "{}")
    if not spec or os.getppid() != spec["owner_pid"]:
        os._exit(0)
    # The owner's own, without the working directory: what it can import, this process can.
    sys.path[:] = spec["import_path"]
    try:
        xllamacpp: Any = import_module("xllamacpp")
    except ImportError as error:
        _fail(channel, "missing", error)
    _alarm(spec["load_timeout_s"])
    try:
        server = xllamacpp.Server(_parameters(xllamacpp, spec))
        if spec["is_embedding"] and not _pools(server):
            server = xllamacpp.Server(_parameters(xllamacpp, spec, pools=True))
    except (RuntimeError, ValueError) as error:
        _fail(channel, "error", error)
    _alarm(0)
    _say(channel, {"url": server.listening_address})
    sys.stdin.read()
    # No clean-up: destroying the server while it answers can crash it.
    os._exit(0)


def _parameters(xllamacpp: Any, spec: dict[str, Any], *, pools: bool = False) -> Any:
    """llama.cpp's settings. Its defaults cost a third of the speed on a CPU, and GiBs of cache.

    With `pools` an embedding is the mean over the text's tokens, whatever the model says of it.
    """
    params = xllamacpp.CommonParams()
    params.model.path = spec["model_path"]
    params.model_alias = {spec["model"]}
    # Each slot has its window for itself: in a shared one, long answers end each other.
    params.n_ctx = spec["context_tokens"] * spec["slots"]
    params.n_parallel = spec["slots"]
    params.kv_unified = False
    params.cpuparams.n_threads = spec["threads"]
    params.cpuparams_batch.n_threads = spec["threads"]
    if spec["is_embedding"]:
        params.embedding = True
        # A text is read in one batch, or refused.
        params.n_batch = params.n_ubatch = spec["context_tokens"]
        if pools:
            params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    elif not _has_gpu(xllamacpp):
        # A prompt is abandoned only between two batches: with 2048 tokens in one, 14 s after the
        # caller has gone. On a CPU small batches are also no slower.
        params.n_batch = params.n_ubatch = _CPU_BATCH_TOKENS
    if spec["gpu_layers"] >= 0:
        params.n_gpu_layers = spec["gpu_layers"]
    # It makes a CPU slower the longer the context is, but a quantised cache cannot do without.
    is_quantised = spec["kv_type"] != "f16"
    flash = xllamacpp.llama_flash_attn_type
    params.flash_attn_type = (
        flash.LLAMA_FLASH_ATTN_TYPE_ENABLED
        if is_quantised
        else flash.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    kv_type = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{spec['kv_type'].upper()}")
    params.cache_type_k = params.cache_type_v = kv_type
    params.cache_ram_mib = spec["cache_mib"]
    # Copies of a slot's state, for models whose cache cannot be cut back: 32 of them take GiBs.
    params.n_ctx_checkpoints = _CHECKPOINTS
    params.sleep_idle_seconds = -1  # who loads models unloads them, too
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [spec["api_key"]]
    params.cors_origins = ""
    params.cors_credentials = False
    params.endpoint_slots = False
    params.ui = False
    # Errors only: they say why a load failed. Anything more would print prompts.
    params.verbosity = 1
    return params


def _pools(server: Any) -> bool:
    """Whether the model makes one vector of a text: one that was trained to chat makes many."""
    return "error" not in server.handle_embeddings({"input": "a"})


def _has_gpu(xllamacpp: Any) -> bool:
    return any(not device["type"].name.endswith("_CPU") for device in xllamacpp.get_device_info())


def _end_with_owner() -> None:
    # Ctrl-C is for the owner, which ends this process in its own way.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _alarm(seconds: float) -> None:
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _say(channel: int, message: dict[str, str]) -> None:
    os.write(channel, json.dumps(message).encode() + b"\n")


def _fail(channel: int, what: str, error: Exception) -> NoReturn:
    _say(channel, {what: str(error)})
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    main()
