"""The semantic checker: another call, to the checker model, with a structured verdict.

A verdict counts only with a quote that is in the work: a model that has not looked cannot quote.
What the work says to its checker is held against it, not obeyed.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from rung.chat import ChatRequest, Completion, JsonObject, Message
from rung.errors import EngineError, EngineErrorKind
from rung.escalation.exhibit import Exhibit, exhibit
from rung.escalation.prompt import judge_again_message, judge_message
from rung.escalation.quotes import is_quoted, words_to_the_checker
from rung.routing.context import prompt_size
from rung.routing.models import RoutedModel
from rung.structured.complete import with_instructions
from rung.validation.verdict import Candidate, Judge, Judgement

Complete = Callable[[RoutedModel, ChatRequest], Awaitable[Completion]]

_TOKENS_PER_CRITERION = 400
# Where nobody knows the checker's window; an engine that cuts a prompt off is noticed.
_UNKNOWN_WINDOW_TOKENS = 16_384

# The quote comes before the decision, so that the model looks before it decides.
_FINDING: JsonObject = {
    "type": "object",
    "properties": {
        "quote": {
            "type": "string",
            "maxLength": 400,
            "description": "the words of the work that decide it, letter for letter",
        },
        "reason": {"type": "string", "maxLength": 400, "description": "why they decide it"},
        "passed": {"type": "boolean", "description": "whether the work meets the criterion"},
        "confidence": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "how sure you are, 0 to 1",
        },
    },
    "required": ["quote", "reason", "passed", "confidence"],
    "additionalProperties": False,
}


@dataclass(frozen=True, kw_only=True)
class _Finding:
    """What the checker said of one criterion."""

    criterion: str
    quote: str
    reason: str
    passed: bool
    confidence: float


def verdict_schema(criteria: int) -> JsonObject:
    """The object that a checker answers with: `criterion_1`, `criterion_2`, …"""
    names = [f"criterion_{number}" for number in range(1, criteria + 1)]
    return {
        "type": "object",
        "properties": dict.fromkeys(names, _FINDING),
        "required": names,
        "additionalProperties": False,
    }


def judge_with(
    checker: RoutedModel,
    complete: Complete,
    task: str,
    *,
    worker: RoutedModel | None = None,
    base: Mapping[str, str] | None = None,
) -> Judge:
    """A judge that asks `checker`; an EngineError of the call passes through to the validator.

    `base` holds the files as they were before the work, so that the changes can be shown first.
    """

    async def judge(criteria: Sequence[str], candidate: Candidate) -> Judgement:
        steering = words_to_the_checker(
            "\n".join((candidate.text, *candidate.files.values())),
            "\n".join((task, *criteria, *(base or {}).values())),
        )
        if steering:
            return Judgement(
                passed=False,
                confidence=1.0,
                evidence=f"the work speaks to its checker instead of doing the task: {steering!r}",
            )
        nonce = secrets.token_hex(8)
        shown = _shown(checker, candidate, base or {}, task, criteria, nonce)
        request = _request(checker, task, criteria, shown.text, nonce)
        findings = await _findings(checker, complete, request, criteria, shown.quotable, nonce)
        is_own_work = worker is not None and worker == checker
        return _judgement(checker, findings, shown, is_own_work=is_own_work)

    return judge


def _request(
    checker: RoutedModel, task: str, criteria: Sequence[str], work: str, nonce: str
) -> ChatRequest:
    return ChatRequest(
        model=checker.info.id,
        messages=(judge_message(criteria, task, work, nonce),),
        schema=verdict_schema(len(criteria)),
        max_tokens=_TOKENS_PER_CRITERION * len(criteria),
        temperature=0.0,
    )


def _shown(
    checker: RoutedModel,
    candidate: Candidate,
    base: Mapping[str, str],
    task: str,
    criteria: Sequence[str],
    nonce: str,
) -> Exhibit:
    window = checker.info.context_tokens or _UNKNOWN_WINDOW_TOKENS
    # The second try has the first answer in its prompt.
    answers = 2 * _TOKENS_PER_CRITERION * len(criteria)

    def fits(work: str) -> bool:
        request = with_instructions(_request(checker, task, criteria, work, nonce))
        return prompt_size(request, None).high + answers <= window

    shown = exhibit(candidate, base, fits)
    if shown is None:
        raise _unusable(
            checker,
            "context_overflow",
            f"the work is too large to be judged in one piece: the context window of {window:,} "
            "tokens must hold all that was changed; have a model with a larger window judge "
            "(matrix.TYPE.checker), or split the task",
        )
    return shown


async def _findings(
    checker: RoutedModel,
    complete: Complete,
    request: ChatRequest,
    criteria: Sequence[str],
    quotable: str,
    nonce: str,
) -> list[_Finding]:
    """What the checker found, asked once more where it quoted what is not there."""
    misquoted: list[str] = []
    for _ in range(2):
        completion = await complete(checker, request)
        if "prompt_truncated" in completion.flags:
            raise _unusable(checker, "context_overflow", "the engine read only a part of the work")
        findings = [
            _Finding(criterion=criterion, **completion.parsed[f"criterion_{number}"])
            for number, criterion in enumerate(criteria, start=1)
        ]
        misquoted = [item.quote for item in findings if not is_quoted(item.quote, quotable)]
        if not misquoted:
            return findings
        answer = Message(role="assistant", content=completion.text)
        again = judge_again_message(misquoted, nonce)
        request = replace(request, messages=(*request.messages, answer, again))
    quoted = "; ".join(repr(quote[:100]) for quote in misquoted)
    raise _unusable(
        checker, "bad_output", f"its evidence is not in the work, so it does not count: {quoted}"
    )


def _unusable(checker: RoutedModel, kind: EngineErrorKind, why: str) -> EngineError:
    return EngineError(kind, why, engine=checker.engine.name, model=checker.info.id)


def _judgement(
    checker: RoutedModel, findings: Sequence[_Finding], shown: Exhibit, *, is_own_work: bool
) -> Judgement:
    """All criteria must be met. The least sure pass, or the surest fail, decides how sure it is."""
    failed = [item.confidence for item in findings if not item.passed]
    lines = [_line(item, is_one=len(findings) == 1) for item in findings]
    if shown.left_out:
        lines.append(f"judged by the changed lines alone: {', '.join(shown.left_out)}")
    return Judgement(
        passed=not failed,
        confidence=max(failed) if failed else min(item.confidence for item in findings),
        evidence="\n".join([f"{checker.name}: {lines[0]}", *lines[1:]]),
        is_own_work=is_own_work,
    )


def _line(item: _Finding, *, is_one: bool) -> str:
    found = f"“{' '.join(item.quote.split())}”: {item.reason}"
    if is_one:
        return found
    result = "met" if item.passed else "not met"
    return f"{item.criterion}: {result} ({item.confidence:.2f}), {found}"
