"""What a test run is made of: tests, conftest.py, settings; and putting the project's own back."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from rung.validation.copies import NEVER_COPIED, copy_entries, copyable, project_files
from rung.validation.folders import entries_below, remove_tree_now

# Files that decide how a test run goes. They come from the project, never from a candidate that
# was not asked for them.
_STEERING_NAMES = frozenset(
    [
        *(".pytest.ini", ".pytest.toml", "conftest.py", "pyproject.toml", "pytest.ini"),
        *("pytest.toml", "setup.cfg", "sitecustomize.py", "tox.ini", "usercustomize.py"),
    ]
)
_TEST_NAMES = frozenset({"*_test.py", "test_*.py"})
# The setting in both kinds of files: words on this and indented lines, or a list of strings.
_PYTHON_FILES = re.compile(
    r"^[ \t]*python_files[ \t]*=[ \t]*(?:(\[[^\]]*\])|(.*(?:\n[ \t]+\S.*)*))", re.M
)
_WORDS = re.compile(r"[^\s\[\],\"']+")
# What Python obeys unseen; no task asks for it.
_UNSEEN = (".pth", ".pyc", "customize.py")
_PACKAGE_DATA = (".dist-info", ".egg-info")  # its entry points name plugins of pytest
_TEST_FOLDERS = frozenset({"test", "tests"})
# What tests compare with, wherever it lies.
_DATA_FOLDERS = frozenset(
    {"__snapshots__", "golden", "goldens", "test-data", "test_data", "testdata"}
)


def is_test(path: str, chosen: Collection[str] = ()) -> bool:
    """Whether pytest would collect this file by its name, as it is set up or as it comes."""
    name = path.rpartition("/")[2]
    patterns = _TEST_NAMES.union(chosen)
    return name.endswith(".py") and any(fnmatchcase(name, pattern) for pattern in patterns)


def test_names(base: Path) -> frozenset[str]:
    """The patterns of names of test files: those of the project's settings, else pytest's own."""
    settings = [base / name for name in _STEERING_NAMES if not name.endswith(".py")]
    texts = [path.read_text("utf-8", "replace") for path in settings if path.is_file()]
    told = [word for text in texts for value in _PYTHON_FILES.findall(text) for word in value]
    return frozenset(word for value in told for word in _WORDS.findall(value)) or _TEST_NAMES


def steers_tests(path: str) -> bool:
    """Whether this file can change what a test run reports, as compiled code can unseen."""
    *_, name = parts = path.split("/")
    is_package_data = any(part.endswith(_PACKAGE_DATA) for part in parts)
    return name in _STEERING_NAMES or name.endswith((".pth", ".pyc")) or is_package_data


def without_tests_of(
    base: Path, files: Mapping[str, str], tests: Collection[str]
) -> dict[str, str]:
    """`files` but those tests that the project has itself in one of the paths `tests`.

    What else the project has in a folder named `tests` or `test` belongs to them, and what it has
    in one of `golden`, `testdata` and the like, too.
    """

    patterns = test_names(base)

    def is_theirs(name: str) -> bool:
        is_named = name in tests or is_test(name, patterns)
        is_below = is_named and any(_is_in(name, path) for path in tests)
        is_beside = any(_is_in(name, _test_folder(path)) for path in tests)
        is_data = bool(tests) and _is_test_data(name)
        if is_beside and _stands_before_theirs(base, name):
            return True
        return (is_below or is_beside or is_data) and (base / name).exists()

    return {name: text for name, text in files.items() if not is_theirs(name)}


def _stands_before_theirs(base: Path, name: str) -> bool:
    """Whether Python would import it in the place of a module or folder of the project's."""
    folders = [folder.as_posix() for folder in PurePosixPath(name).parents][:-1]
    is_before_folder = name.endswith(".py") and (base / name.removesuffix(".py")).is_dir()
    return is_before_folder or any((base / f"{folder}.py").is_file() for folder in folders)


def _is_test_data(name: str) -> bool:
    return not _DATA_FOLDERS.isdisjoint(name.split("/")[:-1])


def _is_in(name: str, path: str) -> bool:
    path = path.rstrip("/")
    return path == "." or name == path or (path != "" and name.startswith(f"{path}/"))


def _test_folder(path: str) -> str:
    """The first folder on the way to `path` that is named as one of tests; empty if none is."""
    parts = path.rstrip("/").split("/")
    place = next((at for at, part in enumerate(parts) if part in _TEST_FOLDERS), None)
    return "" if place is None else "/".join(parts[: place + 1])


def tests_below(base: Path, target: str) -> list[str]:
    """The project's test files in the file or folder `target`, which may be `.`."""
    place = base / target
    if place.is_file():
        return [place.relative_to(base).as_posix()]
    names = (path.relative_to(base).as_posix() for path in entries_below(place, NEVER_COPIED))
    patterns = test_names(base)
    return sorted(name for name in names if is_test(name, patterns) and (base / name).is_file())


def restore_from(base: Path, folder: Path, names: Iterable[str]) -> None:
    """Put back the project's own content of these files and folders; anything else in them goes.

    What the project does not have stays as it is: a test that the candidate was asked to write.
    """
    for name in names:
        source, target = base / name, folder / name
        if not source.exists() or not source.resolve().is_relative_to(base.resolve()):
            continue
        _clear_the_way(folder, target)
        if source.is_dir():
            names_below = project_files(source)
            target.mkdir()
            copy_entries(source, target, copyable(source, names_below))
        else:
            shutil.copy2(source, target)


def restore_tests(base: Path, folder: Path, target: str) -> None:
    """Have the project's own content of `target`, or of the folder of tests that it is in.

    Where that is the whole project, only its tests are put back. So is the data of tests.
    """
    names = [_test_folder(target) or target] if target != "." else tests_below(base, target)
    restore_from(base, folder, [*names, *filter(_is_test_data, project_files(base))])


def restore_steering_files(base: Path, folder: Path, keep: Collection[str]) -> None:
    """Have the project's own conftest.py, pytest.ini and the like, and no others but `keep`.

    `keep` are the files that the candidate was asked for.
    """
    keep = {name for name in keep if not _is_unseen(name)}
    theirs = _steering_files(entries_below(folder), folder)
    ours = _steering_files(entries_below(base, NEVER_COPIED), base)
    missed = {name for name in ours if _is_unseen(name) and not (folder / name).exists()}
    restore_from(base, folder, sorted(ours - keep - missed))
    for name in theirs - ours - keep:
        (folder / name).unlink(missing_ok=True)


def _is_unseen(name: str) -> bool:
    return name.endswith(_UNSEEN) or any(part.endswith(_PACKAGE_DATA) for part in name.split("/"))


def _steering_files(entries: Iterable[Path], folder: Path) -> set[str]:
    names = (path.relative_to(folder).as_posix() for path in entries if not path.is_dir())
    return {name for name in names if steers_tests(name)}


def _clear_the_way(folder: Path, target: Path) -> None:
    """Make `target` free to be written, without following links that hostile code may have left."""
    for parent in [*reversed(target.relative_to(folder).parents)][1:]:
        step = folder / parent
        if step.is_symlink() or (step.exists() and not step.is_dir()):
            step.unlink()
        step.mkdir(exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        remove_tree_now(target)
    else:
        target.unlink(missing_ok=True)
