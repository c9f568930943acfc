"""What models and programs wrote, made fit to stand in another prompt: plain text, and fenced.

An answer may hold what only its own engine understands (reasoning, markers of a chat template), and
evidence may hold what a hostile answer printed. Neither may be read as a turn or an instruction.
"""

from __future__ import annotations

import re

# Where reasoning begins that a model printed inside a text, and where each kind of it ends.
_BEGIN = re.compile(r"<(think|thinking|reasoning)>|\[(THINK)\]|<\|(channel)\|>(?!final)", re.I)
_END = {
    "think": re.compile(r"</think>", re.I),
    "thinking": re.compile(r"</thinking>", re.I),
    "reasoning": re.compile(r"</reasoning>", re.I),
    "THINK": re.compile(r"\[/THINK\]", re.I),
    "channel": re.compile(r"<\|end\|>|(?=<\|start\|>)|(?=<\|channel\|>)|\Z", re.I),
}
# Markers that a chat template, or an engine that parses special tokens, would take for its own.
_MARKERS = re.compile(
    r"</?(?:think|thinking|reasoning)>|\[/?THINK\]|\[/?INST\]|<<?/?SYS>>?"
    r"|<\|[\w./-]{1,40}\|>|<｜[^\n｜]{1,40}｜>|</?(?:start|end)_of_turn>",
    re.IGNORECASE,
)
_OPENING = re.compile(r"^[<\[]+")
# Soft hyphens, zero-width and bidirectional marks, tags: what a person does not see, a model reads.
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
_FENCES = re.compile(r"`{3,}")


def plain(text: str) -> str:
    """The text without reasoning and without template markers; nothing else is changed."""
    # A space, or leaving out one marker could join the halves of another.
    return _MARKERS.sub(" ", _without_reasoning(text))


def unmarked(text: str) -> str:
    """All of the text, for who is to judge it: markers are broken up, and what is invisible shown.

    Code may hold a marker in a string. What stands between two of them is as much a part of it.
    """
    broken = _MARKERS.sub(lambda found: _OPENING.sub(r"\g<0> ", found[0]), text)
    return INVISIBLE.sub(lambda found: f"<U+{ord(found[0]):04X}>", broken)


def _without_reasoning(text: str) -> str:
    """Blocks are left out wherever they stand; one that never ends, if it begins a line.

    In one pass: a hostile answer may open thousands of blocks.
    """
    kept: list[str] = []
    at, unended = 0, set[str]()
    for begin in _BEGIN.finditer(text):
        kind = (begin[1] or begin[2] or begin[3]).lower()
        kind = "THINK" if begin[2] else kind
        if begin.start() < at:
            continue
        end = None if kind in unended else _END[kind].search(text, begin.end())
        if end is not None:
            kept.append(text[at : begin.start()])
            at = end.end()
            continue
        unended.add(kind)
        line = text[text.rfind("\n", at, begin.start()) + 1 : begin.start()]
        if not line.strip():
            return "".join((*kept, text[at : begin.start()]))
    return "".join((*kept, text[at:]))


def fenced(text: str) -> str:
    """The text between fences that it cannot close itself."""
    longest = max((len(run) for run in _FENCES.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text}\n{fence}"


def capped(text: str, limit: int) -> str:
    """At most about `limit` characters: the beginning and the end, and how much is missing."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters left out …]\n{text[-half:]}"
