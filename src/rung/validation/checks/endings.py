"""How a run in the sandbox ended, in words, when it did not end by itself."""

from __future__ import annotations

from rung.config.settings import SandboxSettings
from rung.validation.sandbox import SandboxResult
from rung.validation.verdict import Result, Verdict


def forced_end(kind: str, result: SandboxResult, settings: SandboxSettings) -> Verdict | None:
    """A verdict if the run had to be killed: `fail`, or `error` where others may be to blame."""
    reasons = {
        "timeout": f"did not finish within {settings.timeout_s:g} s",
        "memory": f"used more than {settings.memory_mib} MiB of memory",
        "disk": "stopped because the disk was filling up",
        "cancelled": "was cancelled",
    }
    if not result.killed_reason:
        return None
    verdict: Result = "fail" if result.killed_reason in ("timeout", "memory") else "error"
    evidence = f"{reasons[result.killed_reason]}\n{result.output[-2000:]}"
    return Verdict(validator=kind, result=verdict, evidence=evidence)


def exit_words(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
