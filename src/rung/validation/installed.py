"""Where an installed tool lies, and what the sandbox must show for it to run."""

from __future__ import annotations

from pathlib import Path

from rung.validation.sandbox.confinement import is_system_path


def installation(tool: Path) -> tuple[Path, ...]:
    """The tool's own prefix; only the file where the prefix holds more than the tool's."""
    if is_system_path(tool):
        return ()
    prefix = tool.parent.parent if tool.parent.name == "bin" else tool.parent
    home = Path.home()
    shared = {home / ".local", home / ".cargo", Path("/opt"), *home.parents, home}
    return (tool,) if prefix in shared else (prefix,)
