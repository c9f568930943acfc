"""pytest's report, read as what hostile code may have written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.validation.checks.junit import ReportError, id_of_node, parse_report


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_a_report_or_an_error(content: bytes) -> None:
    for wrapped in (content, b"<testsuites><testcase>" + content + b"</testcase></testsuites>"):
        try:
            cases = parse_report(wrapped)
        except ReportError:
            continue
        assert all(case.outcome for case in cases.values())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<testsuites>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuites>&b;</testsuites>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuites/>',
        b" " * (17 * 1024 * 1024),
        b"<a>" * 100_000,
    ],
    ids=["empty", "half", "entities", "external", "large", "deep"],
)
def test_a_report_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(ReportError):
        parse_report(content)


def test_the_worst_of_several_results_counts() -> None:
    content = (
        b'<testsuite><testcase classname="a" name="b"><failure>no</failure></testcase>'
        b'<testcase classname="a" name="b"/>'
        b'<testcase classname="a" name="c"/>'
        b'<testcase classname="a" name="c"><error>teardown</error></testcase></testsuite>'
    )
    outcomes = {name: case.outcome for name, case in parse_report(content).items()}
    assert outcomes == {"a::b": "failed", "a::c": "error"}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("tests/test_a.py::test_b", "tests.test_a::test_b"),
        ("test_a.py::TestC::test_b[x/y.py::z-1]", "test_a.TestC::test_b[x/y.py::z-1]"),
    ],
)
def test_node_ids_become_the_reports_ids(node: str, expected: str) -> None:
    assert id_of_node(node) == expected
