"""pytest's JUnit XML, which the tests that wrote it may have forged: read as hostile input."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

Outcome = Literal["passed", "skipped", "failed", "error"]

_LARGEST_BYTES = 16 * 1024 * 1024
_NODE = re.compile(r"\S[^:]*\.py::\S")
_OUTCOME_OF: dict[str, Outcome] = {"error": "error", "failure": "failed", "skipped": "skipped"}
_WORST_LAST: tuple[Outcome, ...] = ("passed", "skipped", "failed", "error")


@dataclass(frozen=True, kw_only=True)
class TestCase:
    """`id` is `classname::name`; `detail` the failure's text.

    `skipped_in` is the file that the skip was raised in; pytest does not say for an xfail.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    id: str
    outcome: Outcome
    detail: str = ""
    skipped_in: str = ""
    is_xfail: bool = False


class ReportError(ValueError):
    """The report is missing, too large or not JUnit XML."""


def parse_report(content: bytes) -> dict[str, TestCase]:
    """The cases by id; of several with one id (a test and its teardown) the worst counts.

    Raises ReportError.
    """
    if len(content) > _LARGEST_BYTES:
        raise ReportError(f"the report is larger than {_LARGEST_BYTES // 1024**2} MiB")
    if b"<!" in content.replace(b"<![CDATA[", b""):
        raise ReportError("the report declares entities")
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - expat >= 2.4.1, and no entities
    except ElementTree.ParseError as error:
        raise ReportError(f"the report is not XML: {error}") from error
    cases: dict[str, TestCase] = {}
    for element in root.iter("testcase"):
        case = _case(element)
        known = cases.get(case.id)
        if known is None or _badness(case) > _badness(known):
            cases[case.id] = case
    return cases


def _badness(case: TestCase) -> int:
    return _WORST_LAST.index(case.outcome)


def _case(element: ElementTree.Element) -> TestCase:
    name = f"{element.get('classname', '')}::{element.get('name', '')}"
    found: dict[str, ElementTree.Element] = {child.tag: child for child in element}
    for tag, outcome in _OUTCOME_OF.items():
        if tag in found:
            text = found[tag].text or ""
            return TestCase(
                id=name,
                outcome=outcome,
                detail=f"{found[tag].get('message', '')}\n{text}",
                skipped_in=text.partition(":")[0] if tag == "skipped" else "",
                is_xfail=found[tag].get("type") == "pytest.xfail",
            )
    return TestCase(id=name, outcome="passed")


def id_of_node(nodeid: str) -> str:
    """The id under which pytest's JUnit report lists a node (`_pytest.junitxml`)."""
    address, bracket, parameters = nodeid.partition("[")
    path, *names = address.split("::")
    module = re.sub(r"\.py$", "", path.replace("/", "."))
    *classes, last = names or [""]
    return f"{'.'.join([module, *classes])}::{last}{bracket}{parameters}"


def owner_of(case: str) -> str:
    """The id of the test that a case belongs to: the case's own without parameters."""
    return case.partition("[")[0]


def collected_nodes(output: str) -> list[str]:
    """The node ids that `pytest --collect-only --verbosity=-1` printed, warnings around them."""
    return [line for line in output.splitlines() if _NODE.match(line)]


def assertion_lines(detail: str, most: int = 6) -> str:
    """The lines that pytest marks with `E`, or the first of the detail."""
    marked = [line[1:].strip() for line in detail.splitlines() if line.startswith("E  ")]
    lines = marked or [line.strip() for line in detail.splitlines() if line.strip()]
    return "\n".join(f"    {line[:300]}" for line in lines[:most])
