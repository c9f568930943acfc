import multiprocessing
from pathlib import Path

from rung.models.lock import FileLock


def count_up(folder: Path, times: int) -> None:
    for _ in range(times):
        lock = FileLock(folder / "lock")
        while not lock.acquire():
            pass
        counter = folder / "counter"
        counter.write_text(str(int(counter.read_text()) + 1))
        lock.release()


def test_the_holder_is_alone_and_leaves_no_file(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    second.release()
    assert (tmp_path / "lock").exists()
    first.release()
    assert second.acquire()
    second.release()
    assert list(tmp_path.glob("lock")) == []


def test_processes_that_lock_and_delete_never_hold_it_together(tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=count_up, args=(tmp_path, 200)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (tmp_path / "counter").read_text() == "800"
