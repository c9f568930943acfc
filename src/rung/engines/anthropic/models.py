"""What each Claude model takes in a request to the Messages API, as data.

From platform.claude.com (models, thinking, structured outputs, migration guides; November 2026). A
model that is newer than this table is taken to be as strict as the strictest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Takes:
    """What one model takes; what it does not take, it refuses with a 400.

    `thinking_on` and `thinking_off` are laid over the body; `None` is a switch that there is not,
    and an empty one has nothing to switch. `has_budget`: thinking is given a number of tokens.
    `thinks_unasked`: it thinks where a request does not say, and then without showing it; only
    thinking that is asked for comes in pieces, by which a slow answer is told from a dead one.
    """

    has_sampling: bool = False
    has_forced_tools: bool = False
    has_schema: bool = True
    has_budget: bool = False
    thinks_unasked: bool = True
    thinking_on: Mapping[str, Any] | None = field(
        default_factory=lambda: {"thinking": {"type": "adaptive", "display": "summarized"}}
    )
    thinking_off: Mapping[str, Any] | None = None
    max_tokens: int = 16_384  # where the caller sets none, for the API demands a number


_OFF = {"thinking": {"type": "disabled"}}
_STRICTEST = Takes()
_CLAUDE_5 = Takes(has_forced_tools=True, thinking_off=_OFF)
_CLAUDE_4_7 = replace(_CLAUDE_5, thinks_unasked=False)
_CLAUDE_4_6 = replace(
    _CLAUDE_4_7, has_sampling=True, thinking_on={"thinking": {"type": "adaptive"}}
)
_CLAUDE_4_5 = replace(
    _CLAUDE_4_6, has_budget=True, thinking_on={"thinking": {"type": "enabled"}}, thinking_off={}
)
_CLAUDE_4 = replace(_CLAUDE_4_5, has_schema=False)
_CLAUDE_3 = replace(_CLAUDE_4, has_budget=False, thinking_on=None, max_tokens=4_096)
# Other makers' models behind the same API take what it took when they copied it.
_OTHERS = replace(_CLAUDE_4, thinking_off=_OFF, max_tokens=4_096)

# A version ends where no other small number follows: `opus-5`, `opus-5-20260701`, not `opus-5-5`.
_END = r"(?![-.]?\d{1,2}(?!\d))"
_TABLE: tuple[tuple[re.Pattern[str], Takes], ...] = tuple(
    (re.compile(pattern), takes)
    for pattern, takes in (
        (r"^(?!.*claude)", _OTHERS),
        (r"claude-(v1|instant|[123]\b)(?![-.]7)", _CLAUDE_3),
        (rf"claude-3[-.]7|(opus|sonnet)-4([-.][01])?{_END}", _CLAUDE_4),
        (r"(opus|sonnet|haiku)-4[-.]5", _CLAUDE_4_5),
        (r"(opus|sonnet)-4[-.]6", _CLAUDE_4_6),
        (r"opus-4[-.][78]", _CLAUDE_4_7),
        (rf"(opus|sonnet)-5{_END}", _CLAUDE_5),
        (r"sonnet-5[-.]5", Takes(thinking_off={"thinking": {"type": "between_tools"}})),
        (r"haiku-5[-.]5", Takes(thinking_off=_OFF)),
        (rf"fable-5{_END}", Takes(has_forced_tools=True)),
    )
)


def what_takes(model: str) -> Takes:
    """What `model` takes, by its id."""
    name = model.lower()
    return next((takes for pattern, takes in _TABLE if pattern.search(name)), _STRICTEST)
