"""Node's own opinion of JavaScript sources, by V8's parser."""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePosixPath

import msgspec

from rung.validation.front_end import FrontEnd, first_problem
from rung.validation.installed import installation
from rung.validation.sources import Source

_SCRIPT = Path(__file__).parent / "checks" / "parse_javascript.js"
_OPTIONS = (
    "--experimental-vm-modules",
    "--expose-internals",
    "--no-warnings",
    "--max-old-space-size=512",
)
_MODULE_SYNTAX = re.compile(r"^[ \t]*(?:import[\s{*\"']|export[\s{*])", re.M)


def node() -> Path | None:
    """The Node that is installed."""
    found = shutil.which("node")
    return Path(found).resolve() if found else None


async def javascript_problem(source: Source, node: Path, base: Path) -> str:
    """`name:line:column: message` with the offending line, or nothing if it parses.

    Nothing is executed. Whether a file is a module is decided as Node does: by its extension, by
    the `package.json` above it in the project `base`, by its syntax. Raises RuntimeError if Node
    gives no answer.
    """
    front_end = FrontEnd(
        command=(str(node), *_OPTIONS, str(_SCRIPT)),
        readable=installation(node),
    )
    goal = "module" if _is_module(source, base) else "script"
    question = {"name": source.name, "text": source.text, "goal": goal}
    return await first_problem(front_end, question)


def _is_module(source: Source, base: Path) -> bool:
    suffix = PurePosixPath(source.name).suffix
    if suffix in (".mjs", ".cjs"):
        return suffix == ".mjs"
    return bool(_MODULE_SYNTAX.search(source.text)) or _package_type(source.name, base) == "module"


class _Package(msgspec.Struct):
    type: str = ""


def _package_type(name: str, base: Path) -> str:
    """`type` of the nearest `package.json` of the project above the file."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return ""
    for folder in path.parents:
        try:
            content = (base / folder / "package.json").read_bytes()
            return msgspec.json.decode(content, type=_Package).type
        except (OSError, msgspec.DecodeError):  # none here, or one that Node could not read either
            continue
    return ""
