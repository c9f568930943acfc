"""Whether Ollama read the whole prompt. Versions before 0.12.6 ignore `truncate: false`.

They cut a prompt to the window, or leave whole turns out, and answer as if nothing had happened
(Ollama issue 4967). What is said here is certain; estimates are for those who know the tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rung.chat import Message

# No tokenizer in use has a longer token.
_LONGEST_TOKEN_BYTES = 128
_VERSION = re.compile(r"(\d+)\.(\d+)")


def fewest_tokens(messages: Sequence[Message]) -> int:
    """A count of tokens that no tokenizer can stay below.

    Tokens do not reach across a space; three for four words allows for the few that do (SuperBPE).
    The model's own turns are not counted, for templates leave its thoughts out of them.
    """
    texts = [message.content for message in messages if message.role != "assistant"]
    words = sum(len(text.split()) for text in texts)
    size_bytes = sum(len(text.encode("utf-8", "replace")) for text in texts)
    return max(words * 3 // 4, size_bytes // _LONGEST_TOKEN_BYTES)


def counts_whole_prompts(version: str) -> bool:
    """Whether `prompt_eval_count` includes what was cached.

    It did not before 0.2 (Ollama issue 2068) nor in the first releases of 0.30 (16414).
    """
    found = _VERSION.match(version)
    if found is None:
        return False
    number = int(found[1]), int(found[2])
    return number >= (0, 2) and number != (0, 30)


def is_truncated(
    *, fewest: int, tokens_in: int | None, window: int | None, counts_whole: bool
) -> bool:
    """Whether a prompt of at least `fewest` tokens was certainly not read to its end.

    `tokens_in` is what Ollama counted, `window` the `num_ctx` that it was sent.
    """
    if window is not None and max(fewest, tokens_in or 0) >= window:
        return True
    return counts_whole and tokens_in is not None and tokens_in < fewest
