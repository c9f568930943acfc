"""The compilers that `compile` can call, as data, and where their installation lies."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rung.validation.installed import installation
from rung.validation.type_tools import TSC_DIAGNOSTIC


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """How to check files of one language without running them.

    `options` follow the tool, `{out}` in them is a writable folder, and the files come last.
    `one_at_a_time` where the tool looks only at its first file. `sysroot` asks a front (rustup's)
    where the real tools are. Projects that have one of `package_files` can only be checked by
    their own build: `instead` is the check to use there. `diagnostic` finds the errors in what it
    prints, so that those which the project has itself can be told apart; an `is_parser` looks at
    the syntax alone, which has no such excuse.
    """

    language: str
    tool: str
    options: tuple[str, ...]
    one_at_a_time: bool = False
    sysroot: tuple[str, ...] = ()
    package_files: tuple[str, ...] = ()
    instead: str = ""
    diagnostic: re.Pattern[str] | None = None
    is_parser: bool = False


# `a.c:3:5: error: words`, as gcc, rustc and javac (without a column) write it
_COLONS = re.compile(
    r"(?P<path>[^\s:][^:]*):(?P<line>\d+):(?:\d+:)? (?:fatal )?error(?:\[(?P<rule>\w+)\])?: "
    r"(?P<message>.*)"
)

_ALL = (
    *(
        Toolchain(
            language=language,
            tool="tsc",
            options=("--noEmit", "--skipLibCheck", "--target", "es2022", "--jsx", "preserve"),
            package_files=("tsconfig.json",),
            instead="types:tsc",
            diagnostic=TSC_DIAGNOSTIC,
        )
        for language in ("typescript", "tsx")
    ),
    Toolchain(
        language="java",
        tool="javac",
        options=("-proc:none", "-d", "{out}", "-sourcepath", ".:src:src/main/java"),
        package_files=("pom.xml", "build.gradle", "build.gradle.kts"),
        instead="cmd:mvn -o -q compile",
        diagnostic=_COLONS,
    ),
    Toolchain(
        language="rust",
        tool="rustc",
        options=(
            *("--edition", "2021", "--crate-type", "lib", "--emit", "metadata"),
            *("--out-dir", "{out}", "-A", "warnings", "--error-format", "short"),
        ),
        one_at_a_time=True,
        sysroot=("--print", "sysroot"),
        package_files=("Cargo.toml",),
        instead="cmd:cargo check --offline",
        diagnostic=_COLONS,
    ),
    *(
        Toolchain(
            language=language,
            tool=tool,
            options=("-fsyntax-only", "-w", "-I", ".", "-I", "include"),
            diagnostic=_COLONS,
        )
        for language, tool in (("c", "gcc"), ("cpp", "g++"))
    ),
    Toolchain(language="go", tool="gofmt", options=("-e", "-l"), is_parser=True),
    Toolchain(language="bash", tool="bash", options=("-n",), one_at_a_time=True, is_parser=True),
    Toolchain(language="ruby", tool="ruby", options=("-c",), one_at_a_time=True, is_parser=True),
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
        return Installed(command=(str(tool),), readable=installation(tool))
    node = shutil.which("node")
    if node is None:
        return None
    package = tool.parent.parent
    readable = (package, *installation(Path(node).resolve()))
    return Installed(command=(node, str(tool)), readable=readable)


def _ask(tool: str, arguments: tuple[str, ...]) -> str:
    answer = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=20)
    return answer.stdout.strip() if answer.returncode == 0 else ""
