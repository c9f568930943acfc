"""The compilers that `compile` can call, as data, and where their installation lies."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rung.validation.sandbox.confinement import is_system_path


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """How to check files of one language without running them.

    `options` follow the tool, `{out}` in them is a writable folder, and the files come last.
    `one_at_a_time` where the tool looks only at its first file. `sysroot` asks a front (rustup's)
    where the real tools are. Projects that have one of `package_files` can only be checked by
    their own build: `instead` is the check to use there.
    """

    language: str
    tool: str
    options: tuple[str, ...]
    one_at_a_time: bool = False
    sysroot: tuple[str, ...] = ()
    package_files: tuple[str, ...] = ()
    instead: str = ""
    suffixes: tuple[str, ...] = ()


_ALL = (
    Toolchain(
        language="javascript",
        tool="node",
        options=("--check",),
        one_at_a_time=True,
        suffixes=(".js", ".mjs", ".cjs"),
    ),
    *(
        Toolchain(
            language=language,
            tool="tsc",
            options=("--noEmit", "--skipLibCheck", "--target", "es2022", "--jsx", "preserve"),
            package_files=("tsconfig.json",),
            instead="cmd:npx tsc --noEmit",
        )
        for language in ("typescript", "tsx")
    ),
    Toolchain(
        language="java",
        tool="javac",
        options=("-proc:none", "-d", "{out}", "-sourcepath", ".:src:src/main/java"),
        package_files=("pom.xml", "build.gradle", "build.gradle.kts"),
        instead="cmd:mvn -o -q compile",
    ),
    Toolchain(
        language="rust",
        tool="rustc",
        options=(
            *("--edition", "2021", "--crate-type", "lib", "--emit", "metadata"),
            *("--out-dir", "{out}", "-A", "warnings"),
        ),
        one_at_a_time=True,
        sysroot=("--print", "sysroot"),
        package_files=("Cargo.toml",),
        instead="cmd:cargo check --offline",
    ),
    *(
        Toolchain(
            language=language,
            tool=tool,
            options=("-fsyntax-only", "-w", "-I", ".", "-I", "include"),
        )
        for language, tool in (("c", "gcc"), ("cpp", "g++"))
    ),
    Toolchain(language="go", tool="gofmt", options=("-e", "-l")),
    Toolchain(language="bash", tool="bash", options=("-n",), one_at_a_time=True),
    Toolchain(language="ruby", tool="ruby", options=("-c",), one_at_a_time=True),
)

TOOLCHAINS = {chain.language: chain for chain in _ALL}


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A tool that is there: how to start it, and what the sandbox must be able to read."""

    command: tuple[str, ...]
    readable: tuple[Path, ...]


def find_installed(chain: Toolchain, base: Path) -> Installed | None:
    """The toolchain on PATH (or the project's `node_modules`), or `None`."""
    local = base / "node_modules" / ".bin" / chain.tool
    found = str(local) if local.exists() else shutil.which(chain.tool)
    if found is None:
        return None
    tool = Path(found).resolve()
    if chain.sysroot:
        root = _ask(found, chain.sysroot)
        tool = Path(root, "bin", chain.tool) if root else tool
    if chain.tool != "tsc":
        return Installed(command=(str(tool),), readable=_installation(tool))
    node = shutil.which("node")
    if node is None:
        return None
    package = tool.parent.parent
    readable = (package, *_installation(Path(node).resolve()))
    return Installed(command=(node, str(tool)), readable=readable)


def _installation(tool: Path) -> tuple[Path, ...]:
    """The tool's own prefix; only the file where the prefix holds more than the tool's."""
    if is_system_path(tool):
        return ()
    prefix = tool.parent.parent if tool.parent.name == "bin" else tool.parent
    home = Path.home()
    shared = {home / ".local", home / ".cargo", Path("/opt"), *home.parents, home}
    return (tool,) if prefix in shared else (prefix,)


def _ask(tool: str, arguments: tuple[str, ...]) -> str:
    answer = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=20)
    return answer.stdout.strip() if answer.returncode == 0 else ""
