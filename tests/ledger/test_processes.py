"""Several processes write to one ledger at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rung.ledger.lost import LostRows
from tests.ledger.conftest import Place

PROCESSES = 4
ROWS = 500

WRITE = """
import asyncio, sys
from pathlib import Path
from rung.config.settings import LedgerSettings
from rung.ledger import CallRow, Ledger, ReviewItem

async def main():
    ledger = Ledger.open(LedgerSettings(url=sys.argv[2]), Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(int(sys.argv[4])):
        ledger.record(CallRow(tool="t", engine="e", model=sys.argv[3], attempt=n))
        await asyncio.sleep(0)
        if n % 100 == 0:
            await ledger.flush(20)
    await ledger.add_review(ReviewItem(task_id="t", title="t", reason="r", outcome={}))
    await ledger.close(30)

asyncio.run(main())
"""

LOSE = """
import sys
from pathlib import Path
from rung.ledger.lost import LostRows

print("ready", flush=True)
sys.stdin.readline()
lost = LostRows(Path(sys.argv[1]))
for _ in range(50):
    lost.add(2, "gone")
    lost.save()
"""


def run_together(script: str, *arguments: object) -> None:
    """Run it in four processes, which start at the same moment; `{n}` becomes their number."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, *(str(a).replace("{n}", str(n)) for a in arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(PROCESSES)
    ]
    for process in running:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=120)
        assert process.returncode == 0


async def test_processes_that_create_and_fill_one_ledger_together_lose_nothing(
    place: Place,
) -> None:
    run_together(WRITE, place.data_dir, place.url, "model-{n}", ROWS)
    ledger = place.open()
    calls = await ledger.calls(PROCESSES * ROWS + 1)
    for n in range(PROCESSES):
        numbers = [row.attempt for row in reversed(calls) if row.model == f"model-{n}"]
        assert numbers == list(range(ROWS))
    assert len(await ledger.reviews()) == PROCESSES
    assert (await ledger.health()).lost_rows == 0
    await ledger.close()


def test_processes_that_count_lost_rows_together_miscount_none(tmp_path: Path) -> None:
    file = tmp_path / "ledger-lost.json"
    run_together(LOSE, file)
    assert json.loads(file.read_text())["lost_rows"] == PROCESSES * 50 * 2
    assert LostRows(file).count().lost_rows == PROCESSES * 50 * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ledger-lost.json",
        "ledger-lost.lock",
    ]
