"""A process that pulls a model, for tests that kill it, race it or take its disk away.

`pull_child.py MODELS_DIR ENTRY_JSON [FILL_AT_PHASE]`: prints one JSON line per progress, then one
with `error` (or null), `installed` (the path) and `files` (what is in the folder afterwards).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import msgspec

from rung.errors import ModelError
from rung.models.catalogue import CatalogueModel
from rung.models.progress import PullProgress
from rung.models.pull import pull
from rung.models.store import ModelStore


def fill_disk(folder: Path) -> None:
    """Somebody else's file takes what is left, to the last byte."""
    fd = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for size in (1 << 16, 1 << 12, 1):
        try:
            while os.write(fd, bytes(size)):
                pass
        except OSError:
            continue
    os.close(fd)


def main(models_dir: Path, entry_file: Path, fill_at: str = "") -> None:
    entry = msgspec.json.decode(entry_file.read_bytes(), type=CatalogueModel)

    def on_progress(progress: PullProgress) -> None:
        if progress.phase == fill_at and not (models_dir.parent / "filler").exists():
            fill_disk(models_dir.parent)
        print(msgspec.json.encode(progress).decode(), flush=True)

    error, installed = None, None
    try:
        installed = str(asyncio.run(pull(entry, ModelStore(models_dir), on_progress)).path)
    except ModelError as failure:
        error = str(failure)
    files = sorted(str(path.relative_to(models_dir)) for path in models_dir.rglob("*"))
    print(json.dumps({"error": error, "installed": installed, "files": files}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
