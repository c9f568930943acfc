"""`rung schema`: audit, compile and check, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import rung

SCHEMA = {
    "type": "object",
    "required": ["name", "age"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "site": {"type": "string", "format": "uri"},
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA))
    return tmp_path


@pytest.mark.parametrize(
    ("maximum", "arguments", "status"),
    [(150, (), 0), (150.5, (), 0), (150.5, ("--strict",), 1)],
)
def test_the_exit_status_of_an_audit_tells_a_ci_what_was_found(
    folder: Path, maximum: float, arguments: tuple[str, ...], status: int
) -> None:
    age = {"type": "number", "minimum": 0.5, "maximum": maximum}
    changed = {**SCHEMA, "properties": {**SCHEMA["properties"], "age": age}}
    if maximum == 150:
        changed = SCHEMA
    (folder / "s.json").write_text(json.dumps(changed))
    ran = rung("schema", "audit", "--engine", "llamacpp", *arguments, cwd=folder)
    assert (ran.status, "1 schema in 1 file:" in ran.err) == (status, True)


def test_an_error_makes_the_audit_fail(folder: Path) -> None:
    (folder / "s.json").write_text('{"type": "object", "properties": {"a": {"$ref": "#/b"}}}')
    ran = rung("schema", "audit", "s.json", cwd=folder)
    assert ran.status == 1
    assert "cannot-compile" in ran.out


def test_an_audit_is_a_table_json_or_markdown(folder: Path) -> None:
    (folder / "s.json").write_text('{"type": "object", "properties": {"a": {"type": "string"}}}')
    table = rung("schema", "audit", cwd=folder)
    found = rung("schema", "audit", "--format", "json", cwd=folder).json
    document = rung("schema", "audit", "--format", "markdown", cwd=folder)
    assert "s.json:1" in table.out
    assert document.out.startswith("# Schema audit")
    [finding] = [f for f in found["findings"] if f["rule"] == "unbounded-string"]
    assert (finding["file"], finding["path"], finding["severity"]) == ("s.json", "s.a", "info")
    assert (finding["scope"], finding["targets"], finding["others"]) == ("schema", [], 0)
    assert found["schemas"] == 1
    assert "llamacpp" in found["targets"]


def test_a_report_says_what_its_scopes_mean(folder: Path) -> None:
    age = {"type": "number", "minimum": 0.5, "maximum": 9000}
    (folder / "s.json").write_text(json.dumps({"type": "object", "properties": {"age": age}}))
    for form in ("table", "markdown"):
        ran = rung("schema", "audit", "--engine", "llamacpp", "--format", form, cwd=folder)
        assert "even in the form that Rung sends" in ran.out
        assert "only if the schema is sent without Rung" in ran.out


def test_what_is_excluded_cannot_fail_a_ci(folder: Path) -> None:
    (folder / "broken.json").write_text("{")
    plain = rung("schema", "audit", "--strict", "--engine", "llamacpp", cwd=folder)
    excluding = ("--exclude", "broken.*", "--engine", "llamacpp")
    ran = rung("schema", "audit", "--strict", *excluding, cwd=folder)
    assert (plain.status, ran.status) == (1, 0)


@pytest.mark.parametrize("form", ["table", "json", "markdown"])
def test_a_name_that_no_text_can_hold_breaks_no_report(folder: Path, form: str) -> None:
    (folder / "s.json").write_text(
        '{"type": "object", "properties": {"\\ud800": {"type": "string"}}}'
    )
    ran = rung("schema", "audit", "--format", form, cwd=folder)
    assert ran.status == 1  # it is no JSON that could be sent
    assert "unbounded-string" in ran.out


def test_a_model_in_place_of_a_schema_is_told_the_way(folder: Path) -> None:
    (folder / "m.py").write_text("x = 1\n")
    ran = rung("schema", "compile", "m.py", cwd=folder)
    assert ran.status == 2
    assert "model_json_schema" in ran.err


def test_importing_says_that_it_runs_the_code(folder: Path) -> None:
    (folder / "m.py").write_text(
        "from pydantic import BaseModel\nclass M(BaseModel):\n    a: int\n"
    )
    ran = rung("schema", "audit", "m.py", "--import", cwd=folder)
    assert ran.status == 0
    assert "runs the modules' code" in ran.err


def test_compile_prints_the_schema_and_says_apart_what_was_relaxed(folder: Path) -> None:
    schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "name": {"pattern": "(?=a)b"}}}
    (folder / "s.json").write_text(json.dumps(schema))
    ran = rung("schema", "compile", "s.json", "--target", "llamacpp", cwd=folder)
    whole = rung("schema", "compile", "s.json", "--target", "llamacpp", "--json", cwd=folder)
    assert ran.json["type"] == "object"
    assert "pattern" in ran.err
    assert whole.json["schema"] == ran.json
    assert any("pattern" in what for what in whole.json["relaxed"])


def test_compile_says_before_any_call_that_the_budget_is_too_small(folder: Path) -> None:
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": "string", "minLength": 900}},
    }
    (folder / "s.json").write_text(json.dumps(schema))
    ran = rung("schema", "compile", "s.json", "--target", "llamacpp", "--budget", "100", cwd=folder)
    assert (ran.status, ran.out) == (2, "")
    assert "100 tokens" in ran.err


@pytest.mark.parametrize(
    ("instance", "status", "said"),
    [
        ({"name": "Ada", "age": 36}, 0, "valid"),
        ({"name": "Ada", "age": 360}, 1, "/age:"),
        ({"name": "Ada", "age": 36, "site": "not a uri"}, 1, "/site:"),
        (None, 1, "/:"),
    ],
)
def test_check_judges_an_instance_with_its_formats(
    folder: Path, instance: object, status: int, said: str
) -> None:
    ran = rung("schema", "check", "s.json", "-", cwd=folder, stdin=json.dumps(instance))
    assert ran.status == status
    assert ran.out.startswith(said)


def test_check_prints_one_object_for_programs(folder: Path) -> None:
    (folder / "i.json").write_text("{}")
    ran = rung("schema", "check", "s.json", "i.json", "--json", cwd=folder)
    assert (ran.status, ran.json["valid"], len(ran.json["violations"])) == (1, False, 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"[" * 100_000, "nested"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"type": 5}', "not a JSON Schema"),
        (b'"text"', "JSON Schema"),
        (b'{"$ref": "#"}', "never ends"),
        (b" " * 9_000_000, "larger than"),
    ],
)
def test_a_bad_schema_file_is_a_clear_usage_error(
    folder: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (folder / "bad.json").write_bytes(content)
    ran = rung("schema", "compile", "bad.json", cwd=folder)
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "nowhere"),
        ("audit", "--engine", "nonsense"),
        ("audit", "--import", "--python", "/no/such/python"),
        ("compile", "s.json", "--target", "nonsense"),
        ("compile", "."),
        ("check", "-", "-"),
    ],
)
def test_what_cannot_be_is_a_usage_error(folder: Path, arguments: tuple[str, ...]) -> None:
    ran = rung("schema", *arguments, cwd=folder)
    assert (ran.status, ran.out) == (2, "")
    assert "error" in ran.err.lower()
