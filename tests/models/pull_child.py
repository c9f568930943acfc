"""A process that pulls a model, for tests that kill it, race it or take its disk away.

`python -m tests.models.pull_child MODELS_DIR ENTRY_JSON [FILL_AT_PHASE [HUB_URL]]` prints one JSON
line per update, then one with `error` (or null), `installed` (the path), `files` (what is in the
folder) and, after a failure, the `states` of its jobs. From a hub it resumes after a failure, when
the disk has space again.
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
from rung.models.downloads import Job
from rung.models.downloads.job import shown
from rung.models.store import ModelStore
from tests.pulling import downloads

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "tests.models.pull_child")


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


def main(models_dir: Path, entry_file: Path, fill_at: str = "", hub_url: str = "") -> None:
    entry = msgspec.json.decode(entry_file.read_bytes(), type=CatalogueModel)
    filler = models_dir.parent / "filler"

    def on_update(job: Job) -> None:
        if job.phase == fill_at and not filler.exists():
            fill_disk(models_dir.parent)
        print(msgspec.json.encode(shown(job)).decode(), flush=True)

    async def pull() -> dict[str, object]:
        here = downloads(ModelStore(models_dir), hub_url)
        try:
            return {"error": None, "installed": (await here.pull(entry, on_update)).path}
        except ModelError as error:
            failure = str(error)
            left = sorted(str(path.relative_to(models_dir)) for path in models_dir.rglob("*"))
            state = [job.state for job in await here.list()]
        end = {"error": failure, "installed": None, "files": left, "states": state}
        if not hub_url:
            return end
        filler.unlink()
        return {**end, "installed": (await here.resume(entry.id)).path}

    end = asyncio.run(pull())
    files = sorted(str(path.relative_to(models_dir)) for path in models_dir.rglob("*"))
    print(json.dumps({"files": files, **end}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
