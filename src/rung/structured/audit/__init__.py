"""Find every schema of a project, and say what engines will not enforce, why, and the fix."""

from __future__ import annotations

from rung.structured.audit.audit import audit
from rung.structured.audit.finding import SCOPES, SEVERITIES, Finding, Report, Severity
from rung.structured.audit.markdown import as_markdown

__all__ = ["SCOPES", "SEVERITIES", "Finding", "Report", "Severity", "as_markdown", "audit"]
