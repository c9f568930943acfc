"""One attempt: ask the worker, make a candidate of its answer, check it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rung.chat import ChatRequest, Completion
from rung.config.settings import Settings
from rung.errors import EngineError, EngineErrorKind
from rung.escalation.answer import UnusableAnswer, candidate_from, with_crlf
from rung.escalation.asking import fitted, worker_request
from rung.escalation.brief import Brief
from rung.escalation.events import Checked, Generated, OnEvent
from rung.escalation.judge import judge_with
from rung.escalation.money.cost import CostGuard
from rung.escalation.plan import Plan
from rung.escalation.policy import Result, Tried, result_of
from rung.escalation.task import Attempt
from rung.routing.calls import Calls, Label
from rung.routing.models import RoutedModel
from rung.structured.answer import BadOutputError
from rung.structured.validate import violations
from rung.validation.checking import check_candidate
from rung.validation.paths import UnsafePathError
from rung.validation.verdict import Candidate, CheckContext, Verdict
from rung.validation.workspace import Workspace

# What a model may answer for: the task was beyond it. All other errors say nothing of it.
_OWN_FAILURES: tuple[EngineErrorKind, ...] = ("bad_output", "refused")


@dataclass(frozen=True, kw_only=True)
class Finished:
    """An attempt with what came of it: the candidate where there was one, and the evidence.

    One that is carried over was made before the task had to wait. `before` is set on it: the
    SHA-256 of every file that it could write, as it was then.
    """

    rung: int
    attempt: Attempt
    result: Result
    evidence: str
    answer: str = ""
    candidate: Candidate | None = None
    error_kind: EngineErrorKind | None = None
    before: Mapping[str, str | None] | None = None

    @property
    def tried(self) -> Tried:
        """What the policy needs to know of it."""
        # A second call to the same model mends a bad answer, not a dead engine or a full context.
        may_retry = self.error_kind in (None, "bad_output")
        return Tried(
            rung=self.rung, result=self.result, may_retry=may_retry, is_unfit=self.is_unfit
        )

    @property
    def is_unfit(self) -> bool:
        """Whether the prompt did not fit the model's window."""
        return self.error_kind == "context_overflow"

    @property
    def counts(self) -> bool:
        """Whether it uses up one of a task's attempts; what had to wait for leave does not."""
        return not self.is_unfit if self.before is None else self.result != "no_answer"

    @property
    def has_answer(self) -> bool:
        """Whether the model answered, well or not."""
        return bool(self.answer or self.attempt.verdicts)

    @property
    def passes(self) -> int:
        return sum(verdict.result == "pass" for verdict in self.attempt.verdicts)


class Attempter:
    """Makes attempts at one planned task, in one workspace, under one cost guard."""

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        calls: Calls,
        workspace: Workspace,
        guard: CostGuard,
        on_event: OnEvent,
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._calls = calls
        self._workspace = workspace
        self._guard = guard
        self._on_event = on_event

    def begin(self, n: int, rung: int, temperature: float, before: Sequence[Finished]) -> Finished:
        """Attempt number `n` on rung `rung`, as it is before it has an answer."""
        model, checker = self._plan.chain[rung], self._plan.checker_of(rung)
        attempt = Attempt(
            n=n,
            model=model.info.id,
            engine=model.engine.name,
            tier=model.tier,
            temperature=temperature,
            cost_usd=0.0 if model.is_free else None,
            locality=model.locality,
            checker=checker.name if checker else None,
            result="no_answer",
            failed_rungs=len({f.rung for f in before if f.result == "failed"} - {rung}),
            try_on_rung=1 + sum(f.rung == rung and not f.is_unfit for f in before),
        )
        return Finished(rung=rung, attempt=attempt, result="no_answer", evidence="")

    async def run(self, begun: Finished, brief: Brief, *, is_compressed: bool) -> Finished:
        """Carry an attempt out. Engine errors become part of it."""
        started, spent_usd = time.monotonic(), self._guard.meter()
        model, attempt = self._plan.chain[begun.rung], begun.attempt
        try:
            if is_compressed:
                # Outlines of large files take a while.
                brief = await asyncio.to_thread(fitted, self._plan, self._settings, model, brief)
                attempt = _replace(attempt, repairs=brief.notes)
            completion = await self._answer(attempt, model, brief)
        except EngineError as error:
            measured = _replace(attempt, cost_usd=spent_usd(), seconds=time.monotonic() - started)
            return _without_answer(begun.rung, measured, error)
        attempt = _with_usage(attempt, completion)
        verdicts, candidate = await self._judged(attempt.n, begun.rung, completion, brief)
        result = result_of(verdicts)
        return Finished(
            rung=begun.rung,
            attempt=_replace(
                attempt,
                verdicts=verdicts,
                result=result,
                cost_usd=spent_usd(),
                seconds=time.monotonic() - started,
            ),
            result=result,
            evidence=evidence_of(verdicts),
            answer=completion.text,
            candidate=candidate,
        )

    async def _answer(self, attempt: Attempt, model: RoutedModel, brief: Brief) -> Completion:
        request = worker_request(
            self._plan, self._settings, model, brief, temperature=attempt.temperature, n=attempt.n
        )
        label = Label(purpose="worker", task_id=self._plan.task_id, attempt=attempt.n)
        completion = await self._calls.complete(
            model, request, label, on_text=self._progress(attempt.n), spending=self._guard
        )
        if "prompt_truncated" in completion.flags:
            raise EngineError(
                "context_overflow",
                "the engine read only a part of the prompt, so its answer counts for nothing; "
                "give the model a larger context window",
                engine=completion.engine,
                model=completion.model,
            )
        return completion

    def _progress(self, n: int) -> Callable[[str], None]:
        characters = 0

        def on_text(text: str) -> None:
            nonlocal characters
            characters += len(text)
            self._on_event(Generated(n=n, characters=characters))

        return on_text

    async def _judged(
        self, n: int, rung: int, completion: Completion, brief: Brief
    ) -> tuple[tuple[Verdict, ...], Candidate | None]:
        """The candidate and its verdicts; an answer that cannot be used is a verdict too."""
        plan = self._plan
        try:
            candidate = with_crlf(candidate_from(completion, plan.task, brief.whole), plan.crlf)
        except UnusableAnswer as error:
            verdict = Verdict(validator="answer", result="fail", evidence=str(error))
            self._on_event(Checked(n=n, verdict=verdict))
            return (verdict,), None
        verdicts: list[Verdict] = []
        if plan.task.schema is not None:
            verdicts.append(schema_verdict(candidate, plan.task.schema))
        if not any(verdict.result == "fail" for verdict in verdicts):
            try:
                verdicts += await self._checked(n, rung, candidate)
            except UnsafePathError as error:
                verdicts.append(Verdict(validator="answer", result="fail", evidence=str(error)))
            verdicts += plan.missing
        for verdict in verdicts:
            self._on_event(Checked(n=n, verdict=verdict))
        return tuple(verdicts), candidate

    async def _checked(self, n: int, rung: int, candidate: Candidate) -> list[Verdict]:
        plan = self._plan
        judge = self._judge(n, plan.checker_of(rung), worker=plan.chain[rung])

        def context_in(scratch: Path) -> CheckContext:
            return CheckContext(
                base=plan.root,
                scratch=scratch,
                sandbox=self._settings.sandbox,
                judge=judge,
                checker_confidence=self._settings.escalation.checker_confidence,
            )

        return await check_candidate(
            self._workspace,
            plan.checks,
            candidate,
            context_in,
            # Whoever only asks something names no check.
            wants_change=bool(plan.task.checks),
        )

    def _judge(self, n: int, checker: RoutedModel | None, worker: RoutedModel):
        if checker is None:
            return None
        label = Label(purpose="checker", task_id=self._plan.task_id, attempt=n)

        async def complete(model: RoutedModel, request: ChatRequest) -> Completion:
            return await self._calls.complete(model, request, label, spending=self._guard)

        return judge_with(
            checker, complete, self._plan.task.text, worker=worker, base=self._plan.base
        )


def evidence_of(verdicts: Sequence[Verdict]) -> str:
    """What stands against an answer."""
    return "\n".join(
        f"{v.validator}: {v.evidence}" for v in verdicts if v.result in ("fail", "error")
    )


def _without_answer(rung: int, attempt: Attempt, error: EngineError) -> Finished:
    answer = ""
    if isinstance(error, BadOutputError):
        attempt, answer = _with_usage(attempt, error.completion), error.completion.text
    result: Result = "failed" if error.kind in _OWN_FAILURES else "no_answer"
    return Finished(
        rung=rung,
        attempt=_replace(attempt, error=str(error), result=result),
        result=result,
        evidence=error.message,
        answer=answer,
        error_kind=error.kind,
    )


def schema_verdict(candidate: Candidate, schema: dict[str, object]) -> Verdict:
    """Whether the answer's object is valid against the task's own schema."""
    started = time.monotonic()
    found = violations(candidate.object, schema)
    return Verdict(
        validator="schema",
        result="fail" if found else "pass",
        evidence="\n".join(found) or "valid against the given schema",
        seconds=time.monotonic() - started,
    )


def _with_usage(attempt: Attempt, completion: Completion) -> Attempt:
    usage = completion.usage
    return _replace(
        attempt,
        served_model=completion.served_model,
        repairs=(*attempt.repairs, *completion.repairs),
        tokens_in=usage.tokens_in,
        tokens_cached=usage.tokens_cached,
        tokens_out=usage.tokens_out,
    )


def _replace(attempt: Attempt, **changes: object) -> Attempt:
    return msgspec.structs.replace(attempt, **changes)
