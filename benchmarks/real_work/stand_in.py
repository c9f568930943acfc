"""The second rung: a server that answers right, subtly wrong or badly, as a stated plan says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.fakes.replies import Reply
from tests.fakes.server import Call

from benchmarks.real_work.tasks import Answer, Kind, WorkTask

# What is answered at first, and to the one retry; by the task's number, over and over.
PLANS: tuple[tuple[Kind, Kind], ...] = (
    ("right", "right"),
    ("wrong", "right"),
    ("bad", "right"),
    ("wrong", "wrong"),
    ("right", "right"),
    ("wrong", "right"),
    ("bad", "wrong"),
    ("wrong", "right"),
    ("right", "right"),
    ("bad", "bad"),
)
CHARACTERS_PER_TOKEN = 4
# How a retry begins. A conversation also goes on where an answer is not the object asked for.
AFTER_A_CHECK = "That answer failed a check"


def planned(tasks: Sequence[WorkTask]) -> dict[str, tuple[Answer, Answer]]:
    """By task: the first answer and the one to the retry."""
    return {task.name: _answers(task, PLANS[task.number % len(PLANS)]) for task in tasks}


def _answers(task: WorkTask, plan: tuple[Kind, Kind]) -> tuple[Answer, Answer]:
    first, again = (_answer(task, kind) for kind in plan)
    # Of two wrong answers the second is another one, where there is one.
    return (first, task.wrong[-1]) if first is again and first.kind == "wrong" else (first, again)


def _answer(task: WorkTask, kind: Kind) -> Answer:
    if kind == "wrong" and task.wrong:
        return task.wrong[0]
    return task.right if kind == "right" else task.bad


class StandIn:
    """Answers chats for a `FakeServer`: finds the task by its text, the try by the conversation."""

    def __init__(
        self, tasks: Sequence[WorkTask], plan: Mapping[str, tuple[Answer, Answer]]
    ) -> None:
        self._by_text = {task.text: plan[task.name] for task in tasks}
        self._longest_first = sorted(self._by_text, key=len, reverse=True)

    def __call__(self, call: Call) -> Reply:
        messages = call.body["messages"]
        request = next(m["content"] for m in messages if m["role"] == "user")
        text = next(text for text in self._longest_first if text in request)
        is_retry = any(AFTER_A_CHECK in message["content"] for message in messages)
        answer = self._by_text[text][is_retry]
        prompt = sum(len(message["content"]) for message in messages)
        usage = {
            "prompt_tokens": prompt // CHARACTERS_PER_TOKEN,
            "completion_tokens": len(answer.text) // CHARACTERS_PER_TOKEN,
        }
        usage["total_tokens"] = sum(usage.values())
        return Reply(text=answer.text, usage=usage)
