"""What is true of an answer: its visible and hidden tests, run without any of Rung's validators.

The code runs in the sandbox all the same. A test module's functions are called one by one in a
process of their own per answer; only a process that reached its end and says so has passed.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.real_work.tasks import WorkTask
from rung.config.settings import SandboxSettings
from rung.validation import sandbox

CHILD = Path(__file__).with_name("truth_child.py")
CPU_S = 10
SETTINGS = SandboxSettings(timeout_s=600, memory_mib=1536)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Whether an answer passes; `why` is the first test that it fails, and how."""

    visible: bool
    hidden: bool
    why: str = ""

    @property
    def is_right(self) -> bool:
        return self.visible and self.hidden


async def truths(
    task: WorkTask, answers: Sequence[Mapping[str, str] | None], cpu_s: int = CPU_S
) -> list[Truth]:
    """The truth about each answer's files; one without files is wrong."""
    job = {
        "token": secrets.token_hex(16),
        "cpu_s": cpu_s,
        "visible": list(task.visible),
        "hidden": list(task.hidden),
        # Tests are the project's own, whatever an answer says.
        "trees": [
            {**task.project, **(files or {}), **task.visible, **task.hidden} for files in answers
        ],
    }
    with tempfile.TemporaryDirectory(prefix="rung-truth-") as folder:
        script = Path(folder) / "child.py"
        script.write_text(CHILD.read_text(encoding="utf-8"), encoding="utf-8")
        ended = await sandbox.run(
            ["python3", str(script)],
            cwd=Path(folder),
            writable=[Path(folder)],
            settings=SETTINGS,
            stdin=json.dumps(job),
            env={"PYTHONHASHSEED": "0"},
        )
        try:
            found = json.loads(ended.output)
        except ValueError:
            raise RuntimeError(
                f"{task.name}: the tests did not run: {ended.output[-2000:]}"
            ) from None
    return [
        Truth(visible=False, hidden=False, why="no answer")
        if files is None
        else Truth(visible=visible, hidden=hidden, why=why)
        for files, (visible, hidden, why) in zip(answers, found, strict=True)
    ]
