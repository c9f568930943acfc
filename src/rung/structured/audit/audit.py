"""The audit: read the files, find their schemas, ask the compiler and the rules, report."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rung.structured.audit.as_is import as_is_findings
from rung.structured.audit.documents import lines_of, schemas_in, without_comments
from rung.structured.audit.enforcement import unenforced
from rung.structured.audit.files import UnreadableError, files_of, text_of
from rung.structured.audit.finding import Finding, Found, Place, Report, merged
from rung.structured.audit.imported import Imports, with_imported
from rung.structured.audit.modules import Module, Modules, parse_module
from rung.structured.audit.python_source import literal_schemas, model_schemas, output_names
from rung.structured.audit.rules import finding
from rung.structured.audit.shape_rules import shape_findings
from rung.structured.audit.walk import nodes
from rung.structured.parse import MAX_NESTING, nesting
from rung.structured.portable import DEFAULT_MAX_TOKENS
from rung.structured.targets import TARGETS, target_named


def audit(
    names: Sequence[str],
    *,
    folder: Path | None = None,
    targets: Sequence[str] = (),
    budget_tokens: int = DEFAULT_MAX_TOKENS,
    excluded: Sequence[str] = (),
    imports: Imports | None = None,
) -> Report:
    """Audits files, folders and Python modules (`names`, relative to `folder`).

    `targets` are kinds of engines; all, if there are none. `excluded` are patterns of names and
    paths that are passed over inside folders. Nothing is run unless `imports` says so. Files of a
    folder that cannot be read are findings. Raises `UsageError` for what is not there and for an
    unknown target.
    """
    folder = folder or Path.cwd()
    targets = tuple(dict.fromkeys(target_named(name).name for name in targets or TARGETS))
    paths = files_of(names or ["."], folder, excluded)
    reader = _Reader(folder)
    schemas = list(reader.read(paths, imports))
    findings = list(reader.problems)
    for found in schemas:
        parts = nodes(found.schema)
        findings += shape_findings(found, parts, targets)
        findings += unenforced(found, parts, targets, budget_tokens)
        findings += as_is_findings(found, parts, targets)
    return Report(
        files=len(paths),
        schemas=len(schemas),
        targets=targets,
        budget_tokens=budget_tokens,
        findings=tuple(merged(findings)),
    )


class _Reader:
    """Reads files into schemas; what cannot be read is one of `problems`."""

    def __init__(self, folder: Path) -> None:
        self.problems: list[Finding] = []
        self._folder = folder.resolve()

    def read(self, paths: Sequence[Path], imports: Imports | None) -> Iterator[Found]:
        modules: list[Module] = []
        literals: list[Found] = []
        for path in paths:
            try:
                if path.suffix == ".py":
                    module = _module(path)
                    literals += literal_schemas(module, self._shown(path))
                    module.outputs.update(output_names(module))
                    module.forget_code()
                    modules.append(module)
                else:
                    yield from self._documents(path)
            except UnreadableError as error:
                place = Place(self._shown(path), 1)
                self.problems.append(finding("unreadable", place, "", str(error)))
        shown = {str(module.path): self._shown(module.path) for module in modules}
        found = [*model_schemas(Modules(modules), shown), *literals]
        if imports is not None:
            found, problems = with_imported(found, Modules(modules), shown, imports)
            self.problems += problems
        yield from found

    def _documents(self, path: Path) -> Iterator[Found]:
        text = text_of(path)
        file = self._shown(path)
        match path.suffix:
            case ".jsonl":
                for number, line in enumerate(text.splitlines(), 1):
                    if line.strip():
                        place = Place(file, number)
                        name = f"{path.stem}:{number}"
                        yield from schemas_in(_json(line, number), name, place, {"": place})
            case ".toml":
                yield from schemas_in(_toml(text), path.stem, Place(file, 1), {})
            case _:
                text = without_comments(text)
                value = _json(text, 1)
                yield from schemas_in(value, path.stem, Place(file, 1), lines_of(text, file))

    def _shown(self, path: Path) -> str:
        """The path as a user of this folder writes it."""
        resolved = path.resolve()
        is_inside = resolved.is_relative_to(self._folder)
        return str(resolved.relative_to(self._folder) if is_inside else resolved)


def _module(path: Path) -> Module:
    text = text_of(path)
    try:
        return parse_module(path, text)
    except SyntaxError as error:
        line = f"line {error.lineno}: " if error.lineno else ""
        raise UnreadableError(f"it is not valid Python: {line}{error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnreadableError(f"it is not valid Python: {error}") from None


def _json(text: str, line: int) -> object:
    if nesting(text) > MAX_NESTING * 2:
        raise UnreadableError(f"it is nested more than {MAX_NESTING * 2} levels deep")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = error.lineno + line - 1
        raise UnreadableError(f"it is not valid JSON: line {at}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"it is not valid JSON: {error}") from None


def _toml(text: str) -> object:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"it is not valid TOML: {error}") from None
