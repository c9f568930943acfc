"""The same attacks once more, as a user without privileges; only where the tests run as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

import rung

SYSTEM_PYTHON = Path("/usr/bin/python3")
UID = 54_321  # nobody's


def runs_our_packages() -> bool:
    if not SYSTEM_PYTHON.exists():
        return False
    version = subprocess.run([SYSTEM_PYTHON, "-V"], capture_output=True, text=True).stdout.split()
    return version[1:] != [] and version[1].split(".")[:2] == [str(n) for n in sys.version_info[:2]]


@pytest.mark.skipif(os.geteuid() != 0, reason="the attacks ran as a normal user already")
@pytest.mark.skipif(
    not (shutil.which("setpriv") and runs_our_packages()),
    reason="needs setpriv and a Python of the same version that every user may run",
)
def test_a_normal_user_is_protected_as_well() -> None:
    packages = [Path(rung.__file__).parents[1], Path(sysconfig.get_path("purelib"))]
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        os.chown(home, UID, UID)
        attacks = shutil.copytree(Path(__file__).parent, Path(home, "attacks"))
        done = subprocess.run(
            [
                *("setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups"),
                *(SYSTEM_PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts="),
                *("-o", "asyncio_mode=auto", f"--rootdir={attacks}", f"--basetemp={home}/tmp"),
                *("-rs", str(attacks / "test_hostile.py")),
            ],
            env={
                "HOME": home,
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "PYTHONPATH": os.pathsep.join(map(str, packages)),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=home,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout, done.stdout[-3000:]
