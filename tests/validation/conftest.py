"""What the tests of validators share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from rung.config.settings import SandboxSettings
from rung.validation import Candidate, CheckContext, Verdict, parse_check, run_checks


class Project:
    """A user's project on disk, and a scratch copy of it with a candidate's files laid over."""

    def __init__(self, folder: Path) -> None:
        self.base, self.scratch = folder / "project", folder / "scratch"
        self.base.mkdir()
        self.scratch.mkdir()
        self.sandbox = SandboxSettings(timeout_s=30.0)

    @property
    def context(self) -> CheckContext:
        return CheckContext(base=self.base, scratch=self.scratch, sandbox=self.sandbox)

    def add(self, name: str, text: str) -> None:
        """A file of the user's, in the project and in its copy."""
        for folder in (self.base, self.scratch):
            write(folder / name, text)

    def candidate(self, files: Mapping[str, str]) -> Candidate:
        for name, text in files.items():
            path = self.scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", "replace"))
        return Candidate(text="", files=files)

    async def check(self, spec: str, files: Mapping[str, str]) -> Verdict:
        [verdict] = await run_checks([parse_check(spec)], self.candidate(files), self.context)
        return verdict

    async def check_text(self, spec: str, text: str) -> Verdict:
        candidate = Candidate(text=text, files={})
        [verdict] = await run_checks([parse_check(spec)], candidate, self.context)
        return verdict


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
