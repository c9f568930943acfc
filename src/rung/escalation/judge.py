"""The semantic checker: another call, to the checker model, with a structured verdict."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rung.chat import ChatRequest, Completion, JsonObject
from rung.errors import EngineError
from rung.escalation.prompt import judge_message
from rung.routing.models import RoutedModel
from rung.validation.verdict import Candidate, Judge, Judgement

# The quote comes before the decision, so that the model looks before it decides.
VERDICT_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "evidence": {
            "type": "string",
            "maxLength": 400,
            "description": "the words of the work that decide it, quoted, and why they do",
        },
        "passed": {"type": "boolean", "description": "whether the work meets the criterion"},
        "confidence": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "how sure you are, 0 to 1",
        },
    },
    "required": ["evidence", "passed", "confidence"],
    "additionalProperties": False,
}
MAX_WORK = 24_000


def judge_with(
    checker: RoutedModel,
    complete: Callable[[RoutedModel, ChatRequest], Awaitable[Completion]],
    task: str,
) -> Judge:
    """A judge that asks `checker`; an EngineError of the call passes through to the validator."""

    async def judge(criterion: str, candidate: Candidate) -> Judgement:
        files = "\n\n".join(f"{path}:\n{text}" for path, text in candidate.files.items())
        work = files or candidate.text
        if len(work) > MAX_WORK:
            raise EngineError(
                "context_overflow",
                f"the work has {len(work):,} characters, too many to be judged in one piece",
                engine=checker.engine.name,
                model=checker.info.id,
            )
        request = ChatRequest(
            model=checker.info.id,
            messages=(judge_message(criterion, task, work),),
            schema=VERDICT_SCHEMA,
            max_tokens=400,
            temperature=0.0,
        )
        verdict = (await complete(checker, request)).parsed
        return Judgement(
            passed=verdict["passed"],
            confidence=float(verdict["confidence"]),
            evidence=f"{checker.name}: {verdict['evidence']}",
        )

    return judge
