"""Which models are kin: a checker of the worker's own family shares its blind spots."""

from __future__ import annotations

import re

# A name's first match decides, so that `codellama` is Llama's, and a distilled model is kin to the
# one whose weights it has.
_FAMILIES: tuple[tuple[str, str], ...] = (
    ("qwen", r"qwen|qwq"),
    ("llama", r"llama|vicuna|alpaca|nemotron"),
    ("deepseek", r"deepseek"),
    ("mistral", r"mi[sx]tral|codestral|devstral|ministral|magistral|pixtral"),
    ("google", r"gemma|gemini"),
    ("claude", r"claude"),
    ("openai", r"gpt-?oss|gpt-?\d|chatgpt|(?<![a-z0-9])o[134](?![a-z0-9])"),
    ("phi", r"(?<![a-z])phi"),
    ("smollm", r"smollm"),
    ("granite", r"granite"),
    ("cohere", r"command-?(r|a)(?![a-z])|(?<![a-z])aya(?![a-z])"),
    ("glm", r"(?<![a-z])(chat)?glm"),
    ("kimi", r"kimi|moonlight"),
    ("grok", r"grok"),
    ("yi", r"(?<![a-z])yi(?![a-z])"),
    ("falcon", r"falcon"),
    ("olmo", r"olmo"),
    ("starcoder", r"starcoder"),
    ("minimax", r"minimax"),
)
_PATTERNS = tuple((family, re.compile(pattern, re.IGNORECASE)) for family, pattern in _FAMILIES)
_FIRST_WORD = re.compile(r"[a-z]+", re.IGNORECASE)


def family_of(model_id: str) -> str:
    """`qwen` for `Qwen/Qwen3-30B-A3B-GGUF`; an unknown name's own first word, in lower case."""
    for family, pattern in _PATTERNS:
        if pattern.search(model_id):
            return family
    word = _FIRST_WORD.search(model_id.rpartition("/")[2])
    return word[0].lower() if word else model_id.lower()
