"""The child process that holds an embedded model: llama.cpp's HTTP server on a loopback port.

Run by path, isolated (`python -I`), by `embedded_process`. It reads one line of JSON from stdin,
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
    except (RuntimeError, ValueError) as error:
        _fail(channel, "error", error)
    _alarm(0)
    _say(channel, {"url": server.listening_address})
    sys.stdin.read()
    # No clean-up: destroying the server while it answers can crash it.
    os._exit(0)


def _parameters(xllamacpp: Any, spec: dict[str, Any]) -> Any:
    """llama.cpp's settings. Its defaults cost a third of the speed on a CPU, and GiBs of cache."""
    params = xllamacpp.CommonParams()
    params.model.path = spec["model_path"]
    params.model_alias = {spec["model"]}
    params.n_ctx = spec["context_tokens"]
    params.n_parallel = spec["slots"]
    params.kv_unified = spec["slots"] > 1
    params.cpuparams.n_threads = spec["threads"]
    params.cpuparams_batch.n_threads = spec["threads"]
    if not _has_gpu(xllamacpp):
        # A prompt is abandoned only between two batches: with 2048 tokens in one, 14 s after the
        # caller has gone. On a CPU small batches are also no slower.
        params.n_batch = params.n_ubatch = _CPU_BATCH_TOKENS
    if spec["gpu_layers"] >= 0:
        params.n_gpu_layers = spec["gpu_layers"]
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_ram_mib = spec["cache_mib"]
    params.sleep_idle_seconds = spec["idle_unload_s"] or -1
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
