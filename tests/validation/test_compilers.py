"""`compile[:LANG]`: real toolchains, in the sandbox."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from rung.validation.checks.toolchains import TOOLCHAINS
from tests.validation.conftest import Project

# name, accepted, refused although it parses (where the language allows that)
PROGRAMS = {
    "javascript": ("a.js", "const a = 1;\n", "const a = 1; const a = 2;\n"),
    "java": ("A.java", "public class A { int a = 1; }\n", 'class A { int a = "x"; }\n'),
    "rust": ("a.rs", "pub fn f() -> i32 { 1 }\n", 'pub fn f() -> i32 { "x" }\n'),
    "c": ("a.c", "#include <stdio.h>\nint f(void) { return 1; }\n", "int f(void) { return x; }\n"),
    "cpp": ("a.cpp", "#include <string>\nstd::string s;\n", "int f() { return x; }\n"),
    "bash": ("a.sh", "for a in b; do echo; done\n", "for a in b; do echo\n"),
    "go": ("a.go", "package a\n\nfunc f() {}\n", "package a\n\nfunc f( {}\n"),
    "ruby": ("a.rb", "def f\nend\n", "def f\n"),
    "typescript": ("a.ts", "export const a: number = 1;\n", 'const a: number = "x";\n'),
}


def skip_without(language: str) -> None:
    if shutil.which(TOOLCHAINS[language].tool) is None:
        pytest.skip(f"{TOOLCHAINS[language].tool} is not installed")


@pytest.mark.parametrize("language", PROGRAMS)
async def test_what_the_compiler_accepts_passes(project: Project, language: str) -> None:
    skip_without(language)
    name, good, _ = PROGRAMS[language]
    verdict = await project.check("compile", {f"some folder/{name}": good})
    assert verdict.result == "pass", verdict.evidence
    verdict = await project.check_text("compile", f"```{language}\n{good}```\n")
    assert verdict.result == "pass", verdict.evidence


@pytest.mark.parametrize("language", PROGRAMS)
async def test_what_the_compiler_refuses_fails_with_its_words(
    project: Project, language: str
) -> None:
    skip_without(language)
    name, _, bad = PROGRAMS[language]
    verdict = await project.check("compile", {name: bad})
    assert verdict.result == "fail"
    assert name in verdict.evidence
    assert str(project.scratch) not in verdict.evidence


async def test_a_missing_toolchain_is_not_a_pass(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        TOOLCHAINS, "c", dataclasses.replace(TOOLCHAINS["c"], tool="no-such-compiler")
    )
    verdict = await project.check("compile", {"a.py": "x = 1\n", "a.c": "int a;\n"})
    assert verdict.result == "unavailable"
    assert "no-such-compiler is not installed" in verdict.evidence


async def test_python_is_compiled_but_never_run(project: Project) -> None:
    code = "open('ran', 'w').close()\n"
    assert (await project.check("compile", {"a.py": code})).result == "pass"
    assert not (project.scratch / "ran").exists()
    verdict = await project.check("compile:python", {"a.py": "def f(a, a): pass\n"})
    assert verdict.result == "fail"
    assert "a.py:1:" in verdict.evidence


async def test_modules_in_javascript_are_modules(project: Project) -> None:
    skip_without("javascript")
    good = "import fs from 'fs';\nexport const a = fs;\n"
    assert (await project.check("compile", {"a.js": good})).result == "pass"
    assert (await project.check("compile", {"a.js": good + "const a = 2;\n"})).result == "fail"


async def test_a_package_is_left_to_its_own_build(project: Project) -> None:
    project.add("Cargo.toml", "[package]\n")
    verdict = await project.check("compile", {"src/lib.rs": "use crate::x;\n"})
    assert verdict.result == "unavailable"
    assert "cmd:cargo check --offline" in verdict.evidence


async def test_one_language_that_fails_is_enough(project: Project) -> None:
    verdict = await project.check("compile", {"a.py": "x = 1\n", "b.json": "{"})
    assert verdict.result == "fail"


async def test_nothing_to_compile_is_not_a_pass(project: Project) -> None:
    assert (await project.check("compile", {"a.yaml": "a: 1"})).result == "unavailable"
    assert (await project.check_text("compile", "words")).result == "unavailable"


async def test_a_name_that_looks_like_an_option_is_a_file(project: Project) -> None:
    skip_without("bash")
    verdict = await project.check("compile", {"-c.sh": "if\n"})
    assert verdict.result == "fail"
    assert "-c.sh" in verdict.evidence


async def test_a_source_cannot_make_the_compiler_read_secrets(project: Project) -> None:
    skip_without("c")
    secret = project.base.parent / "secret"
    secret.write_text("the secret")
    verdict = await project.check("compile", {"a.c": f'#include "{secret}"\n'})
    assert verdict.result == "fail"
    assert "the secret" not in verdict.evidence
