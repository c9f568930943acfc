"""Imports modules and asks pydantic for the schemas of their models. Run by `imported`, alone.

It imports nothing of Rung, because it may run in the Python of another project. The question comes
on stdin as JSON, `[{"file", "module", "root"}]`; the answers go, one JSON object a line, to what
stdout was: what the modules print goes to stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # Python put the folder of this file there, whose modules nobody means to import.
    sys.path[:] = [folder for folder in sys.path if folder != os.path.dirname(__file__)]  # noqa: PTH120
    for entry in json.load(sys.stdin):
        for answer in answers_of(entry):
            answers.write(json.dumps({"file": entry["file"], **answer}) + "\n")
            answers.flush()


def answers_of(entry: dict[str, str]) -> Iterator[dict[str, Any]]:
    sys.path.insert(0, entry["root"])
    # Two files of one name, in different folders, are two modules.
    sys.modules.pop(entry["module"], None)
    try:
        module = importlib.import_module(entry["module"])
    # Whatever a foreign module raises, SystemExit too: the next one is still to be asked.
    except BaseException as error:  # noqa: BLE001
        yield {"error": f"{type(error).__name__}: {error}"}
        return
    for name, value in list(vars(module).items()):
        is_own = isinstance(value, type) and value.__module__ == entry["module"]
        if not is_own or not getattr(value, "model_fields", None):
            continue
        try:
            yield {"name": name, "schema": schema_of(value)}
        except Exception as error:  # noqa: BLE001 (one model of several)
            yield {"name": name, "error": f"{type(error).__name__}: {error}"}


def schema_of(model: Any) -> Any:
    """What pydantic says of a model, with decimals as numbers only, which is how Rung asks."""
    from pydantic.json_schema import GenerateJsonSchema

    class Numbers(GenerateJsonSchema):
        def decimal_schema(self, schema: Any) -> Any:
            found = super().decimal_schema(schema)
            return next(iter(found.get("anyOf", [found])))

    return model.model_json_schema(schema_generator=Numbers)


if __name__ == "__main__":
    main()
