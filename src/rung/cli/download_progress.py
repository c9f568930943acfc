"""Downloads on a terminal: the bar of one, the table of many."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column, Table

from rung.cli.printable import printable
from rung.cli.table import size
from rung.models.downloads import Job
from rung.models.downloads.job import this_process

COLUMNS = ("job", "model", "state", "done>", "of>", "%>", "rate>", "left>")


class DownloadBar:
    """A progress bar on stderr, one line for each phase of a download."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True, ratio=1)),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[amount]}", table_column=Column(no_wrap=True)),
            console=Console(stderr=True),
            expand=True,
            disable=is_quiet,
        )
        self._lines: dict[str, TaskID] = {}
        self._looking: TaskID | None = None

    def look(self, name: str) -> None:
        """Nothing is known of the download yet: a hub is asked, or a file is read."""
        if not self._lines:
            self._bar.start()
            title = f"looking at {escape(printable(name))}"
            self._looking = self._bar.add_task(title, total=None, amount="")

    def show(self, job: Job) -> None:
        """The job as it is now."""
        if job.state != "running":
            return
        if self._looking is not None:
            self._bar.remove_task(self._looking)
            self._looking = None
        if job.phase not in self._lines:
            self._bar.start()  # not before: a bar without a line leaves an empty one behind
            title = f"{job.phase} {escape(printable(job.model))}"
            self._lines[job.phase] = self._bar.add_task(title, total=job.total_bytes, amount="")
        self._bar.update(
            self._lines[job.phase],
            completed=job.done_bytes,
            total=job.total_bytes,
            amount=_amount(job),
        )

    def __enter__(self) -> DownloadBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lines or self._looking is not None:
            self._bar.stop()


def paused_text(job: Job) -> str:
    """What Ctrl-C did to a download, and how to go on."""
    if (job.owner.host, job.owner.pid) != (this_process().host, this_process().pid):
        return f"{job.model}: another process goes on with it (rung models downloads)"
    return (
        f"paused {job.model} at {size(job.done_bytes)} of {size(job.total_bytes)}; "
        f"go on with: rung models resume {job.model}"
    )


def row(job: Job) -> tuple[str, ...]:
    """One line of the table; see `COLUMNS`."""
    share = f"{100 * job.done_bytes / job.total_bytes:.0f}" if job.total_bytes else "–"
    rate = f"{size(round(job.bytes_per_s))}/s" if job.bytes_per_s else "–"
    left = duration(job.eta_s) if job.eta_s is not None else "–"
    done, total = size(job.done_bytes), size(job.total_bytes)
    state = "retrying" if job.problem else job.state
    return (job.id, job.model, state, done, total, share, rate, left)


def jobs_table(jobs: Iterable[Job]) -> Table:
    """All of them, to be shown again and again."""
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        is_right = name.endswith(">")
        table.add_column(name.rstrip(">"), justify="right" if is_right else "left", overflow="fold")
    for job in jobs:
        table.add_row(*(escape(printable(cell)) for cell in row(job)))
    return table


def duration(seconds: float) -> str:
    """`48 s`, `3 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def _amount(job: Job) -> str:
    total = f" of {size(job.total_bytes)}" if job.total_bytes else ""
    if job.problem:
        return f"{size(job.done_bytes)}{total} · {escape(printable(job.problem))}"
    rate = f" · {size(round(job.bytes_per_s))}/s" if job.bytes_per_s else ""
    left = f" · {duration(job.eta_s)} left" if job.eta_s else ""
    return f"{size(job.done_bytes)}{total}{rate}{left}"
