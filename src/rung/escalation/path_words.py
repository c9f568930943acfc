"""What a path says about the file: a test, a document, wording, or a critical area."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TESTS = frozenset(("test", "tests", "spec", "specs", "e2e", "fixtures"))
_WORDING = frozenset(("i18n", "l10n", "locale", "locales", "strings", "lang", "theme", "themes"))
_DOCUMENTS = (".md", ".rst", ".txt", ".adoc")


def is_test(path: str) -> bool:
    """Whether it holds tests, which do not ship."""
    folders, _, file = path.casefold().rpartition("/")
    is_code = not file.endswith((".yml", ".yaml", ".json", ".toml"))
    words = [*folders.split("/"), *(_WORD.findall(file) if is_code else ())]
    return not _TESTS.isdisjoint(words)


def is_document(path: str) -> bool:
    """Whether it holds documentation, or only words, colours and sizes."""
    low = path.casefold()
    words = _WORD.findall(low)
    is_text = low.endswith(_DOCUMENTS) and not low.endswith("requirements.txt")
    return is_text or "docs" in words or not _WORDING.isdisjoint(words)


def area_of(paths: Sequence[str], patterns: Sequence[str]) -> str | None:
    """The first path with a folder, a file name or a word in it that matches a pattern."""
    return next((path for path in paths if _matches(path, patterns)), None)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    parts = [part for part in _CAMEL.sub("_", path).casefold().split("/") if part]
    names = {*parts, *(part.rsplit(".", 1)[0] for part in parts[-1:])}
    if parts:
        names.update(_WORD.findall(parts[-1]))
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
