"""Where code that a model wrote runs: no network, one writable folder, bounded in every way."""

from rung.validation.sandbox.runner import SandboxResult, SandboxStatus, describe, run

__all__ = ["SandboxResult", "SandboxStatus", "describe", "run"]
