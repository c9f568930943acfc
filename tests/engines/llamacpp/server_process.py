"""A plain llama-server in a process of its own: llama.cpp's real HTTP server, as xllamacpp has it.

    python llama_server_process.py GGUF [--embedding]

It prints its address once it serves, and ends when its stdin is closed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from rung.config.settings import EngineSettings, Secret

MODEL = "smol"
KEY = "a-key-for-this-test"
WINDOW = 256
SLOTS = 2


@asynccontextmanager
async def llama_server(
    models_dir: Path, *, embedding: bool = False
) -> AsyncIterator[EngineSettings]:
    """Settings that reach a server with the starter model, as long as the `async with` lasts."""
    gguf = next(models_dir.rglob("*.gguf"))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        str(gguf),
        *(["--embedding"] if embedding else []),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        assert url, "the server did not start"
        yield EngineSettings(kind="llamacpp", base_url=f"{url}/v1", api_key=Secret(KEY))
    finally:
        process.stdin.close()
        await process.wait()


def main() -> None:
    xllamacpp: Any = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.model_alias = {MODEL}
    params.n_ctx = WINDOW * SLOTS
    params.n_parallel = SLOTS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_batch = params.n_ubatch = 64
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_ram_mib = 64
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [KEY]
    params.endpoint_slots = params.endpoint_metrics = True
    params.verbosity = -1
    if "--embedding" in sys.argv:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
