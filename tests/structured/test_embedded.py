"""With the real embedded model: what is relied on, and the whole way to an object."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from rung import Rung
from rung.chat import ChatRequest, Message
from rung.config.settings import Settings
from rung.structured import complete_object, with_instructions
from rung.structured.parse import parse

MODEL = "embedded/smollm2-135m"
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 30},
        "city": {"type": "string", "maxLength": 30},
        "age": {"type": "integer", "minimum": 1, "maximum": 99},
    },
    "required": ["name", "city", "age"],
    "additionalProperties": False,
}
ASK = ChatRequest(
    model="smollm2-135m",
    messages=(Message(role="user", content="Make up a person."),),
    schema=SCHEMA,
    max_tokens=200,
    temperature=0.0,
)


def settings(folder: Path, models: Path) -> Settings:
    return Settings(discover=False, data_dir=folder / "data", models_dir=models)


async def test_an_answer_that_was_begun_is_continued_within_its_schema(
    tmp_path: Path, starter_model_dir: Path
) -> None:
    asked = with_instructions(ASK)
    async with Rung(settings(tmp_path, starter_model_dir)) as rung:
        engine = (await rung.router.find(MODEL, True)).engine
        assert engine.continues_answers
        for begun in (
            "{",
            '{"name": "Ada Love',
            '{\n  "name": "Ada",\n  "city": "London", "age": 3',
        ):
            messages = (*asked.messages, Message(role="assistant", content=begun))
            rest = await engine.complete(replace(asked, messages=messages))
            value = parse(begun + rest.text)
            assert value.keys() == SCHEMA["properties"].keys()


async def test_what_is_cut_off_becomes_whole(tmp_path: Path, starter_model_dir: Path) -> None:
    async with Rung(settings(tmp_path, starter_model_dir)) as rung:
        engine = (await rung.router.find(MODEL, True)).engine
        sent: list[ChatRequest] = []

        async def cut_short(request: ChatRequest):
            sent.append(request)
            answer = await engine.complete(request)
            if len(sent) > 1:
                return answer
            # As the engine would have stopped: in the middle of the first value.
            return replace(answer, text=answer.text[:14], finish_reason="length")

        answer = await complete_object(cut_short, ASK, can_continue=True)
    assert answer.parsed.keys() == SCHEMA["properties"].keys()
    assert answer.repairs == ("continued",)
    assert answer.text.startswith(sent[1].messages[-1].content)
