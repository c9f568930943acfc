"""Running honest code: what it finds, what comes back, which sandbox is chosen."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rung.config.settings import SandboxSettings
from rung.errors import SandboxUnavailable
from rung.validation import sandbox, temporary
from rung.validation.sandbox import SandboxStatus, runner

SETTINGS = SandboxSettings(timeout_s=10.0)


async def run(folder: Path, *argv: str, **options: object) -> sandbox.SandboxResult:
    settings = options.pop("settings", SETTINGS)
    return await sandbox.run(argv, cwd=folder, writable=[folder], settings=settings, **options)  # type: ignore[arg-type]


async def test_the_best_sandbox_is_active_and_says_why() -> None:
    status = await sandbox.describe()
    assert status.active is not None, status.reasons
    assert status.reasons[-1] == f"{status.active}: works"


async def test_both_streams_status_and_time_come_back(tmp_path: Path) -> None:
    result = await run(tmp_path, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.output, result.exit_status) == ("out\nerr\n", 7)
    assert result.seconds > 0
    assert not result.timed_out


async def test_a_signal_is_a_negative_status(tmp_path: Path) -> None:
    assert (await run(tmp_path, "sh", "-c", "kill -9 $$")).exit_status == -9


async def test_standard_input_is_given(tmp_path: Path) -> None:
    text = "first\n" + "x" * 1_000_000
    assert (await run(tmp_path, "wc", "-c", stdin=text)).output.strip() == str(len(text))
    assert (await run(tmp_path, "cat")).output == ""


async def test_a_missing_program_is_named(tmp_path: Path) -> None:
    result = await run(tmp_path, "no-such-program")
    assert result.exit_status == 127
    assert "no-such-program" in result.output


async def test_the_environment_is_clean_but_for_what_is_given(tmp_path: Path) -> None:
    result = await run(tmp_path, "env", env={"ANSWER": "42"})
    names = {line.partition("=")[0] for line in result.output.splitlines()}
    assert names == {
        *("ANSWER", "HOME", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "TMPDIR"),
    }
    assert f"HOME={tmp_path}\n" in result.output


async def test_what_is_written_stays_and_what_is_temporary_goes(tmp_path: Path) -> None:
    script = "echo kept > kept; echo gone > $TMPDIR/rung-gone; cat $TMPDIR/rung-gone"
    result = await run(tmp_path, "sh", "-c", script)
    assert result.output == "gone\n"
    assert (tmp_path / "kept").read_text() == "kept\n"
    assert not Path("/tmp/rung-gone").exists()


async def test_a_readable_folder_can_be_read_and_not_written(tmp_path: Path) -> None:
    readable, writable = tmp_path / "readable", tmp_path / "writable"
    readable.mkdir(mode=0o777)
    readable.chmod(0o777)
    writable.mkdir()
    (readable / "file").write_text("text")
    script = f"cat {readable}/file; echo x > {readable}/new; echo x > {readable}/file"
    result = await run(writable, "sh", "-c", script, readable=[readable])
    assert result.output.startswith("text")
    assert [path.name for path in readable.iterdir()] == ["file"]
    assert (readable / "file").read_text() == "text"


async def test_a_time_limit_of_its_own_may_be_given(tmp_path: Path) -> None:
    result = await run(tmp_path, "sleep", "60", timeout_s=0.3)
    assert result.timed_out
    assert result.exit_status == -9


async def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    result = await run(tmp_path, "printf", "a\\377b\\000c")
    assert result.output == "a\ufffdb\x00c"


async def test_where_no_sandbox_works_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_probed", {})
    monkeypatch.setattr(runner, "_ORDER", ())
    with pytest.raises(SandboxUnavailable, match="Install bubblewrap"):
        await run(tmp_path, "touch", "ran")
    assert not (tmp_path / "ran").exists()


async def test_without_bubblewrap_landlock_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    real = runner.shutil.which
    monkeypatch.setattr(runner, "_probed", {})
    monkeypatch.setattr(
        runner.shutil, "which", lambda name: None if name == "bwrap" else real(name)
    )
    status = await sandbox.describe()
    assert status == SandboxStatus(
        active="landlock", reasons=("bubblewrap: bwrap is not installed", "landlock: works")
    )


async def test_a_sandbox_that_does_not_start_says_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: no permission to make a namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(runner, "_probed", {})
    monkeypatch.setattr(runner.shutil, "which", lambda _name: str(broken))
    status = await sandbox.describe("bubblewrap")
    assert status.active is None
    assert "no permission to make a namespace" in status.reasons[0]


async def test_a_sandbox_that_could_not_be_set_up_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_probed", {})
    monkeypatch.setattr(runner, "_LOOK_AGAIN_S", 0.0)
    monkeypatch.setattr(temporary, "_root", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    status = await sandbox.describe()
    assert status.active is None
    assert "No such file or directory" in status.reasons[0]
    monkeypatch.undo()
    assert (await sandbox.describe()).active is not None


async def test_a_machine_that_has_run_out_says_nothing_of_the_code(tmp_path: Path) -> None:
    await sandbox.describe()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    taken: list[int] = []
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(SandboxUnavailable, match="Too many open files"):
            await run(tmp_path, "true")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)
    assert (await run(tmp_path, "true")).exit_status == 0


def test_importing_validation_loads_no_parser() -> None:
    code = (
        "import sys, rung.validation;"
        "print([name for name in ('tree_sitter', 'jsonschema_rs') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
