"""Validators by name: built in or installed, and the specs that name them."""

from __future__ import annotations

import asyncio
import difflib
import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rung.errors import UsageError
from rung.validation import plugins
from rung.validation.verdict import Candidate, Check, CheckContext, Verdict

Validate = Callable[[Candidate, CheckContext, str], Awaitable[Verdict]]
BlockingValidate = Callable[[Candidate, CheckContext, str], Verdict]
# Raises UsageError for an argument that cannot work; the folder is the project's root.
CheckArgument = Callable[[str, Path], None]
BUILT_IN = "built in"
# What has to be there for a validator to run at all.
Needs = Literal["nothing", "sandbox", "checker"]


@dataclass(frozen=True, kw_only=True)
class Validator:
    """One kind of check. Kinds run by ascending `rank`: the cheapest first.

    One that is `of_files` shows nothing of an answer that changes no file. One that `reads_only`
    gets no scratch copy of its own. `problem` says why an installed one cannot be used.
    """

    kind: str
    form: str
    rank: int
    validate: Validate
    check_argument: CheckArgument
    runs: int
    of_files: bool = False
    reads_only: bool = False
    needs: Needs = "nothing"
    source: str = BUILT_IN
    problem: str = ""


_LATE = 100

_validators: dict[str, Validator] = {}
_source = BUILT_IN  # whose validators are being registered


def accept_any(_argument: str, _base: Path) -> None:
    """Every argument may work."""


def validator(
    kind: str,
    *,
    form: str = "",
    rank: int = 45,
    check_argument: CheckArgument = accept_any,
    runs: int = 1,
    of_files: bool = False,
    reads_only: bool = False,
    needs: Needs = "nothing",
) -> Callable[[Validate | BlockingValidate], Validate]:
    """Register a function as the validator `kind`; its docstring tells users what it does.

    `form` is the spec as users write it; `runs` is how many sandbox runs it makes at most, each
    of which may take the sandbox's time limit. A function that is not async runs in a thread.
    Raises ValueError if the kind is taken.
    """

    def register(function: Validate | BlockingValidate) -> Validate:
        if kind in _validators:
            raise ValueError(f"there is a validator {kind!r} already")
        _validators[kind] = Validator(
            kind=kind,
            form=form or kind,
            rank=rank,
            validate=_awaitable(function),
            check_argument=check_argument,
            runs=runs,
            of_files=of_files,
            reads_only=reads_only,
            needs=needs,
            source=_source,
        )
        return _validators[kind].validate

    return register


def _awaitable(function: Validate | BlockingValidate) -> Validate:
    if inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    async def in_thread(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
        found = await asyncio.to_thread(function, candidate, context, argument)
        return await found if inspect.isawaitable(found) else found

    return in_thread


def known_validators() -> tuple[Validator, ...]:
    """Every validator, the cheapest first; installed ones that are broken with their problem."""
    _load_built_in()
    found = [_loaded(plugin) for plugin in plugins.installed()]
    broken = [entry for entry in found if entry.problem]
    return tuple(sorted([*_validators.values(), *broken], key=lambda entry: entry.rank))


def known_kinds() -> frozenset[str]:
    """The kinds of all validators; no installed one is imported."""
    _load_built_in()
    return frozenset([*_validators, *(plugin.kind for plugin in plugins.installed())])


def known(check: Check) -> Validator:
    """The validator of this kind; of installed ones no other is imported. Raises UsageError."""
    _load_built_in()
    if check.kind in _validators:
        return _validators[check.kind]
    for plugin in plugins.installed():
        if plugin.kind == check.kind:
            return _loaded(plugin)
    every = known_validators()
    near = difflib.get_close_matches(check.kind, [entry.kind for entry in every], n=1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    forms = ", ".join(entry.form for entry in every)
    raise UsageError(f"unknown check {check.spec!r}.{guess} Checks are: {forms}.")


def _loaded(plugin: plugins.Plugin) -> Validator:
    """The installed validator, imported; one that only has a problem if that does not work."""
    global _source
    taken = _validators.get(plugin.kind)
    if taken is not None and taken.source == plugin.source:
        return taken
    _source = plugin.source
    try:
        if taken is not None:
            raise ValueError(f"there is a validator {plugin.kind!r} already, {taken.source}")
        plugin.entry_point.load()
        if plugin.kind not in _validators:
            raise ValueError(f"{plugin.entry_point.value} registers no validator {plugin.kind!r}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - another's code; it becomes its verdict
        return _broken(plugin, f"{plugin.source} cannot be used: {_describe(error)}")
    finally:
        _source = BUILT_IN
    return _validators[plugin.kind]


def _broken(plugin: plugins.Plugin, problem: str) -> Validator:
    async def validate(_candidate: Candidate, _context: CheckContext, _argument: str) -> Verdict:
        return Verdict(validator=plugin.kind, result="error", evidence=problem)

    return Validator(
        kind=plugin.kind,
        form=plugin.kind,
        rank=_LATE,
        validate=validate,
        check_argument=accept_any,
        runs=1,
        source=plugin.source,
        problem=problem,
    )


def parse_check(spec: str) -> Check:
    """`syntax`, `tests:tests/test_api.py` and the like.

    Raises UsageError naming the nearest known kind and the forms that are accepted.
    """
    kind, separator, argument = spec.partition(":")
    check = Check(kind=kind.strip(), argument=argument.strip())
    form = known(check).form
    if separator and not check.argument:
        raise UsageError(f"check {spec!r}: nothing follows the colon; write {form}.")
    return check


def check_arguments(check: Check, base: Path) -> None:
    """Refuse, before any model is called, a check that cannot work in the project at `base`.

    Raises UsageError: a tests path or schema file that does not exist or lies outside the project,
    a language that is not known, an empty command, a limit that is not a number, a validator that
    is installed and broken.
    """
    entry = known(check)
    if entry.problem:
        raise UsageError(f"check {check.spec!r}: {entry.problem}.")
    try:
        entry.check_argument(check.argument, base)
    except UsageError:
        raise
    except Exception as error:
        if entry.source == BUILT_IN:
            raise
        raise UsageError(f"check {check.spec!r}: {entry.source}: {_describe(error)}.") from error


def cheapest_first(checks: Sequence[Check]) -> list[Check]:
    """The checks in the order in which they are run."""
    return sorted(checks, key=lambda check: known(check).rank)


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _load_built_in() -> None:
    """Import the built-in validators, late: parsers and pytest's XML are not for `rung --help`."""
    import rung.validation.checks  # pyright: ignore[reportUnusedImport]  # noqa: F401
