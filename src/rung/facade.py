"""`Rung`: what the CLI, a server and a Python user share. What one door can do, every door can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from rung.chat import ChatRequest, Chunk, Completion, Message, Tool
from rung.config.load import load
from rung.config.settings import Settings
from rung.doctor import Diagnosis, diagnose
from rung.errors import EngineError, UsageError
from rung.escalation.apply import apply_files
from rung.escalation.approvals import Approvals
from rung.escalation.events import OnEvent
from rung.escalation.executor import Executor
from rung.escalation.learning.afterwards import Afterwards
from rung.escalation.learning.learning import Learning
from rung.escalation.matrix_report import LadderReport, ladder_reports
from rung.escalation.money.budget_report import BudgetReport, budget_report
from rung.escalation.money.cost import Approve, Untasked
from rung.escalation.money.purse import Purse
from rung.escalation.plan import classified
from rung.escalation.review import Reviews
from rung.escalation.stats.report import StatsReport, stats_report
from rung.escalation.task import Classification, Outcome, Task, TaskType
from rung.health import ledger_health, models_health, system_health
from rung.ledger.ledger import Ledger
from rung.ledger.period import Period
from rung.ledger.rows import now
from rung.models.downloads import Downloads, Job, OnUpdate
from rung.models.footprint import footprints
from rung.models.lifecycle.claims import Claims
from rung.models.lifecycle.manager import ModelManager
from rung.models.measured import Measurements
from rung.models.pull import Net
from rung.models.shapes import Shapes
from rung.models.store import ModelStore
from rung.routing.calls import Calls
from rung.routing.delivery import Delivery
from rung.routing.fallback import Fallback
from rung.routing.inventory import Inventory
from rung.routing.overview import EngineRow, engine_rows
from rung.routing.prober import Prober
from rung.routing.registry import build_engines
from rung.routing.router import Router
from rung.routing.rows import ModelRow
from rung.structured.validate import check_schema
from rung.validation.checking import check_candidate
from rung.validation.registry import check_arguments, parse_check
from rung.validation.verdict import Candidate, CheckContext, Verdict
from rung.validation.workspace import Workspace


class Rung:
    """The control plane. Use it as `async with Rung() as rung`.

    Entering opens the ledger and finds the engines; leaving stops whatever Rung started and
    writes what the ledger still holds. Without `config` the user's settings are read.
    """

    ledger: Ledger
    router: Router

    def __init__(self, config: Settings | None = None) -> None:
        self.settings = config or load().settings
        self.store = ModelStore(self.settings.models_dir)

    async def __aenter__(self) -> Rung:
        async with AsyncExitStack() as stack:
            self.ledger = Ledger.open(self.settings.ledger, self.settings.data_dir)
            stack.push_async_callback(self.ledger.close)
            self.purse = Purse(self.settings, self.ledger)
            stack.push_async_callback(self.purse.close)
            shapes = Shapes(self.settings.data_dir)
            engines = await build_engines(self.settings, self.store, shapes)
            for engine in engines:
                stack.push_async_callback(engine.close)
            self.router = Router(self.settings, engines)
            stack.push_async_callback(self.router.close)
            self.measured = Measurements(self.settings.data_dir)
            await stack.enter_async_context(self.measured.kept())
            self.manager = ModelManager(
                self.settings,
                self.measured,
                footprint=footprints(
                    self.store,
                    self.measured,
                    self.settings,
                    shapes=shapes,
                    listed=self.router.listed,
                ),
                record=self.ledger.record,
                engines=engines,
                claims=Claims(self.settings.data_dir),
            )
            stack.push_async_callback(self.manager.close)
            self.downloads = Downloads(
                self.store, Net(hub=self.settings.hub), self.ledger, self.router.engine
            )
            stack.push_async_callback(self.downloads.close)
            self.inventory = Inventory(
                self.settings, self.store, self.router, self.measured, self.downloads, shapes
            )
            self._open = stack.pop_all()
        delivery = Delivery(self.settings, self.measured, self.manager, report=self.router.report)
        self._calls = Calls(self.ledger, self.settings, delivery, Untasked(self.purse))
        self._fallback = Fallback(self.router, self._calls, self.measured)
        self.learning = Learning(self.settings, self.ledger, self.router)
        self._executor = Executor(
            self.settings,
            self.router,
            self._calls,
            self.ledger,
            self.purse,
            orders=self.learning.orders,
            fit_together=lambda models: self.manager.fit_together(
                [(model.engine, model.info.id) for model in models]
            ),
        )
        self.afterwards = Afterwards(
            self.settings, self.ledger, self.learning, self._executor.execute
        )
        self._open.push_async_callback(self.afterwards.close)
        self.prober = Prober(self.router, self._calls, self.measured)
        self.reviews = Reviews(self.ledger, self.validate)
        self.approvals = Approvals(self.ledger, self._executor.execute, self.afterwards.look)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._open.aclose()

    async def ask(self, prompt: str | Sequence[Message], **options: Any) -> Completion:
        """One answer, without checks. The options are those of `stream`.

        With `schema` the completion's `parsed` is valid against it. Raises EngineError where no
        model could answer, UsageError for a model that does not exist.
        """
        completion: Completion | None = None
        async with aclosing(self.stream(prompt, **options)) as chunks:
            async for chunk in chunks:
                completion = chunk.completion or completion
        if completion is None:
            raise EngineError("bad_output", "the stream ended without an answer", engine="rung")
        return completion

    async def stream(
        self,
        prompt: str | Sequence[Message],
        *,
        model: str | None = None,
        schema: dict[str, Any] | None = None,
        may_refuse: bool = False,
        max_tokens: int | None = None,
        temperature: float | None = None,
        timeout_s: float | None = None,
        local_only: bool = False,
        tools: Sequence[Tool] = (),
        tool_choice: str | None = None,
        think: bool | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """The answer as it comes; the last chunk carries the whole `Completion`.

        A named model answers or fails: it is never replaced. Without a name the user's default
        model answers, else the strongest free one; where one fails before its first token the
        next one is asked, and the completion's `repairs` says so. `max_tokens` is
        `escalation.max_answer_tokens` of the settings unless given; `timeout_s` bounds everything,
        queueing and loading included.

        With a `schema` chunks have a `partial` view of the object; their text comes with the last,
        once the object is valid. With `may_refuse` the model may say why it has no answer, instead
        of making one up: that is an EngineError of kind `refused`.

        A prompt that does not fit a model's context window is never sent to it. An engine that was
        caught cutting a prompt off gives an answer with the flag `prompt_truncated`.
        """
        if schema is not None:
            check_schema(schema)
        elif may_refuse:
            raise UsageError("a model may refuse in words: may_refuse is for answers to a schema")
        messages = (
            (Message(role="user", content=prompt),) if isinstance(prompt, str) else tuple(prompt)
        )
        if not any(message.content.strip() or message.images for message in messages):
            raise UsageError("the prompt is empty")
        request = ChatRequest(
            model="",
            messages=messages,
            schema=schema,
            may_refuse=may_refuse,
            max_tokens=max_tokens or self.settings.escalation.max_answer_tokens,
            temperature=temperature,
            timeout_s=timeout_s,
            tools=tuple(tools),
            tool_choice=tool_choice,
            think=think,
        )
        answer = self._fallback.stream(request, model, local_only=local_only)
        async with aclosing(answer) as chunks:
            async for chunk in chunks:
                yield chunk

    async def execute(
        self, task: Task, *, approve: Approve | None = None, on_event: OnEvent | None = None
    ) -> Outcome:
        """Do a task: the ladder, the checks, the budget. See `Task` and `Outcome`."""
        outcome = await self._executor.execute(task, approve=approve, on_event=on_event)
        await self.afterwards.look(task, outcome)
        return outcome

    async def resume(
        self,
        review_id: int,
        note: str = "",
        *,
        approve: Approve | None = None,
        on_event: OnEvent | None = None,
    ) -> Outcome:
        """Approve a paid rung that waits in the review queue, and go on with its task."""
        return await self.approvals.resume(review_id, note, approve=approve, on_event=on_event)

    async def apply(self, task: Task, outcome: Outcome) -> list[str]:
        """Write a verified outcome's files; returns their paths. Never writes anything else.

        Raises UsageError where a file changed on disk since it was given to the worker.
        """
        if outcome.status != "verified":
            raise UsageError(f"only verified files are written; this outcome is {outcome.status}")
        root = (task.root or Path.cwd()).resolve()
        return apply_files(root, outcome.files, outcome.base_sha256)

    async def classify(
        self, text: str, files: Sequence[str] = (), root: Path | None = None
    ) -> Classification:
        """A request's type and complexity as `execute` finds them: by rules, by what the project
        in `root` (by default the current folder) says of the files, and by what was learned.
        """
        settings = await self.learning.orders.settings(self.settings)
        task = Task(text, files=tuple(files))
        return await asyncio.to_thread(classified, task, settings, root or Path.cwd())

    async def validate(
        self, candidate: Candidate, checks: Sequence[str], root: Path | None = None
    ) -> list[Verdict]:
        """Run checks on an answer that came from elsewhere, in a scratch copy of `root`."""
        base = (root or Path.cwd()).resolve()
        parsed = [parse_check(spec) for spec in checks]
        for check in parsed:
            check_arguments(check, base)

        def context_in(scratch: Path) -> CheckContext:
            return CheckContext(base=base, scratch=scratch, sandbox=self.settings.sandbox)

        async with Workspace(base) as workspace:
            return await check_candidate(workspace, parsed, candidate, context_in)

    async def budget(self) -> BudgetReport:
        """What was spent today and this month, and what is left. Raises LedgerError."""
        await self.purse.tidy()
        await self.purse.flush()
        return await budget_report(self.settings, self.ledger, now())

    async def stats(self, period: Period) -> StatsReport:
        """What was done in a period, and how well. Raises LedgerError."""
        await self.purse.flush()
        history = await self.learning.orders.history()
        return await stats_report(self.settings, self.ledger, history, period)

    async def list_models(self) -> list[ModelRow]:
        """The models of all engines, then those that can be pulled. For more see `inventory`."""
        return await self.inventory.rows()

    async def ladders(self, kind: TaskType | None = None) -> tuple[LadderReport, ...]:
        """Every task type's ladder on this machine, or that of one, and what it lacks."""
        settings = await self.learning.orders.settings(self.settings)
        return await ladder_reports(settings, self.router, kind)

    async def list_engines(self) -> list[EngineRow]:
        """Every engine: how it is, what it has and what it can do."""
        return await engine_rows(self.router)

    async def health(self, part: Literal["lm", "db", "system"], *, probe: bool = False) -> Any:
        """`{ok, mode, details}` of models, database or system. See `rung.health`."""
        if part == "lm":
            return await models_health(self.settings, self.router, probe=probe)
        return await (ledger_health(self.ledger) if part == "db" else system_health(self.settings))

    async def doctor(self, folder: Path) -> Diagnosis:
        """What this machine can do for the project in `folder`, and what to do next."""
        return await diagnose(self.settings, self.router, self.ledger, folder)

    async def pull(
        self, source: str, on_update: OnUpdate | None = None, *, model_id: str | None = None
    ) -> Job:
        """Fetch a model, and return the finished job. For all else see `downloads`.

        `source` is an id of the catalogue, the path of a `.gguf`, `hf:ORG/REPO:QUANTIZATION`,
        `hf:ORG/REPO/FILE.gguf`, or `ENGINE/MODEL` for an engine's own download; `model_id` is the
        name to keep it under. Returns at once where it is there and whole. Raises ModelError.
        """
        return await self.downloads.pull(source, on_update, model_id=model_id)
