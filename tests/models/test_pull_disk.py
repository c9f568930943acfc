"""Pulls onto disks that are full, fill up, or are read-only: real ones, in a mount namespace."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec
import pytest

from rung.models.catalogue import CatalogueModel, HubSource
from tests.fakes.hub import COMMIT, FakeHub
from tests.models.builders import JOB_ONLY
from tests.models.conftest import Package
from tests.models.hub import FILE, GGUF, REPO
from tests.models.pull_child import COMMAND, ROOT

MOUNT = 'mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"'


@cache
def can_mount() -> bool:
    trial = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /tmp"]
    try:
        return subprocess.run(trial, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


needs_mount = pytest.mark.skipif(
    not can_mount(), reason="`unshare -rm` is not allowed here, so no disk of a test's own"
)


def pull_in_child(
    entry: CatalogueModel,
    tmp_path: Path,
    models_dir: Path,
    before: Sequence[str] = (),
    fill_at: Sequence[str] = (),
) -> dict[str, object]:
    """Pull in a process started through the command `before`; what it says at its end."""
    described = tmp_path / "entry.json"
    described.write_bytes(msgspec.json.encode(entry))
    child = [*COMMAND, str(models_dir), str(described), *fill_at]
    done = subprocess.run([*before, *child], stdout=subprocess.PIPE, check=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


def pull_on_disk(
    entry: CatalogueModel, tmp_path: Path, options: str, *fill_at: str
) -> dict[str, object]:
    """Pull into a fresh tmpfs mounted with `options`."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["unshare", "-rm", "sh", "-c", MOUNT, "sh", options, str(disk)]
    return pull_in_child(entry, tmp_path, disk / "models", mounted, fill_at)


@needs_mount
def test_too_little_space_is_seen_before_anything_is_downloaded(
    package: Package, tmp_path: Path, offline_pip: pytest.MonkeyPatch
) -> None:
    end = pull_on_disk(package.entry, tmp_path, "size=8m")
    needed = 2 * package.wheel.stat().st_size + 16 * 1024 * 1024
    assert f"{needed:,} bytes are needed" in str(end["error"])
    assert re.search(r"8,3\d\d,\d\d\d are free", str(end["error"]))
    assert end["files"] == JOB_ONLY


@needs_mount
@pytest.mark.parametrize("phase", ["downloading", "extracting"])
def test_a_disk_that_fills_up_meanwhile_is_named_and_no_part_is_left(
    phase: str, package: Package, tmp_path: Path, offline_pip: pytest.MonkeyPatch
) -> None:
    end = pull_on_disk(package.entry, tmp_path, "size=64m", phase)
    assert "no space left for the models folder" in str(end["error"])
    assert "RUNG_MODELS_DIR" in str(end["error"])
    assert end["files"] == JOB_ONLY


@needs_mount
def test_a_disk_that_fills_up_pauses_a_download_and_space_lets_it_go_on(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.bytes_per_s = 8_000_000
    entry = CatalogueModel(
        id="tiny",
        title="Tiny",
        parameters=0,
        quantization="",
        context_tokens=0,
        file="tiny.gguf",
        size_bytes=len(GGUF),
        sha256=hashlib.sha256(GGUF).hexdigest(),
        source=HubSource(repo=REPO, path=FILE, revision=COMMIT),
    )
    end = pull_on_disk(entry, tmp_path, "size=32m", "downloading", hub.url)
    assert "no space left for the models folder" in str(end["error"])
    assert end["states"] in (["paused"], ["interrupted"])
    assert str(end["installed"]).endswith("tiny/tiny.gguf")
    assert hub.sent_bytes <= len(GGUF) + (1 << 20)


@needs_mount
def test_a_read_only_folder_is_named_with_the_setting_that_moves_it(
    package: Package, tmp_path: Path, offline_pip: pytest.MonkeyPatch
) -> None:
    end = pull_on_disk(package.entry, tmp_path, "ro")
    assert f"cannot write to the models folder {tmp_path}/disk/models" in str(end["error"])
    assert "RUNG_MODELS_DIR" in str(end["error"])


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None,
    reason="permissions do not bind root, and there is no `setpriv` to give its powers up",
)
def test_a_folder_without_permission_is_named_with_the_setting_that_moves_it(
    package: Package, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    home.chmod(0o555)
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    end = pull_in_child(package.entry, tmp_path, home / "models", powerless)
    assert f"cannot write to the models folder {home}/models: Permission denied" in str(
        end["error"]
    )
    assert "RUNG_MODELS_DIR" in str(end["error"])


def test_a_file_in_the_place_of_the_folder_is_named(package: Package, tmp_path: Path) -> None:
    (tmp_path / "disk").write_text("")
    end = pull_in_child(package.entry, tmp_path, tmp_path / "disk/models")
    assert f"cannot write to the models folder {tmp_path}/disk/models" in str(end["error"])
