"""`syntax[:LANG]`."""

from __future__ import annotations

import shutil

import pytest

from rung.validation.languages import LANGUAGES
from rung.validation.sources import sources_of
from rung.validation.verdict import Candidate
from tests.validation.conftest import Project

# One program that parses and one that does not, in each language; and the line of the error.
PROGRAMS = {
    "python": ("a.py", "def f(a):\n    return a\n", "def f(a):\nreturn a\n", 2),
    "javascript": ("a.js", "const f = (a) => a;\n", "const f = (a => ];\n", 1),
    "typescript": ("a.ts", "const a: number = 1;\n", "const a: = 1;\n", 1),
    "tsx": ("a.tsx", "const a = <b>x</b>;\n", "const a = <b>x</c;\n", 1),
    "go": ("a.go", "package a\n\nfunc f() int { return 1 }\n", "package a\n\nfunc f( {\n", 3),
    "rust": ("a.rs", "fn f() -> i32 { 1 }\n", "fn f() -> { 1 }\n", 1),
    "java": ("A.java", "class A { int f() { return 1; } }\n", "class A { int f( { } }\n", 1),
    "c": ("a.c", "int f(void) { return 1; }\n", "int f(void) { return 1 }\n", 1),
    "cpp": ("a.cpp", "class A { int a; };\n", "class A { int a };\n", 1),
    "bash": ("a.sh", "if true; then echo a; fi\n", "if true; then\necho a\n", 3),
    "json": ("a.json", '{"a": [1, 2]}\n', '{"a": [1, 2}\n', 1),
    "yaml": ("a.yaml", "a:\n  - 1\n", "a: [1, 2\nb: }\n", 1),
    "ruby": ("a.rb", "def f(a)\n  a\nend\n", "def f(a\n  a\n", 1),
    "c_sharp": ("a.cs", "class A { int F() { return 1; } }\n", "class A { int F( { } }\n", 1),
}


def test_every_language_is_tried() -> None:
    assert PROGRAMS.keys() == {language.name for language in LANGUAGES}


@pytest.mark.parametrize("language", PROGRAMS)
async def test_a_program_that_parses_passes(project: Project, language: str) -> None:
    name, good, _, _ = PROGRAMS[language]
    verdict = await project.check("syntax", {name: good})
    assert verdict.result == "pass", verdict.evidence
    verdict = await project.check_text(f"syntax:{language}", good)
    assert verdict.result == "pass", verdict.evidence


@pytest.mark.parametrize("language", PROGRAMS)
async def test_an_error_is_shown_with_its_place(project: Project, language: str) -> None:
    name, _, bad, line = PROGRAMS[language]
    verdict = await project.check("syntax", {name: bad})
    assert verdict.result == "fail"
    assert f"{name}:{line}:" in verdict.evidence, verdict.evidence


# What tree-sitter accepts and the language's own parser does not.
ONLY_CPYTHON_REFUSES = (
    "if True:\npass\n",
    "x = 1\n  y = 2\n",
    "for x in y:\n",
    'def f():\n"""doc"""\n',
    "try:\n  pass\n",
    "def f(a, a): pass\n",
    "def f(a=1, b): pass\n",
    "def f(*): pass\n",
    "return 1\n",
    "yield 1\n",
    "break\n",
    "print 'hello'\n",
    "def f():\n    # only a comment\n",
    "x = '\x00'\n",
    "await f()\n",
    "f(a=1, a=2)\n",
    "f(**a, *b)\n",
    "def f():\n    x = 1\n    global x\n",
    "nonlocal x\n",
    "*a, *b = c\n",
    "0777\n",
    "b'é'\n",
    "x := 1\n",
    "match x:\n    case a: pass\n    case b: pass\n",
    "x = 1\nfrom __future__ import annotations\n",
)
ONLY_NODE_REFUSES = (
    "const a = 1; const a = 2;\n",
    "let a; var a;\n",
    "const a;\n",
    "await f();\n",
    "function f() { await g(); }\n",
    "break;\n",
    "'use strict'; with (a) {}\n",
    "'use strict'; function f(a, a) {}\n",
    "a: a: 1;\n",
    "class A { constructor() {} constructor() {} }\n",
    "class A { #x; #x; }\n",
    "x = { __proto__: 1, __proto__: 2 };\n",
    "x?.y = 1;\n",
    "/(/;\n",
    "export const a = 1; export const a = 2;\n",
    "import { a } from 'b'; const a = 1;\n",
)


@pytest.mark.parametrize("code", ONLY_CPYTHON_REFUSES)
async def test_python_that_only_cpython_refuses_fails(project: Project, code: str) -> None:
    assert (await project.check("syntax:python", {"a.py": code})).result == "fail"
    assert (await project.check_text("syntax", f"```python\n{code}```\n")).result == "fail"


@pytest.mark.parametrize("code", ONLY_NODE_REFUSES)
async def test_javascript_that_only_node_refuses_fails(project: Project, code: str) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    verdict = await project.check("syntax", {"a.js": code})
    assert verdict.result == "fail"
    assert "a.js:1:" in verdict.evidence
    assert (await project.check("compile", {"a.js": code})).result == "fail"


async def test_javascript_is_a_module_or_a_script_as_node_takes_it(project: Project) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    top_level_await, sloppy = "await f();\n", "with (a) {}\nreturn;\n"
    assert (await project.check("syntax", {"a.mjs": top_level_await})).result == "pass"
    assert (await project.check("syntax", {"a.cjs": top_level_await})).result == "fail"
    assert (await project.check("syntax", {"a.js": sloppy})).result == "pass"
    assert (await project.check("syntax", {"a.mjs": sloppy})).result == "fail"
    project.add("pkg/package.json", '{"type": "module"}')
    assert (await project.check("syntax", {"pkg/src/a.js": top_level_await})).result == "pass"
    assert (await project.check("syntax", {"other/a.js": top_level_await})).result == "fail"


@pytest.mark.parametrize("name", ["a.js", "a.jsx"])
async def test_jsx_is_left_to_tree_sitter(project: Project, name: str) -> None:
    good = "const a = <b c={1}>x</b>;\n"
    assert (await project.check("syntax", {name: good})).result == "pass"
    assert (await project.check("syntax", {name: "const a = <b>x</c;\n"})).result == "fail"
    assert (await project.check("compile", {name: good})).result == "unavailable"


async def test_where_tree_sitter_refuses_too_much_the_shell_has_the_last_word(
    project: Project,
) -> None:
    loop = "for f in *.{a,b}; { echo; }\n"
    assert (await project.check("syntax", {"a.sh": loop})).result == "pass"
    assert (await project.check("syntax", {"a.sh": loop + "if\n"})).result == "fail"


async def test_blocks_of_an_answer_go_by_their_tag(project: Project) -> None:
    answer = "Sure:\n```py\nx = 1\n```\nand\n~~~~js\nconst a = ;\n~~~~\n```\nnot code (\n```\n"
    verdict = await project.check_text("syntax", answer)
    assert verdict.result == "fail"
    assert verdict.evidence.startswith("block 2:1:")
    assert (await project.check_text("syntax:python", "```py\nx = 1\n```\n")).result == "pass"


async def test_a_block_that_never_ends_is_still_checked(project: Project) -> None:
    assert (await project.check_text("syntax", "```python\ndef f(:\n")).result == "fail"


async def test_nothing_to_check_is_not_a_pass(project: Project) -> None:
    assert (await project.check_text("syntax", "Just words.")).result == "unavailable"
    assert (await project.check("syntax", {"notes.txt": "x"})).result == "unavailable"
    assert (await project.check("syntax:go", {"a.py": "x = 1"})).result == "unavailable"


@pytest.mark.parametrize("language", sorted(PROGRAMS))
@pytest.mark.parametrize(
    "text",
    ["\x00\ud800\udfff\ufeff", "(" * 50_000, '{"a":' * 10_000, "x" * 3_000_000],
    ids=["not text", "parentheses", "objects", "one long line"],
)
async def test_hostile_text_gets_a_verdict(project: Project, language: str, text: str) -> None:
    name = PROGRAMS[language][0]
    verdict = await project.check("syntax", {name: text})
    assert verdict.result in ("pass", "fail"), verdict.evidence


async def test_text_that_parses_too_slowly_fails(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.validation.checks.tree._LONGEST_PARSE_S", 0.05)
    verdict = await project.check("syntax", {"a.cpp": '{"a":' * 100_000})
    assert verdict.result == "fail"
    assert "parsing took over" in verdict.evidence
    assert (await project.check("syntax", {"a.cpp": "int a;\n"})).result == "pass"


@pytest.mark.parametrize("code", ["-" * 300_000 + "1", "x=" * 100_000 + "1", "a" + ".b" * 200_000])
async def test_python_that_exhausts_the_compiler_gets_a_verdict(
    project: Project, code: str
) -> None:
    verdict = await project.check("syntax", {"a.py": code})
    assert verdict.result in ("pass", "fail"), verdict.evidence


def test_a_named_language_takes_files_without_a_known_extension() -> None:
    from rung.validation.languages import named

    python = named("Python")
    candidate = Candidate(text="", files={"bin/tool": "x = 1\n", "a.js": "1"})
    assert [source.name for source in sources_of(candidate, python)] == ["bin/tool"]
