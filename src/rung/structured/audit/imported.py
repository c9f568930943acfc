"""Schemas as pydantic itself gives them, from a child process that runs the modules."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rung.config.environment import child_environment
from rung.errors import UsageError
from rung.structured.audit.finding import Finding, Found, Place
from rung.structured.audit.modules import Module, Modules, fields
from rung.structured.audit.rules import finding
from rung.structured.references import escaped

_CHILD = Path(__file__).with_name("import_child.py")
_MAX_ERROR_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Imports:
    """Leave to run the audited modules: with which Python, and for how many seconds at most."""

    python: str
    timeout_s: float


def with_imported(
    found: Sequence[Found], modules: Modules, shown: dict[str, str], imports: Imports
) -> tuple[list[Found], list[Finding]]:
    """The schemas, with those of pydantic in place of what was read in the source.

    What a module does not give when it is imported stays as it was read, and is a finding.
    """
    wanted = [module for module in modules if _has_models(module, modules)]
    answers, end = _asked(wanted, imports)
    problems: list[Finding] = []
    real: dict[tuple[str, str], Any] = {}
    answered: set[str] = set()
    for answer in answers:
        file = shown[answer["file"]]
        answered.add(answer["file"])
        if "error" in answer:
            why = f"{answer['error']}"[:_MAX_ERROR_CHARACTERS]
            problems.append(finding("import-failed", Place(file, 1), answer.get("name", ""), why))
        else:
            real[file, answer["name"]] = answer["schema"]
    for module in wanted if end else ():
        if str(module.path) not in answered:
            place = Place(shown[str(module.path)], 1)
            problems.append(finding("import-failed", place, "", end))
    lines = _field_lines(modules, shown)
    return [_replaced(entry, real, lines) for entry in found], problems


def _replaced(found: Found, real: dict[tuple[str, str], Any], lines: dict[str, Place]) -> Found:
    schema = real.get((found.place.file, found.name))
    if schema is None:
        return found
    own = {f"/properties/{name}": place for name, place in _of(found.name, lines).items()}
    for inner in schema.get("$defs", {}):
        below = f"/$defs/{escaped(inner)}"
        own |= {f"{below}/properties/{name}": at for name, at in _of(inner, lines).items()}
    return replace(found, schema=schema, lines={"": found.place, **own}, gaps=())


def _of(model: str, lines: dict[str, Place]) -> dict[str, Place]:
    prefix = f"{model}."
    return {key.removeprefix(prefix): at for key, at in lines.items() if key.startswith(prefix)}


def _field_lines(modules: Modules, shown: dict[str, str]) -> dict[str, Place]:
    """Where the field `Model.name` stands, for all classes."""
    return {
        f"{node.name}.{escaped(name)}": Place(shown[str(module.path)], entry.lineno)
        for module in modules
        for node in module.classes.values()
        for name, entry in fields(node).items()
    }


def _has_models(module: Module, modules: Modules) -> bool:
    return any(modules.kind(module, node) == "pydantic" for node in module.classes.values())


def _asked(modules: Sequence[Module], imports: Imports) -> tuple[list[dict[str, Any]], str]:
    """The child's answers, and why there are no more of them if it did not end well."""
    question = json.dumps([_entry(module.path) for module in modules])
    process = _started(imports.python)
    end = ""
    try:
        said, _ = process.communicate(question, timeout=imports.timeout_s)
        if process.returncode:
            end = f"Python ended with status {process.returncode} while it was imported"
    except subprocess.TimeoutExpired:
        end = f"importing took longer than {imports.timeout_s:g} s"
        _kill(process)
        said, _ = process.communicate()
    except BaseException:
        _kill(process)
        raise
    lines = [line for line in said.splitlines() if line.endswith("}")]
    return [json.loads(line) for line in lines], end


def _started(python: str) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            [python, str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment({}),
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )
    except OSError as error:
        raise UsageError(f"{python} cannot be run: {error.strerror}") from None


def _kill(process: subprocess.Popen[str]) -> None:
    """Ends the child and what its modules have started."""
    os.killpg(process.pid, signal.SIGKILL)


def _entry(path: Path) -> dict[str, str]:
    """The module name of a file, and the folder that it is imported from."""
    resolved = path.resolve()
    parts = [] if resolved.name == "__init__.py" else [resolved.stem]
    root = resolved.parent
    while (root / "__init__.py").exists() and root.parent != root:
        parts.insert(0, root.name)
        root = root.parent
    return {"file": str(path), "module": ".".join(parts), "root": str(root)}
