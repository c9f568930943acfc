"""Whether two names may mean the same model, where no list can tell."""

from __future__ import annotations

import re

# What a name says of how and when a model was packed, not of which model it is.
_PACKING = re.compile(
    r"(?:(?<=[^a-z0-9])|^)"
    r"(?:instruct|it|chat|hf|gguf|mlx|awq|gptq|qat|preview|exp|latest"
    r"|i?q\d(?:_[a-z0-9]+)*|int\d|fp\d+|bf16|f16|f32|\d+bit"
    r"|\d{4}-\d{2}-\d{2}|\d{8}|\d{6}|\d{4})"
    r"(?=[^a-z0-9]|$)"
)
_PLACE = re.compile(r".*[/\\]")
_NOT_A_LETTER = re.compile(r"[^a-z0-9]")
_ANY_MODEL = frozenset({"", "auto", "default", "local-model"})


def may_be_same_model(asked: str, served: str) -> bool:
    """False only where `served` cannot be what `asked` means.

    Not told apart: a provider's or a folder's name in front, dates, quantisation, file endings,
    `instruct`, Ollama's `:latest`, LM Studio's `@q4_k_m` and `:2`, OpenRouter's `:free`. A name
    that leaves the choice to the engine (`auto`, `…-latest`) means whatever it serves.
    """
    asked_base, asked_tag = _parts(asked)
    served_base, served_tag = _parts(served)
    if asked_base in _ANY_MODEL or asked_base.endswith("-latest"):
        return True
    one, other = sorted((_essence(asked_base), _essence(served_base)), key=len)
    tags = {_essence(asked_tag), _essence(served_tag)}
    return other.endswith(one) and (len(tags) == 1 or "" in tags)


def _parts(name: str) -> tuple[str, str]:
    """What stands before and after the colon, without place and `@quantisation`."""
    base, _, tag = _PLACE.sub("", name.strip().lower()).partition("@")[0].partition(":")
    return base, "" if tag == "free" else tag


def _essence(name: str) -> str:
    return _NOT_A_LETTER.sub("", _PACKING.sub("", name))
