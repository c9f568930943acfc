"""`cmd:COMMAND`: a shell command of the user's, run on the candidate."""

from __future__ import annotations

from pathlib import Path

from rung.errors import UsageError
from rung.validation import sandbox
from rung.validation.checks.endings import exit_words, forced_end
from rung.validation.interpreter import import_path, project_python
from rung.validation.registry import validator
from rung.validation.verdict import Candidate, CheckContext, Verdict

_TAIL_CHARACTERS = 3000


def check_command(argument: str, _base: Path) -> None:
    if not argument:
        raise UsageError("check 'cmd' needs a command: cmd:COMMAND.")


@validator(
    "cmd", form="cmd:COMMAND", rank=50, check_argument=check_command, of_files=True, needs="sandbox"
)
async def cmd(_candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`cmd:COMMAND`: the shell command ends with exit status 0.

    It runs in the sandbox, in a copy of the project with the candidate's files in place.
    """
    result = await run_shell(argument, context)
    forced = forced_end("cmd", result, context.sandbox)
    if forced is not None:
        return forced
    tail = result.output[-_TAIL_CHARACTERS:].strip()
    return Verdict(
        validator="cmd",
        result="pass" if result.exit_status == 0 else "fail",
        evidence=f"{exit_words(result.exit_status)}\n{tail}".strip(),
    )


async def run_shell(
    command: str, context: CheckContext, folder: Path | None = None
) -> sandbox.SandboxResult:
    """Run it in `folder`, a copy of the project; by default the scratch copy."""
    folder = folder or context.scratch
    return await sandbox.run(
        ["sh", "-c", command],
        cwd=folder,
        writable=[folder],
        settings=context.sandbox,
        python=project_python(context.base, context.sandbox),
        env=import_path(folder),
    )
