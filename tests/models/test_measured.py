"""What was measured is kept from one run to the next, and never lost to another process."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rung.chat import LoadOptions
from rung.models.measured import FILE_NAME, Measured, Measurements, options_key
from tests.engines.calls import until

LEARN = """
import sys
from pathlib import Path
from rung.models.measured import Measurements
for number in range(20):
    it = Measurements(Path(sys.argv[1]))
    it.learn("e", f"{sys.argv[2]}-{number}", calls_tools=True)
    it.save()
"""


def test_what_was_learned_is_there_in_the_next_run(tmp_path: Path) -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    first = Measurements(tmp_path)
    first.learn("e", "m", enforces_schema=False, parallel_slots=2, probed_at=at)
    first.learn_footprint("e", "m", LoadOptions(context_tokens=4096), 123)
    first.save()
    known = Measurements(tmp_path).of("e", "m")
    assert (known.enforces_schema, known.parallel_slots, known.probed_at) == (False, 2, at)
    assert known.footprints == {options_key(LoadOptions(context_tokens=4096)): 123}
    assert Measurements(tmp_path).of("e", "other") == Measured()


def test_speeds_are_smoothed_and_the_first_one_counts_whole(tmp_path: Path) -> None:
    it = Measurements(tmp_path)
    it.smooth("e", "m", tokens_per_s=100.0)
    assert it.of("e", "m").tokens_per_s == 100.0
    it.smooth("e", "m", tokens_per_s=10.0)
    assert it.of("e", "m").tokens_per_s == pytest.approx(73.0)


def test_what_another_process_learned_is_not_undone(tmp_path: Path) -> None:
    mine, theirs = Measurements(tmp_path), Measurements(tmp_path)
    mine.learn("e", "m", calls_tools=True)
    mine.learn_footprint("e", "m", LoadOptions(slots=1), 1)
    theirs.learn("e", "m", enforces_schema=True)
    theirs.learn_footprint("e", "m", LoadOptions(slots=2), 2)
    mine.save()
    theirs.save()
    known = Measurements(tmp_path).of("e", "m")
    assert (known.calls_tools, known.enforces_schema) == (True, True)
    assert sorted(known.footprints.values()) == [1, 2]


def test_processes_that_save_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", LEARN, str(tmp_path), name]) for name in "ab"
    ]
    assert [process.wait(60) for process in running] == [0, 0]
    it = Measurements(tmp_path)
    assert all(it.of("e", f"{name}-{n}").calls_tools for name in "ab" for n in range(20))


def test_what_is_known_already_is_not_written_again(tmp_path: Path) -> None:
    it = Measurements(tmp_path)
    it.learn("e", "m", calls_tools=True)
    it.save()
    (tmp_path / FILE_NAME).unlink()
    it.learn("e", "m", calls_tools=True)
    it.save()
    assert not (tmp_path / FILE_NAME).exists()


def test_a_fact_can_be_forgotten(tmp_path: Path) -> None:
    it = Measurements(tmp_path)
    it.learn("e", "m", enforces_schema=False)
    it.save()
    it.learn("e", "m", enforces_schema=None)
    it.save()
    assert Measurements(tmp_path).of("e", "m").enforces_schema is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"e/m": {"tokens_per_s": "fast"}}'])
def test_a_damaged_file_costs_only_the_memory_of_it(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    it = Measurements(tmp_path)
    assert it.of("e", "m") == Measured()
    it.learn("e", "m", calls_tools=True)
    it.save()
    assert Measurements(tmp_path).of("e", "m").calls_tools is True


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    it = Measurements(tmp_path / "file" / "below")
    it.learn("e", "m", calls_tools=True)
    it.save()
    assert it.of("e", "m").calls_tools is True


async def test_what_is_learned_is_saved_now_and_then_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.models.measured.SAVE_EVERY_S", 0.01)
    it = Measurements(tmp_path)
    async with it.kept():
        it.learn("e", "m", calls_tools=True)
        await until(lambda: Measurements(tmp_path).of("e", "m").calls_tools is True)
        assert it.of("e", "m").calls_tools
        monkeypatch.setattr("rung.models.measured.SAVE_EVERY_S", 1e6)
        it.learn("e", "m", thinks=True)
    assert Measurements(tmp_path).of("e", "m").thinks


def test_what_is_learned_while_another_thread_saves_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = Measurements(tmp_path)
    it.learn("e", "m", calls_tools=True)
    replace = Path.replace

    def late(draft: Path, target: Path) -> Path:
        it.learn("e", "m", thinks=True)
        return replace(draft, target)

    monkeypatch.setattr(Path, "replace", late)
    it.save()
    monkeypatch.setattr(Path, "replace", replace)
    assert (it.of("e", "m").calls_tools, it.of("e", "m").thinks) == (True, True)
    it.save()
    assert Measurements(tmp_path).of("e", "m").thinks
