"""Every validator in words: what it does, who brought it, whether it can run here."""

from __future__ import annotations

import inspect

import msgspec

from rung.config.settings import SandboxSettings
from rung.validation import sandbox
from rung.validation.registry import Validator, known_validators


class ValidatorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`problem` says why it cannot run here; `source` is `built in` or a package's version."""

    kind: str
    form: str
    description: str
    source: str
    problem: str
    rank: int


async def list_validators(settings: SandboxSettings) -> list[ValidatorInfo]:
    """In the order in which checks run. Installed validators are imported to see if they work."""
    status = await sandbox.describe(settings.kind)
    no_sandbox = "" if status.active else f"no sandbox works here: {'; '.join(status.reasons)}"
    return [
        ValidatorInfo(
            kind=entry.kind,
            form=entry.form,
            description=inspect.getdoc(entry.validate) or "",
            source=entry.source,
            problem=_problem(entry, no_sandbox),
            rank=entry.rank,
        )
        for entry in known_validators()
    ]


def _problem(entry: Validator, no_sandbox: str) -> str:
    return entry.problem or (no_sandbox if entry.needs == "sandbox" else "")
