"""However a process ends, the ledger neither holds it up nor hides what it could not write."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.conftest import Place

RECORD_THREE = """
import asyncio, sys
from pathlib import Path
from rung.config.settings import LedgerSettings
from rung.ledger import CallRow, Ledger

async def main():
    ledger = Ledger.open(LedgerSettings(url=sys.argv[2]), Path(sys.argv[1]))
    for _ in range(3):
        ledger.record(CallRow(tool="t", engine="e", model="m"))
    {end}

asyncio.run(main())
"""

ENDS = {
    "without_close": "pass",
    "by_an_error": "raise ValueError",
    "by_sys_exit": "sys.exit(3)",
    "by_ctrl_c": "print('ready', flush=True); await asyncio.Event().wait()",
    "by_ctrl_c_in_a_flush": "print('ready', flush=True); await ledger.flush(600)",
    "by_ctrl_c_in_close": "print('ready', flush=True); await ledger.close(600)",
}


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The URL of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://user:hunter2@127.0.0.1:{server.getsockname()[1]}/db"


def run_to_the_end(end: str, data_dir: Path, url: str) -> str:
    script = RECORD_THREE.replace("{end}", ENDS[end])
    with subprocess.Popen(
        [sys.executable, "-c", script, data_dir, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if "ctrl_c" in end:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
        return process.communicate(timeout=60)[1]


@pytest.mark.parametrize("end", [end for end in ENDS if end != "by_ctrl_c_in_a_flush"])
async def test_rows_are_written_although_the_process_ends(tmp_path: Path, end: str) -> None:
    run_to_the_end(end, tmp_path, "")
    ledger = Place(mode="sqlite", url="", data_dir=tmp_path).open()
    assert len(await ledger.calls()) == 3
    assert (await ledger.health()).lost_rows == 0
    await ledger.close()


@pytest.mark.parametrize("end", [end for end in ENDS if "ctrl_c" in end])
def test_a_database_that_hangs_does_not_keep_a_process_from_ending(
    tmp_path: Path, silent_server: str, end: str
) -> None:
    errors = run_to_the_end(end, tmp_path, silent_server)
    assert "hunter2" not in errors
    lost = (tmp_path / "ledger-lost.json").read_text()
    assert json.loads(lost)["lost_rows"] == 3
    assert "hunter2" not in lost
