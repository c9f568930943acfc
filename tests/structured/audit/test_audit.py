"""The audit: what it finds in Python and JSON files, where, for whom, and what it leaves alone."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rung.structured.audit as audit_package
from rung.errors import UsageError
from rung.structured import compile_schema
from rung.structured.audit import SCOPES, Finding, Report, as_markdown, audit
from rung.structured.audit.imported import Imports
from rung.structured.audit.rules import rule_of, rules
from rung.structured.targets import TARGETS

AS_IS = Path(audit_package.__file__).with_name("as_is.toml")
MODELS = """
from __future__ import annotations
from enum import Enum
from typing import Annotated, Literal
from pydantic import BaseModel, Field

class Risk(str, Enum):
    low = "low"
    high = "high"

class Task(BaseModel):
    what: str = Field(description="A short title", max_length=10000)
    risk: Risk
    days: Annotated[float, Field(ge=0.5, le=400)]
    code: str = Field(pattern=r"^(?!x)a+$")

class Plan(BaseModel):
    title: str = Field(max_length=80)
    summary: str = ""
    tasks: list[Task] = Field(description="exactly 5 items", max_length=3)
    notes: dict[str, str]
    parent: Plan | None = None
    kind: Literal["a", "b"]
"""


def written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def audited(folder: Path, *names: str, **options: object) -> Report:
    return audit(names, folder=folder, **options)  # pyright: ignore


def of_rule(report: Report, rule: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule == rule]


def only(report: Report, rule: str) -> Finding:
    [finding] = of_rule(report, rule)
    return finding


def places(report: Report) -> set[tuple[str, int, str]]:
    return {(finding.rule, finding.line, finding.path) for finding in report.findings}


def line_of(text: str) -> int:
    return next(i for i, line in enumerate(MODELS.splitlines(), 1) if text in line)


def test_each_trap_of_a_model_is_found_at_its_field(tmp_path: Path) -> None:
    written(tmp_path, "models.py", MODELS)
    report = audited(tmp_path, "models.py", targets=["llamacpp", "outlines"])
    assert {
        ("note-contradicts", line_of("short title"), "Plan.tasks[].what"),
        ("note-contradicts", line_of("exactly 5"), "Plan.tasks"),
        ("reference", line_of("risk: Risk"), "Plan.tasks[].risk"),
        ("number-bounds", line_of("days:"), "Plan.tasks[].days"),
        ("pattern", line_of("code:"), "Plan.tasks[].code"),
        ("default", line_of("summary:"), "Plan.summary"),
        ("unbounded-string", line_of("summary:"), "Plan.summary"),
    } <= places(report)
    assert any(f.path.startswith("Plan.parent") for f in of_rule(report, "recursion"))
    assert not [f for f in report.findings if f.path in ("Plan.title", "Plan.kind")]
    assert {finding.file for finding in report.findings} == {"models.py"}


def test_a_part_that_is_met_again_in_a_recursion_is_reported_once(tmp_path: Path) -> None:
    written(tmp_path, "models.py", MODELS)
    report = audited(tmp_path, "models.py", targets=["openai"])
    assert not [f for f in report.findings if ".parent." in f.path]


def test_a_finding_names_the_engines_that_the_compiler_names(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "required": ["x"],
        "properties": {"x": {"type": "number", "minimum": 0.5, "maximum": 99_999}},
    }
    written(tmp_path, "s.json", json.dumps(schema))
    relaxing = {
        name
        for name in TARGETS
        if any(what.startswith("/x: ") for what in compile_schema(schema, name).relaxed)
    }
    named = {
        target
        for finding in of_rule(audited(tmp_path, "s.json"), "number-bounds")
        for target in finding.targets or TARGETS
    }
    assert named == relaxing
    assert "llamacpp" in named


def test_nothing_is_run_by_default(tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    written(tmp_path, "evil.py", f"open({str(proof)!r}, 'w').close()\n{MODELS}")
    assert audited(tmp_path, "evil.py").schemas == 1
    assert not proof.exists()


def test_importing_gives_the_schemas_of_pydantic_itself(tmp_path: Path) -> None:
    text = (
        "from pydantic import BaseModel, create_model\n"
        "print('noise on stdout')\n"
        "Part = create_model('Part', size=(float, ...))\n"
        "from decimal import Decimal\n"
        "class Whole(BaseModel):\n    name: str\n    part: Part\n    price: Decimal\n"
    )
    written(tmp_path, "pkg/__init__.py", "")
    written(tmp_path, "pkg/models.py", text)
    read = audited(tmp_path, "pkg")
    assert only(read, "unread").path == "Whole.part"
    real = audited(tmp_path, "pkg", imports=Imports(sys.executable, 60))
    assert not of_rule(real, "unread")
    assert not of_rule(real, "import-failed")
    assert real.schemas == 1
    [name] = of_rule(real, "unbounded-string")  # a decimal is a number here, as it is for a call
    assert (name.line, name.path) == (6, "Whole.name")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise SystemExit(3)", "SystemExit"),
        ("import no_such_module_at_all", "no_such_module_at_all"),
        ("import os; os._exit(7)", "status 7"),
        ("import time; time.sleep(600)", "longer than"),
    ],
)
def test_a_module_that_cannot_be_imported_is_a_finding_and_still_read(
    tmp_path: Path, code: str, why: str
) -> None:
    text = f"from pydantic import BaseModel\nclass M(BaseModel):\n    a: str\n{code}\n"
    written(tmp_path, "m.py", text)
    timeout_s = 3 if "sleep" in code else 60
    report = audited(tmp_path, "m.py", imports=Imports(sys.executable, timeout_s))
    assert why in only(report, "import-failed").why
    assert ("unbounded-string", 3, "M.a") in places(report)


def test_modules_of_one_name_in_two_folders_are_both_imported(tmp_path: Path) -> None:
    for folder, field in (("one", "a"), ("two", "b")):
        text = f"from pydantic import BaseModel\nclass M(BaseModel):\n    {field}: list['int']\n"
        written(tmp_path, f"{folder}/rules.py", text)  # a name that the audit has, too
    report = audited(tmp_path, imports=Imports(sys.executable, 60))
    assert {f.path for f in of_rule(report, "unbounded-array")} == {"M.a", "M.b"}
    assert not of_rule(report, "import-failed")


def test_source_that_goes_round_or_deep_is_read_to_its_end(tmp_path: Path) -> None:
    text = (
        'X = {"type": "object", "properties": {"a": X, "b": X}}\n'
        "from typing import Union\nfrom pydantic import BaseModel\n"
        "T = Union[T, T, 'list[T]']\n"
        "class A(BaseModel):\n    t: T\n    b: 'B'\n"
        "class B(A):\n    a: 'list[A]'\n"
        f"y = {'+'.join('1' * 900)}\n"
    )
    written(tmp_path, "m.py", text)
    report = audited(tmp_path, "m.py", targets=["llamacpp"])
    assert report.schemas >= 2
    assert not of_rule(report, "unreadable")


def test_models_of_other_files_are_followed(tmp_path: Path) -> None:
    part = "from pydantic import BaseModel\nclass Part(BaseModel):\n    name: str\n"
    whole = (
        "from pydantic import BaseModel\nfrom .part import Part as P\nfrom app import part\n"
        "class Whole(BaseModel):\n    a: list[P]\n    b: 'part.Part | None' = None\n"
    )
    for name, text in (("__init__", ""), ("part", part), ("whole", whole)):
        written(tmp_path, f"app/{name}.py", text)
    report = audited(tmp_path, "app")
    names = of_rule(report, "unbounded-string")
    assert [(f.file, f.line, f.path) for f in names] == [("app/part.py", 3, "Whole.a[].name")]
    assert report.schemas == 1


def test_dataclasses_and_typed_dicts_count_where_they_are_output_models(tmp_path: Path) -> None:
    text = (
        "from dataclasses import dataclass\nfrom typing import TypedDict\n"
        "class Used(TypedDict):\n    a: str\n"
        "class Unused(TypedDict):\n    a: str\n"
        "@dataclass\nclass Answer:\n    b: list[str]\n"
        "@dataclass\nclass Config:\n    b: list[str]\n"
        "TypeAdapter(Used)\nagent(output_type=Answer)\n"
    )
    written(tmp_path, "m.py", text)
    report = audited(tmp_path, "m.py")
    assert {f.path for f in of_rule(report, "unbounded-string")} == {"Used.a", "Answer.b[]"}


def test_schemas_in_literals_and_strings_are_found_with_their_lines(tmp_path: Path) -> None:
    text = (
        'PART = {"type": "string"}\n'
        "SCHEMA = {\n"
        '    "type": "object",\n'
        '    "properties": {\n'
        '        "a": PART,\n'
        '        "b": {"type": "array", "items": {"type": "integer"}},\n'
        '        "c": compute(),\n'
        "    },\n"
        "}\n"
        'TEXT = """{"type": "object", "properties": {"d": {"type": "string"}}}"""\n'
        'PLAIN = {"type": "object", "name": "no schema"}\n'
    )
    written(tmp_path, "m.py", text)
    report = audited(tmp_path, "m.py")
    assert {
        ("unbounded-string", 5, "SCHEMA.a"),
        ("unbounded-array", 6, "SCHEMA.b"),
        ("unread", 7, "SCHEMA.c"),
        ("unbounded-string", 10, "TEXT.d"),
    } <= places(report)
    assert report.schemas == 2


def test_schemas_inside_json_documents_keep_lines_and_definitions(tmp_path: Path) -> None:
    document = {
        "info": "an API",
        "components": {
            "schemas": {"Pet": {"type": "object", "properties": {"n": {"type": "string"}}}}
        },
        "tool": {
            "parameters": {
                "type": "object",
                "required": ["pet"],
                "properties": {"pet": {"$ref": "#/components/schemas/Pet"}},
            }
        },
    }
    text = json.dumps(document, indent=1)
    written(tmp_path, "api.json", text)
    report = audited(tmp_path, "api.json")
    line = next(i for i, row in enumerate(text.splitlines(), 1) if '"n"' in row)
    assert report.schemas == 2
    assert not of_rule(report, "cannot-compile")
    assert {f.line for f in of_rule(report, "unbounded-string")} == {line}
    assert [(f.path, f.others) for f in of_rule(report, "unbounded-string")] == [("Pet.n", 1)]


def test_json_lines_and_toml_are_read(tmp_path: Path) -> None:
    schema = json.dumps({"schema": {"type": "object", "properties": {"a": {"type": "string"}}}})
    written(tmp_path, "s.jsonl", f"{schema}\n\n{schema}\n")
    toml = '[out.schema]\ntype = "object"\nproperties.a.type = "string"\n'
    written(tmp_path, "s.toml", toml)
    report = audited(tmp_path)
    assert [(f.file, f.line) for f in of_rule(report, "unbounded-string")] == [
        ("s.jsonl", 1),
        ("s.jsonl", 3),
        ("s.toml", 1),
    ]


def test_required_parts_beyond_the_budget_are_an_error(tmp_path: Path) -> None:
    part = {"type": "string", "minLength": 2000}
    schema = {"type": "object", "required": ["a"], "properties": {"a": part}}
    written(tmp_path, "s.json", json.dumps(schema))
    tight = audited(tmp_path, "s.json", targets=["llamacpp"], budget_tokens=200)
    roomy = audited(tmp_path, "s.json", targets=["llamacpp"], budget_tokens=4000)
    assert only(tight, "budget").severity == "error"
    assert not of_rule(roomy, "budget")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "https://example.org/x"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}},
        {"type": "object", "required": ["a"], "properties": {"a": False}},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "nonsense"},
    ],
)
def test_a_schema_that_no_engine_can_be_sent_is_an_error(tmp_path: Path, schema: object) -> None:
    written(tmp_path, "s.json", json.dumps(schema))
    report = audited(tmp_path, "s.json")
    assert only(report, "cannot-compile").targets == ()
    assert report.has_at_least("error")


def test_unions_whose_branches_nothing_tells_apart_are_found(tmp_path: Path) -> None:
    def branch(**properties: object) -> dict[str, object]:
        return {"type": "object", "required": list(properties), "properties": properties}

    plain = {"anyOf": [branch(a={"type": "integer"}), branch(b={"type": "integer"})]}
    tagged = {"oneOf": [branch(kind={"const": "a"}), branch(kind={"const": "b"})]}
    schema = {"type": "object", "properties": {"plain": plain, "tagged": tagged}}
    written(tmp_path, "s.json", json.dumps(schema))
    assert only(audited(tmp_path, "s.json"), "union").path == "s.plain"


@pytest.mark.parametrize(
    ("note", "bounds", "rule"),
    [
        ("exactly 5 items", {"maxItems": 3}, "note-contradicts"),
        ("Between 3 and 5 options", {"maxItems": 9}, "note-contradicts"),
        ("at most two entries", {}, "note-not-bound"),
        ("at least 2 items", {"maxItems": 5}, "note-not-bound"),
        ("3 to 5 items", {"minItems": 3, "maxItems": 5}, None),
        ("if there are 3 to 5 items, stop", {"maxItems": 9}, None),
        ("a list of things", {"maxItems": 9}, None),
    ],
)
def test_counts_in_a_description_must_agree_with_the_bounds_of_a_list(
    tmp_path: Path, note: str, bounds: dict[str, int], rule: str | None
) -> None:
    items = {"type": "integer"}
    part: dict[str, object] = {"type": "array", "items": items, "description": note, **bounds}
    assert rules_of_notes(tmp_path, part) == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("note", "bounds", "rule"),
    [
        ("A short title", {"maxLength": 10_000}, "note-contradicts"),
        ("A short title", {"maxLength": 100}, None),
        ("At most 20 words", {}, "note-not-bound"),
        ("at least 100 words", {"maxLength": 80}, "note-contradicts"),
        ("10-20 words", {"maxLength": 300}, None),
        ("up to 80 characters", {"maxLength": 80}, None),
        ("one of three", {"enum": ["a", "b"]}, "note-contradicts"),
        ("one of three", {"enum": ["a", "b", "c"]}, None),
    ],
)
def test_lengths_and_choices_in_a_description_must_agree_with_the_bounds_of_a_text(
    tmp_path: Path, note: str, bounds: dict[str, object], rule: str | None
) -> None:
    part = {"type": "string", "description": note, **bounds}
    assert rules_of_notes(tmp_path, part) == ([rule] if rule else [])


def rules_of_notes(folder: Path, part: dict[str, object]) -> list[str]:
    schema = {"type": "object", "required": ["a"], "properties": {"a": part}}
    written(folder, "s.json", json.dumps(schema))
    report = audited(folder, "s.json")
    return [finding.rule for finding in report.findings if finding.rule.startswith("note")]


def test_files_that_cannot_be_read_are_findings_and_the_others_are_audited(tmp_path: Path) -> None:
    written(tmp_path, "good.py", MODELS)
    written(tmp_path, "broken.py", "class :\n")
    written(tmp_path, "deep.json", "[" * 100_000)
    written(tmp_path, "half.json", '{"type": "object",\n')
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    report = audited(tmp_path)
    found = {f.file: f.why for f in of_rule(report, "unreadable")}
    assert found.keys() == {"broken.py", "deep.json", "half.json", "latin.json"}
    assert "UTF-8" in found["latin.json"]
    assert "line 2" in found["half.json"]
    assert report.schemas == 1


def test_what_an_editor_allows_in_json_is_read_and_keeps_its_lines(tmp_path: Path) -> None:
    text = (
        '{ // a comment, "with": quotes\n  "type": "object", /* two\n lines */\n'
        '  "properties": {\n    "url": {"type": "string", "const": "http://x", /* ,} */},\n'
        '    "a": {"type": "string"}, // the last\n  },\n}\n'
    )
    written(tmp_path, "s.json", text)
    report = audited(tmp_path)
    assert only(report, "unbounded-string").line == 6
    assert not of_rule(report, "unreadable")


def test_python_in_a_declared_encoding_is_read(tmp_path: Path) -> None:
    text = f"# -*- coding: latin-1 -*-\n# \xe9\n{MODELS.replace('from __future__', '# ')}"
    (tmp_path / "m.py").write_bytes(text.encode("latin-1"))
    assert audited(tmp_path).schemas == 1
    (tmp_path / "m.py").write_bytes(b"# coding: no-such-code\nx = 1\n")
    assert "no-such-code" in only(audited(tmp_path), "unreadable").why


@pytest.mark.parametrize("pattern", ["old", "old/", "old/*", "m.py", "*/m.py"])
def test_what_is_excluded_is_passed_over(tmp_path: Path, pattern: str) -> None:
    written(tmp_path, "old/m.py", MODELS)
    written(tmp_path, "new.py", MODELS)
    assert {f.file for f in audited(tmp_path, excluded=[pattern]).findings} == {"new.py"}


def test_a_part_that_many_models_hold_is_one_finding_that_counts_them(tmp_path: Path) -> None:
    text = "from pydantic import BaseModel\nclass Part(BaseModel):\n    name: str\n" + "".join(
        f"class M{i}(BaseModel):\n    part: Part\n" for i in range(5)
    )
    written(tmp_path, "m.py", text)
    found = only(audited(tmp_path, targets=["llamacpp"]), "unbounded-string")
    assert (found.line, found.path, found.others) == (3, "M0.part.name", 4)
    assert found.where == "M0.part.name (+4)"


def test_fields_on_one_line_stay_apart(tmp_path: Path) -> None:
    part = {"type": "string"}
    schema = {"type": "object", "properties": {"a": part, "b": part}}
    written(tmp_path, "s.json", json.dumps(schema))
    found = of_rule(audited(tmp_path, targets=["llamacpp"]), "unbounded-string")
    assert [(f.path, f.others) for f in found] == [("s.a", 0), ("s.b", 0)]


def test_names_that_no_text_can_hold_are_reported_all_the_same(tmp_path: Path) -> None:
    written(tmp_path, "s.json", '{"type": "object", "properties": {"\\ud800": {"type": "string"}}}')
    report = audited(tmp_path)
    assert json.dumps([f.path for f in report.findings]).encode()
    assert as_markdown(report).encode()


def test_what_rung_solves_is_told_apart_from_what_it_checks_afterwards(tmp_path: Path) -> None:
    solved = {"type": "string", "pattern": "^\\d{4}$"}
    checked = {"type": "string", "pattern": "^(?=.*a)b+$"}
    schema = {"type": "object", "required": ["s", "c"], "properties": {"s": solved, "c": checked}}
    written(tmp_path, "s.json", json.dumps(schema))
    report = audited(tmp_path, targets=["llamacpp"])
    scopes = {scope: {f.path for f in report.findings if f.scope == scope} for scope in SCOPES}
    assert scopes["rung"] == {"s.c"}
    assert scopes["as-is"] == {"s.s"}
    assert not any("s.s" in what for what in compile_schema(schema, "llamacpp").relaxed)


def test_nothing_that_is_said_of_a_schema_as_it_is_holds_for_the_form_that_rung_sends(
    tmp_path: Path,
) -> None:
    schema = {
        "type": "object",
        "required": ["n"],
        "properties": {
            "n": {"type": "number", "minimum": 0, "maximum": 3, "multipleOf": 0.5},
            "i": {"type": "integer", "minimum": 2},
            "m": {"type": "string", "format": "email"},
            "p": {"type": "string", "pattern": r"\d+", "maxLength": 9},
            "u": {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True},
            "k": {"oneOf": [{"$ref": "#/$defs/a"}, {"not": {"type": "integer"}}]},
        },
        "$defs": {"a": {"allOf": [{"type": "integer"}, {"maximum": 9}]}},
    }
    for target in TARGETS:
        sent = compile_schema(schema, target)
        if TARGETS[target].is_closed and not sent.is_strict:
            continue  # what strict mode would refuse is sent without it
        written(tmp_path, f"{target}.json", json.dumps(sent.schema))
        report = audited(tmp_path, f"{target}.json", targets=[target])
        told = {what.partition(": ")[0] for what in sent.relaxed}
        left = {f"/{f.path.partition('.')[2]}" for f in report.findings if f.scope == "as-is"}
        assert left <= told  # what the engine passes over, and Rung has said so


def test_every_engine_of_the_table_is_a_target() -> None:
    rows = tomllib.loads(AS_IS.read_text(encoding="utf-8"))
    effects = ("ignored", "refused", "unconstrained")
    for row in rows.values():
        assert {engine for effect in effects for engine in row.get(effect, [])} <= TARGETS.keys()
    assert all(row["what"] and set(effects) & row.keys() for row in rows.values())


def test_environments_and_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    for folder in (".venv", "node_modules", ".git", "src"):
        written(tmp_path, f"{folder}/m.py", MODELS)
    assert {f.file for f in audited(tmp_path).findings} == {"src/m.py"}


def test_a_module_is_found_by_its_name_without_importing_it(tmp_path: Path) -> None:
    written(tmp_path, "src/shop/__init__.py", "raise SystemExit")
    written(tmp_path, "src/shop/orders.py", MODELS)
    assert audited(tmp_path, "shop.orders").schemas == 1
    assert audited(tmp_path, "shop").files == 2


@pytest.mark.parametrize("name", ["nowhere", "no.such.module", "a\0b", "notes.txt"])
def test_what_is_not_there_or_no_source_is_a_usage_error(tmp_path: Path, name: str) -> None:
    written(tmp_path, "notes.txt", "")
    with pytest.raises(UsageError):
        audited(tmp_path, name)


def test_an_unknown_engine_is_a_usage_error_that_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="llamacpp"):
        audited(tmp_path, targets=["nonsense"])


def test_markdown_cells_cannot_break_the_table(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a|b\n<b>": {"type": "string"}}}
    written(tmp_path, "s.json", json.dumps(schema))
    rows = [row for row in as_markdown(audited(tmp_path)).splitlines() if "unbounded" in row]
    assert rows
    assert all(row.replace("\\|", "").count("|") == 8 and "<b>" not in row for row in rows)


def test_what_the_compiler_says_has_a_rule_of_its_own(tmp_path: Path) -> None:
    """Its words may change; then the rules must follow, or findings lose their advice."""
    hard = {
        "type": "object",
        "required": ["n", "m", "f", "u", "p", "x", "d", "c"],
        "properties": {
            "n": {"type": "number", "minimum": 0, "maximum": 1e6},
            "m": {"type": "number", "multipleOf": 0.37},
            "f": {"type": "string", "format": "uri", "maxLength": 9},
            "u": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "p": {"type": "string", "pattern": "(?=a)b"},
            "x": {},
            "d": {"type": "object", "additionalProperties": {"type": "string"}},
            "c": {"type": "array", "contains": {"const": 1}, "minItems": 3, "maxItems": 9},
            "o": {"type": "string", "minLength": 3, "maxLength": 9, "not": {"pattern": "^a"}},
        },
    }
    said = {
        what.partition(": ")[2] for name in TARGETS for what in compile_schema(hard, name).relaxed
    }
    assert len(said) > 8
    assert not {what for what in said if rule_of(what).name == "not-enforced"}


def test_every_rule_has_advice() -> None:
    assert all(rule.fix and rule.severity for rule in rules().values())


KEYWORDS = (
    *("type", "properties", "items", "required", "enum", "const", "anyOf", "oneOf", "allOf"),
    *("$ref", "$defs", "default", "description", "maxLength", "maxItems", "prefixItems", "a"),
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.sampled_from(
        ["object", "string", "array", "#", "#/$defs/a", "exactly 5 items", "short", "{", ""]
    )
)
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(DOCUMENTS)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_document_breaks_the_audit(tmp_path: Path, document: object) -> None:
    written(tmp_path, "s.json", json.dumps(document, indent=1))
    written(tmp_path, "s.py", f"X = {document!r}\n")
    report = audited(tmp_path, targets=["llamacpp", "openai"])
    assert not of_rule(report, "unreadable")
    assert all(finding.line >= 1 for finding in report.findings)
