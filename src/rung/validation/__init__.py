"""Validators, and the sandbox that they run in.

Importing this folder is cheap: parsers are loaded when the first check is parsed.
"""

from rung.validation.paths import UnsafePathError, safe_path
from rung.validation.registry import (
    Validator,
    check_arguments,
    known_validators,
    parse_check,
    validator,
)
from rung.validation.running import run_checks
from rung.validation.verdict import Candidate, Check, CheckContext, Judge, Judgement, Verdict
from rung.validation.workspace import Workspace, project_root

__all__ = [
    "Candidate",
    "Check",
    "CheckContext",
    "Judge",
    "Judgement",
    "UnsafePathError",
    "Validator",
    "Verdict",
    "Workspace",
    "check_arguments",
    "known_validators",
    "parse_check",
    "project_root",
    "run_checks",
    "safe_path",
    "validator",
]
