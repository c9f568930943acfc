"""All downloads of one models folder: start, watch, pause, resume, cancel, list."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncGenerator, Callable

import msgspec

from rung.engines.base import Engine
from rung.errors import LedgerError, ModelError, RungError
from rung.ledger.rows import AuditRow, now
from rung.models.catalogue import CatalogueModel, catalogue
from rung.models.downloads.folder import JobFolder, all_jobs, sweep
from rung.models.downloads.history import History, as_seen_now, audit_row, install_row
from rung.models.downloads.job import (
    AT_REST,
    ENDED,
    Job,
    changed,
    is_same_content,
    new_job,
    row_of,
    this_process,
)
from rung.models.downloads.runner import StoppedError, Work, run_job
from rung.models.downloads.turns import check_end, joined, take_turn, taken_over
from rung.models.downloads.updates import OnUpdate, Updates
from rung.models.engine_source import check_can_download, fetch_by_engine, no_engine
from rung.models.progress import PullProgress, Reporter
from rung.models.pull import Net, describe, install, intact
from rung.models.sources import EngineModel, Named, parse_source
from rung.models.store import ModelStore

_POLL_S = 0.1


class Downloads:
    """Use it from any process that shares the models folder; `close` pauses what it runs itself.

    `engine` finds an engine by its name, for models that engines download themselves. A job is
    named by its id or by its model.
    """

    def __init__(
        self,
        store: ModelStore,
        net: Net,
        history: History,
        engine: Callable[[str], Engine] = no_engine,
    ) -> None:
        self._store = store
        self._net = net
        self._history = history
        self._engine = engine
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._begun: dict[str, Job] = {}

    async def pull(
        self,
        source: str | CatalogueModel,
        on_update: OnUpdate | None = None,
        *,
        model_id: str | None = None,
        verify: bool = False,
    ) -> Job:
        """Fetch `source` (see `rung.models.sources`) and return the job, done.

        What is there and whole is not fetched again; with `verify` all of it is read first. Where
        another process fetches the same, its progress is shown and its end awaited. Cancelled, the
        job is paused. Raises ModelError, or EngineError for an engine's own download.
        """
        job = await self._job_for(source, model_id)
        return await self._run(job, on_update or _ignore, verify=verify)

    async def start(self, source: str | CatalogueModel, *, model_id: str | None = None) -> Job:
        """Fetch `source` in the background of this process; see `watch`. Raises as `pull` does."""
        return self._begin(await self._job_for(source, model_id))

    async def resume(self, name: str, on_update: OnUpdate | None = None) -> Job:
        """Go on with a job, and return it done. Raises as `pull` does."""
        return await self._run(self._unfinished(name), on_update or _ignore)

    async def pause(self, name: str) -> Job:
        """Stop a job, whoever runs it, and keep what has come. Raises ModelError."""
        job = self._unfinished(name)
        folder = JobFolder(self._store, job.key)
        with self._store.errors():
            return await self._pause(job, folder)

    async def _pause(self, job: Job, folder: JobFolder) -> Job:
        async with taken_over(folder, "pause"):
            kept = folder.read()
            if kept is None:
                return await self._ended(job)
            if kept.state == "interrupted":
                kept = changed(kept, "paused", paused_by="request")
                folder.write(kept)
                self._history.record(row_of(kept, self._store.models_dir))
            return kept

    async def cancel(self, name: str) -> Job:
        """Stop a job, whoever runs it, and delete what has come. Raises ModelError."""
        job = self._unfinished(name)
        folder = JobFolder(self._store, job.key)
        with self._store.errors():
            return await self._cancel(job, folder)

    async def _cancel(self, job: Job, folder: JobFolder) -> Job:
        async with taken_over(folder, "cancel"):
            kept = folder.read()
            if kept is None:
                return await self._ended(job)
            if kept.engine is None or kept.state != "cancelled":
                folder.clear()
            # else its last word stays for who waits for it: an engine's model is not in the store
            if kept.state == "cancelled":
                return kept
            cancelled = changed(kept, "cancelled")
            self._history.record(row_of(cancelled, self._store.models_dir))
            self._history.record(audit_row(cancelled))
            return cancelled

    async def list(self, limit: int = 50) -> builtins.list[Job]:
        """Jobs of this folder that are not done, then what the ledger remembers; newest first."""
        unfinished = all_jobs(self._store)[::-1]
        try:
            rows = await self._history.downloads(limit)
        except LedgerError:  # the disk has all that can be acted upon; health tells of the ledger
            rows = []
        known = {job.id for job in unfinished}
        others = (as_seen_now(row, self._store.models_dir) for row in rows)
        return [*unfinished, *(job for job in others if job.id not in known)][:limit]

    async def watch(self, name: str) -> AsyncGenerator[Job, None]:
        """A job as it changes, until it is at rest; the last one is how it ended."""
        job = self._begun.get(name) or self._unfinished(name)
        folder = JobFolder(self._store, job.key)
        while True:
            seen = self._begun.get(job.id) or folder.read() or await self._ended(job)
            if seen != job or seen.state in AT_REST:
                yield seen
            if seen.state in AT_REST:
                return
            job = seen
            await asyncio.sleep(_POLL_S)

    async def remove(self, model_id: str) -> None:
        """Delete an installed model. Raises ModelError."""
        found = self._store.find(model_id)
        self._store.remove(model_id)
        if found is not None and found.source is not None:
            row = install_row(found)
            self._history.record(msgspec.structs.replace(row, removed_at=now()))
        self._history.record(AuditRow(kind="model.remove", details={"model": model_id}))

    async def close(self) -> None:
        """Pause what runs in the background of this process."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _job_for(self, source: str | CatalogueModel, model_id: str | None) -> Job:
        """The job that fetches `source`: one that was begun before, or a new one."""
        wanted = source if isinstance(source, CatalogueModel) else parse_source(source)
        if isinstance(wanted, EngineModel):
            if model_id:
                raise ModelError(f"{wanted.engine} names its models itself; leave out --id")
            check_can_download(self._engine(wanted.engine))
            fresh = new_job(wanted)
        elif isinstance(wanted, CatalogueModel):
            fresh = new_job(wanted)
        else:
            if isinstance(wanted, Named) and wanted.id not in catalogue():
                begun = self._find(wanted.id)
                if begun is not None:
                    return begun
            fresh = new_job(await describe(wanted, self._store, self._net, model_id))
        return joined(fresh, JobFolder(self._store, fresh.key))

    def _find(self, name: str) -> Job | None:
        return next((job for job in all_jobs(self._store) if name in (job.id, job.model)), None)

    def _unfinished(self, name: str) -> Job:
        job = self._find(name)
        if job is None or job.state == "cancelled":
            raise ModelError(
                f"there is no unfinished download {name!r}; `rung models downloads` shows all"
            )
        return job

    async def _run(self, job: Job, on_update: OnUpdate, *, verify: bool = False) -> Job:
        folder = JobFolder(self._store, job.key)
        is_settled = not verify and folder.read() is None
        if is_settled and (done := await self._if_intact(job, on_update)):
            return done
        with self._store.errors():
            self._store.models_dir.mkdir(parents=True, exist_ok=True)
            other = await take_turn(folder, on_update)
            try:
                ended = folder.read()
                if other is not None and other.engine is not None and ended is None:
                    return changed(other, "done")
                # Another process may have installed it while this one waited for its turn.
                if done := await self._if_intact(job, on_update, verify=verify):
                    folder.clear()
                    return done
                if other is not None and is_same_content(other, job):
                    check_end(ended, other)
                return await self._run_now(job, folder, on_update)
            finally:
                folder.lock.release()

    async def _run_now(self, job: Job, folder: JobFolder, on_update: OnUpdate) -> Job:
        sweep(self._store)
        kept = folder.read()
        if kept and not is_same_content(kept, job):
            folder.clear_bytes()
        folder.forget_order()
        job = msgspec.structs.replace(changed(job, "running"), owner=this_process())
        folder.write(job)
        updates = Updates(job, folder, self._store.models_dir, self._history.record, on_update)
        try:
            done = await run_job(folder, updates, self._work_of(job, folder))
        finally:
            if updates.job.state in ENDED:
                self._history.record(audit_row(updates.job))
        on_update(done)
        return done

    def _work_of(self, job: Job, folder: JobFolder) -> Work:
        async def work(on_progress: Callable[[PullProgress], None]) -> str:
            reporter = Reporter(on_progress)
            if job.engine is not None:
                engine = self._engine(job.engine.engine)
                await fetch_by_engine(engine, job.engine.model, reporter, self._net.patience)
                return ""
            assert job.entry is not None  # noqa: S101 (a job has the one or the other)
            found = await install(job.entry, self._store, folder.path, reporter, self._net)
            self._history.record(install_row(found))
            return str(found.path)

        return work

    async def _if_intact(
        self, job: Job, on_update: OnUpdate, *, verify: bool = False
    ) -> Job | None:
        """The job as done, where its model is installed and whole."""
        if job.entry is None:
            return None

        def on_progress(progress: PullProgress) -> None:
            on_update(
                msgspec.structs.replace(
                    job, state="running", phase=progress.phase, done_bytes=progress.done_bytes
                )
            )

        found = await intact(job.entry, self._store, Reporter(on_progress), verify=verify)
        if found is None:
            return None
        done = changed(job, "done", path=str(found.path))
        on_update(done)
        return done

    def _begin(self, job: Job) -> Job:
        running = self._tasks.get(job.key)
        if running is None or running.done():
            self._begun[job.id] = job
            self._tasks[job.key] = asyncio.create_task(self._run_behind(job))
        return next(known for known in reversed(self._begun.values()) if known.key == job.key)

    async def _run_behind(self, job: Job) -> None:
        """Run a job that nobody awaits: how it ends is kept for those who watch it."""

        def on_update(update: Job) -> None:
            self._begun[job.id] = msgspec.structs.replace(update, id=job.id)

        try:
            on_update(await self._run(job, on_update))
        except StoppedError as stop:  # by an order; who gave it may have cleared the folder
            on_update(stop.job)
        except (RungError, asyncio.CancelledError) as error:
            ended = JobFolder(self._store, job.key).read() or job
            is_at_rest = ended.state in AT_REST
            on_update(ended if is_at_rest else changed(ended, "failed", error=str(error)))

    async def _ended(self, job: Job) -> Job:
        """A job whose folder is gone: done, unless its model is not there."""
        done = await self._if_intact(job, _ignore)
        if done or job.engine is not None:
            return done or changed(job, "done")
        return changed(job, "cancelled")


def _ignore(_: Job) -> None:
    pass
