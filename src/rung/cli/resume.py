"""Going on with a task that waited in the review queue for leave to spend."""

from __future__ import annotations

from pathlib import Path

from rung.cli.do_task import approver
from rung.cli.fail import show_error
from rung.cli.progress import Progress
from rung.cli.run import print_json, run
from rung.errors import RungError
from rung.escalation.task import EXIT_STATUS, Outcome, Task
from rung.facade import Rung


def resume(review_id: int, note: str, *, apply: bool, as_json: bool) -> int | None:
    """Run the task on, show what happens and return the exit status.

    `None` where the item is not about leave to spend.
    """
    progress = Progress(is_quiet=as_json)
    found = run(_resume(review_id, note, progress, apply=apply))
    if found is None:
        return None
    outcome, written, error = found
    if as_json:
        print_json(outcome)
    else:
        progress.show_outcome(outcome, written, offers_apply=False)
    if error is not None:
        show_error(str(error))
        return 1
    return EXIT_STATUS[outcome.status]


async def _resume(
    review_id: int, note: str, progress: Progress, *, apply: bool
) -> tuple[Outcome, list[str], RungError | None] | None:
    async with Rung() as rung:
        item = await rung.reviews.show(review_id)
        if item.kind != "approval":
            return None
        with progress:
            outcome = await rung.resume(
                review_id, note, approve=approver(progress, yes=False), on_event=progress.on_event
            )
        if not apply or outcome.status != "verified":
            return outcome, [], None
        task = Task(item.title, root=Path(item.outcome["root"]))
        try:
            return outcome, await rung.apply(task, outcome), None
        except RungError as error:
            # The outcome may have been paid for: it is shown before the error.
            return outcome, [], error
