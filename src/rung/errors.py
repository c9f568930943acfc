"""One error taxonomy. Every message says what went wrong and what the user can do about it."""

from __future__ import annotations

from typing import Literal

EngineErrorKind = Literal[
    "unconfigured",
    "unreachable",
    "timeout",
    "unauthorized",
    "rate_limited",
    "overloaded",
    "model_missing",
    "model_not_loaded",
    "out_of_memory",
    "context_overflow",
    "bad_request",
    "bad_output",
    "refused",
    "cancelled",
    "over_budget",
    "server_error",
]


class RungError(Exception):
    """Base of all errors that Rung raises on purpose; the CLI exits with `exit_status`."""

    exit_status = 1


class UsageError(RungError):
    """The caller asked for what cannot be: bad arguments, a missing file, a bad schema."""

    exit_status = 2


class ConfigError(UsageError):
    """`rung.toml` or an environment variable is wrong; the message names file, key and mend."""


class SchemaError(UsageError):
    """What was given as a JSON Schema is not one, or cannot be compiled for an engine."""


class ModelError(RungError):
    """A model could not be fetched, verified, stored or removed."""


class LedgerError(RungError):
    """The ledger cannot be read or written where the caller needs it to be (review, reports)."""


class SandboxUnavailable(RungError):  # noqa: N818 (a state, as much as an error)
    """No sandbox works on this machine, so code that a model wrote is not run."""


class EngineError(RungError):
    """A model call failed. Retry and fallback are decided by `kind`, never by the text.

    `status` is the HTTP status where there was one; `retry_after_s` is what the engine asked for.
    `was_sent` is false where no connection came about, so that nothing can be billed.
    """

    def __init__(
        self,
        kind: EngineErrorKind,
        message: str,
        *,
        engine: str,
        model: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
        was_sent: bool = True,
    ) -> None:
        super().__init__(message)
        self.kind: EngineErrorKind = kind
        self.message = message
        self.engine = engine
        self.model = model
        self.status = status
        self.retry_after_s = retry_after_s
        self.was_sent = was_sent

    def __str__(self) -> str:
        where = f"{self.engine}/{self.model}" if self.model else self.engine
        return f"{where}: {self.kind}: {self.message}"
