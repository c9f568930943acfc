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
    tool = "node" if language == "javascript" else TOOLCHAINS[language].tool
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")


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


# What tree-sitter accepts, and the language's own front end does not.
BLIND_SPOTS = {
    "java": (
        "class A { void f() { int a; int a; } }\n",
        "class A { int f() { } }\n",
        "class A { void f() { break; } }\n",
        "class A extends A { }\n",
        "class A { final int a; }\n",
    ),
    "rust": (
        "fn f(a: i32, a: i32) {}\n",
        "fn f() -> i32 { }\n",
        "fn f() { break; }\n",
        "struct A; struct A;\n",
        "fn f() { let a; a }\n",
        "pub fn f() { g(); }\n",
    ),
    "c": (
        "int f(void) { break; }\n",
        "int f(int a) { int a; return a; }\n",
        "int f(void) { goto nowhere; }\n",
        "const int a = 1; void f(void) { a = 2; }\n",
        "struct a { int b; int b; };\n",
        "int f(void) { case 1: return 1; }\n",
    ),
    "cpp": (
        "class A { int a; int a; };\n",
        "void f() { break; }\n",
        "int f() { const int a = 1; a = 2; return a; }\n",
        "template <class T> void f(T a) { T a; }\n",
    ),
}


@pytest.mark.parametrize("language", BLIND_SPOTS)
async def test_what_tree_sitter_does_not_see_the_compiler_refuses(
    project: Project, language: str
) -> None:
    skip_without(language)
    name = PROGRAMS[language][0]
    for code in BLIND_SPOTS[language]:
        assert (await project.check("syntax", {name: code})).result == "pass", code
        assert (await project.check("compile", {name: code})).result == "fail", code


# A file that does not compile here, as something of the project's is not there.
UNCOMPILED = {
    "c": ("a.c", "int f(void) { return generated; }\n", "int g(void) { return wrong; }\n"),
    "cpp": ("a.cpp", '#include "generated.h"\n', "int g() { return wrong; }\n"),
    "java": ("A.java", "class A { Generated a; }\n", "class B { int a = wrong; }\n"),
    "rust": ("a.rs", "pub fn f() { generated::f(); }\n", "pub fn g() { wrong(); }\n"),
    "typescript": ("a.ts", 'import a from "generated";\na();\n', "wrong();\n"),
}


@pytest.mark.parametrize("language", UNCOMPILED)
async def test_an_error_that_the_project_has_is_not_the_candidates_fault_nor_a_pass(
    project: Project, language: str
) -> None:
    skip_without(language)
    name, old, wrong = UNCOMPILED[language]
    project.add(name, old)
    verdict = await project.check("compile", {name: f"\n\n{old}"})
    assert verdict.result == "unavailable", verdict.evidence
    assert "the project has without it" in verdict.evidence
    if language != "cpp":  # a missing header is the last thing that a compiler sees
        verdict = await project.check("compile", {name: f"{old}{wrong}"})
        assert verdict.result == "fail"
        assert "wrong" in verdict.evidence
        assert "generated" not in verdict.evidence.lower()


async def test_a_file_that_the_project_does_not_have_must_compile(project: Project) -> None:
    skip_without("c")
    name, old, _ = UNCOMPILED["c"]
    project.add(name, old)
    assert (await project.check("compile", {"b.c": old})).result == "fail"


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


async def test_what_shows_only_that_it_parses_is_never_excused(project: Project) -> None:
    skip_without("bash")
    project.add("a.sh", "if\n")
    project.add("a.py", "if\n")
    assert (await project.check("compile", {"a.sh": "if\n"})).result == "fail"
    assert (await project.check("compile", {"a.py": "if\n"})).result == "fail"


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
