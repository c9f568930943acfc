"""What SmolLM2-135M has really answered without a grammar, and what is read out of it.

`recorded/smollm2.json` has its answers as they were, of at most 160 tokens, to "Make up a person."
and "Give 4 levers to improve a small bakery.": with the form, the schema, an example, or the keys
in the prompt, as a Python dict, in a code block, escaped, or after thinking.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rung.chat import Completion
from rung.structured import BadOutputError, require_object
from rung.structured.partial import PartialObject

RECORDED = json.loads((Path(__file__).parent / "recorded" / "smollm2.json").read_text("utf-8"))
ANSWERS: list[dict[str, Any]] = RECORDED["answers"]


@pytest.mark.parametrize("said", ANSWERS, ids=[said["what"] for said in ANSWERS])
def test_what_a_small_model_said_is_read_or_refused_with_the_cause(said: dict[str, Any]) -> None:
    schema = RECORDED["schemas"][said["schema"]]
    completion = Completion(
        text=said["text"], engine="e", model="m", finish_reason=said["finish_reason"]
    )
    if said["object"] is None:
        with pytest.raises(BadOutputError) as caught:
            require_object(completion, schema)
        assert caught.value.problems[0].startswith(said["problem"])
        return
    answer = require_object(completion, schema)
    assert (answer.parsed, list(answer.repairs)) == (said["object"], said["repairs"])


@pytest.mark.parametrize("said", ANSWERS, ids=[said["what"] for said in ANSWERS])
def test_the_last_view_of_it_is_the_object_or_none_of_its_parts(said: dict[str, Any]) -> None:
    partial = PartialObject()
    partial.feed(said["text"])
    if partial.is_whole and said["object"] is not None:
        view = partial.view()
        assert view.keys() == said["object"].keys()
