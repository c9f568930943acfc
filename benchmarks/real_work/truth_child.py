"""Runs inside the sandbox: a job on stdin, one `[visible, hidden, why]` for each tree on stdout."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import signal
import sys
import tempfile
from pathlib import Path


def main() -> None:
    job = json.load(sys.stdin)
    found = []
    for number, tree in enumerate(job["trees"]):
        root = Path(f"tree{number}").resolve()
        for name, text in tree.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        passed = [passes(root, job[suite], job) for suite in ("visible", "hidden")]
        found.append([passed[0] == "", passed[1] == "", passed[0] or passed[1]])
    print(json.dumps(found))


def passes(root: Path, modules: list[str], job: dict) -> str:
    """Empty if every test function of these modules ran and passed; else what did not."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        run(root, modules, job, write)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    if job["token"] in said:
        return ""
    return said or ("took too long" if os.WIFSIGNALED(status) else "ended before its tests did")


def run(root: Path, modules: list[str], job: dict, write: int) -> None:
    # CPU time, so that a busy machine changes nothing; the alarm is for what only waits.
    signal.setitimer(signal.ITIMER_PROF, job["cpu_s"])
    signal.alarm(10 * job["cpu_s"])
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    os.chdir(root)
    sys.path.insert(0, str(root))
    test = ""
    try:
        for module in modules:
            test = module
            sys.path.insert(0, str((root / module).parent))
            loaded = importlib.import_module(Path(module).stem)
            for test, function in list(vars(loaded).items()):
                if test.startswith("test_") and callable(function):
                    call(function)
    except BaseException as error:  # noqa: BLE001 - whatever ends a test is its failure
        os.write(write, f"{test}: {type(error).__name__}: {error}"[:300].encode())
        return
    os.write(write, job["token"].encode())


def call(function) -> None:
    wants_folder = "tmp_path" in inspect.signature(function).parameters
    if wants_folder:
        function(tmp_path=Path(tempfile.mkdtemp(dir=".")).resolve())
    else:
        function()


if __name__ == "__main__":
    main()
