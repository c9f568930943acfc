"""`rung models pull` and what belongs to it: downloads, pause, resume, cancel, verify."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rung.models.downloads import Downloads, Job
    from rung.models.downloads.updates import OnUpdate
    from rung.models.store import ModelStore

_REFRESH_S = 0.5


@click.command(short_help="Fetch a model, verify it, and put it into the store.")
@click.argument("source")
@click.option("--id", "model_id", metavar="NAME", help="The name to keep it under.")
@click.option("--verify", is_flag=True, help="Read all of a model that is there already.")
@click.option("--json", "as_json", is_flag=True, help="Print the finished download as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def pull(source: str, model_id: str | None, verify: bool, as_json: bool, quiet: bool) -> None:
    """Fetch a model, verify it, and put it into the model store.

    \b
    SOURCE is one of
      smollm2-135m                 a model of the catalogue (see: rung models list)
      ./model.gguf                 a file of this machine
      hf:ORG/REPO/FILE.gguf        a file on the Hugging Face hub, also with @REVISION
      hf:ORG/REPO:Q4_K_M           the repository's one file of that quantisation
      ollama/qwen3:8b              what the engine of that name downloads itself

    What is there and whole is not fetched again; what is gone or damaged is. Ctrl-C pauses, and
    the same command goes on from the bytes that have come, even after a crash or a reboot.
    """
    from rung.cli.printable import say
    from rung.cli.run import print_json, run
    from rung.models.downloads.job import shown

    job = run(pull_model(source, model_id=model_id, verify=verify, is_quiet=quiet))
    if as_json:
        print_json(shown(job))
    else:
        say(f"{job.model}  {job.path}".rstrip())


@click.command("downloads", short_help="List downloads, those under way first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--watch", is_flag=True, help="Go on showing them until none runs.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
def downloads(as_json: bool, watch: bool, limit: int) -> None:
    """List downloads: those under way, paused, interrupted or failed, then the older ones."""
    from rung.cli.run import print_json, run
    from rung.models.downloads.job import shown

    if as_json:
        print_json([shown(job) for job in run(_listed(limit))])
    elif watch:
        run(_watched(limit))
    else:
        _print(run(_listed(limit)))


@click.command(short_help="Pause a download.")
@click.argument("job")
def pause(job: str) -> None:
    """Pause JOB (its id, or its model), whichever process runs it. Nothing is lost."""
    _end_with("paused", job, lambda downloads: downloads.pause(job))


@click.command(short_help="Go on with a download.")
@click.argument("job")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def resume(job: str, quiet: bool) -> None:
    """Go on with JOB (its id, or its model) from the bytes that have come."""
    from rung.cli.run import run

    done = run(_with_progress(job, quiet, lambda downloads, show: downloads.resume(job, show)))
    click.echo(f"{done.model}  {done.path}".rstrip())


@click.command(short_help="Stop a download and delete what has come.")
@click.argument("job")
def cancel(job: str) -> None:
    """Stop JOB (its id, or its model), whichever process runs it, and delete what has come."""
    _end_with("cancelled", job, lambda downloads: downloads.cancel(job))


@click.command(short_help="Compare stored files with their SHA-256.")
@click.argument("model_id", required=False)
def verify(model_id: str | None) -> None:
    """Read MODEL_ID's file, or those of all models, and compare their SHA-256.

    Exits with 1 where one is damaged or gone, and says how to repair it.
    """
    from rung.cli.run import run

    if run(_verify(model_id)):
        raise SystemExit(1)


COMMANDS = (pull, downloads, pause, resume, cancel, verify)


async def pull_model(
    source: str, *, model_id: str | None = None, verify: bool = False, is_quiet: bool = False
) -> Job:
    """Pull with a progress bar on stderr. Needs no engine but for one's own download."""
    return await _with_progress(
        source,
        is_quiet,
        lambda downloads, show: downloads.pull(source, show, model_id=model_id, verify=verify),
    )


async def _with_progress(
    name: str, is_quiet: bool, work: Callable[[Downloads, OnUpdate], Awaitable[Job]]
) -> Job:
    import asyncio

    from rung.cli.download_progress import DownloadBar, paused_text

    last: list[Job] = []
    async with _opened(name) as downloads:
        try:
            with DownloadBar(is_quiet=is_quiet) as bar:
                looking = asyncio.get_running_loop().call_later(_REFRESH_S, bar.look, name)

                def show(job: Job) -> None:
                    looking.cancel()
                    last[:] = [job]
                    bar.show(job)

                return await work(downloads, show)
        except asyncio.CancelledError:
            if last:
                click.echo(paused_text(last[0]), err=True)
            raise


def _end_with(wanted: str, name: str, work: Callable[[Downloads], Awaitable[Job]]) -> None:
    from rung.cli.run import run

    async def act() -> Job:
        async with _opened() as downloads:
            return await work(downloads)

    job = run(act())
    if job.state != wanted:
        click.echo(f"{job.model} is {job.state}", err=True)
        raise SystemExit(1)
    click.echo(f"{wanted} {job.model}")
    if wanted == "paused":
        click.echo(f"go on with: rung models resume {name}", err=True)


async def _verify(model_id: str | None) -> int:
    """How many are not whole."""
    from rung.cli.fail import show_error
    from rung.config.load import load
    from rung.errors import ModelError
    from rung.models.store import ModelStore

    store = ModelStore(load().settings.models_dir)
    names = [model_id] if model_id else [model.id for model in store.list()]
    damaged = 0
    for name in names:
        try:
            found = await store.verify(name)
        except ModelError as error:
            damaged += 1
            show_error(str(error))
        else:
            click.echo(f"{name}  whole  SHA-256 {found.sha256}")
    return damaged


async def _listed(limit: int) -> list[Job]:
    async with _opened() as downloads:
        return await downloads.list(limit)


async def _watched(limit: int) -> None:
    import asyncio

    from rich.console import Console
    from rich.live import Live

    from rung.cli.download_progress import jobs_table

    async with _opened() as downloads:
        with Live(console=Console(stderr=True), auto_refresh=False) as live:
            while True:
                jobs = await downloads.list(limit)
                live.update(jobs_table(jobs), refresh=True)
                if not any(job.state in ("queued", "running") for job in jobs):
                    return
                await asyncio.sleep(_REFRESH_S)


def _print(jobs: list[Job]) -> None:
    if not jobs:
        click.echo("no downloads; fetch a model with: rung models pull SOURCE")
        return
    from rung.cli.download_progress import COLUMNS, row
    from rung.cli.printable import say
    from rung.cli.table import print_table

    print_table(COLUMNS, [row(job) for job in jobs])
    for job in jobs:
        if job.error:
            say(f"{job.id}: {job.error}", err=True)


@asynccontextmanager
async def _opened(name: str = "") -> AsyncGenerator[Downloads]:
    """Downloads as the user has set them up. Engines are looked for only where one is needed."""
    from rung.config.load import load
    from rung.ledger.ledger import Ledger
    from rung.models.downloads import Downloads
    from rung.models.pull import Net
    from rung.models.store import ModelStore

    settings = load().settings
    store = ModelStore(settings.models_dir)
    if _needs_engine(name, store):
        from rung.facade import Rung

        async with Rung(settings) as rung:
            yield rung.downloads
        return
    ledger = Ledger.open(settings.ledger, settings.data_dir)
    try:
        yield Downloads(store, Net(hub=settings.hub), ledger)
    finally:
        await ledger.close()


def _needs_engine(name: str, store: ModelStore) -> bool:
    from rung.models.downloads.folder import all_jobs
    from rung.models.sources import EngineModel, parse_source

    if name and isinstance(parse_source(name), EngineModel):
        return True
    return any(job.engine for job in all_jobs(store) if name in (job.id, job.model))
