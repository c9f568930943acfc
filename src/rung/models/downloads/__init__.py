"""Downloads as jobs: they can be watched, paused, resumed and cancelled from any process."""

from __future__ import annotations

from rung.models.downloads.downloads import Downloads
from rung.models.downloads.job import Job, JobState
from rung.models.downloads.updates import OnUpdate

__all__ = ["Downloads", "Job", "JobState", "OnUpdate"]
