"""Temporary folders of a Rung that was killed are removed by the next one, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rung.validation.temporary import remove_stale

HOLD = (
    "import sys; from rung.validation.temporary import make_folder;"
    "print(make_folder('work'), flush=True); sys.stdin.read()"
)


@contextmanager
def holder(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that has a temporary folder below `parent`, with a file in it."""
    command = [sys.executable, "-c", HOLD]
    pipe = subprocess.PIPE
    environment = {**os.environ, "TMPDIR": str(parent)}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        (folder / "file").write_text("left behind")
        try:
            yield process, folder
        finally:
            process.kill()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    with holder(tmp_path) as (process, folder):
        process.send_signal(signal.SIGKILL)
        process.wait()
        (folder / "locked").mkdir(mode=0)
        assert remove_stale(tmp_path) == [folder.parent]
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_process_uses_stays(tmp_path: Path) -> None:
    with holder(tmp_path) as (_, folder):
        assert remove_stale(tmp_path) == []
        assert (folder / "file").exists()


def test_the_next_start_removes_it(tmp_path: Path) -> None:
    with holder(tmp_path) as (process, _):
        process.send_signal(signal.SIGKILL)
        process.wait()
    # The end of the process waits for its first folder only, so it is given a reason to wait.
    code = (
        "import threading; from rung.validation.temporary import make_folder; make_folder('work');"
        "[thread.join() for thread in threading.enumerate() if thread.daemon]"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert list(tmp_path.iterdir()) == []


def test_an_ordinary_end_leaves_nothing(tmp_path: Path) -> None:
    with holder(tmp_path) as (process, _):
        process.communicate()
    assert list(tmp_path.iterdir()) == []


def test_what_others_may_have_put_there_is_not_touched(tmp_path: Path) -> None:
    """`/tmp` is everybody's: a link, or a folder that others may write in, may be a trap."""
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    (victim / "lock").touch()
    (victim / "file").touch()
    (tmp_path / "rung-scratch-link").symlink_to(victim)
    shared = tmp_path / "rung-scratch-shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "lock").touch()
    linked = tmp_path / "rung-scratch-linked"
    linked.mkdir(mode=0o700)
    (linked / "lock").symlink_to(victim / "lock")
    assert remove_stale(tmp_path) == []
    assert (victim / "file").exists()
    assert shared.exists()
    assert linked.exists()
