"""The report says how sure its shares are, and is safe to look at whatever is in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from rung.errors import UsageError
from rung.escalation.learning.rates import Share
from rung.escalation.learning.views import CheckView
from rung.escalation.money.budget_report import BudgetReport
from rung.escalation.stats.markdown import markdown
from rung.escalation.stats.page import page
from rung.escalation.stats.period import moment, period
from rung.escalation.stats.plots import plot
from rung.escalation.stats.report import StatsReport, report_of
from rung.escalation.stats.sections import headline, sections
from rung.ledger.period import Period
from rung.ledger.stats import (
    CallCount,
    CheckCount,
    Counts,
    DayCount,
    PairCount,
    ReviewCount,
    TypeCount,
    WorkerCount,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOSTILE = '</table><script>alert("x")</script><img src=//x.example>|`a`|\n# \u202e ü 模型'
BUDGET = BudgetReport(is_shared=True, lines=())


def pair(worker: str, passed: int, failed: int, right: int = 0, wrong: int = 0) -> PairCount:
    return PairCount(
        task_type="standard",
        worker=worker,
        checker="e/judge",
        passed=passed,
        failed=failed,
        right=right,
        wrong=wrong,
        cost_usd=None,
    )


def spread() -> dict[str, Any]:
    return {"cost_usd": 0.5, "median_s": 0.2, "p95_s": 9000.0}


def report(name: str = "e/m", **changes: Any) -> StatsReport:
    share = Share(estimate=0.5, low=0.1, high=0.9)
    full: dict[str, Any] = {
        "types": (
            TypeCount(
                task_type=name, tasks=4, verified=3, outcomes={"verified": 3, "skipped": 1},
                attempts=6, climbs=2, tasks_of_unknown_cost=1, saved_usd=0.25, **spread(),
            ),
        ),
        "workers": (
            WorkerCount(
                worker=name, attempts=6, passed=3, failed=1, verified_tasks=3,
                attempts_of_unknown_cost=0, **spread(),
            ),
        ),
        "pairs": (pair(name, 4, 2, 1, 1),),
        "checks": (CheckCount(check=name, passed=1, failed=2, unavailable=3, errors=4),),
        "calls": (
            CallCount(
                engine="e", model=name, calls=2, errors=1, tokens_in=1, tokens_out=2,
                calls_of_unknown_cost=0, median_tokens_per_s=12.5, **spread(),
            ),
        ),
        "days": (DayCount(day="2026-11-21", tasks=4, verified=3, cost_usd=None, saved_usd=None),),
        "reviews": (ReviewCount(kind="work", states={"open": 2}, median_s=None),),
        "attempts_per_task": {1: 3, 3: 1},
    }  # fmt: skip
    view = CheckView(
        check="all",
        model_class=name,
        task_type=name,
        attempts=9,
        labels=2,
        false_accept=share,
        false_reject=None,
    )
    return report_of(Counts(**{**full, **changes}), Period(app=name), BUDGET, (view,))


class Tags(HTMLParser):
    """Every tag and attribute of a document, and the text outside its style."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, set[str | None]] = {}
        self.text: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_shares_have_the_interval_that_so_few_tasks_allow() -> None:
    found = report()
    assert (found.tasks, found.success.estimate) == (4, 0.75)
    assert 0.25 < found.success.low < 0.35 and 0.95 < found.success.high < 1
    assert found.types[0].attempts_per_task == 1.5
    assert found.types[0].climbs_per_task == 0.5
    assert (found.cost_usd, found.saved_usd) == (0.5, 0.25)
    assert headline(found).startswith("4 tasks, 75 % (30 to 95) verified")


def test_the_best_pair_is_the_surest_and_labels_count() -> None:
    pairs = (
        pair("lucky", 4, 0),  # too few to say
        pair("unlabelled", 90, 10),
        pair("often wrong", 90, 10, right=5, wrong=5),
        pair("right", 80, 20, right=20),
    )
    ranked = report(pairs=pairs).pairs
    assert [item.worker for item in ranked] == ["right", "often wrong", "unlabelled", "lucky"]
    assert [item.worker for item in ranked if item.is_best] == ["right"]


def test_a_pair_of_too_few_attempts_is_never_the_best() -> None:
    assert [item.is_best for item in report(pairs=(pair("few", 4, 0, right=4),)).pairs] == [False]


def test_every_section_of_a_full_report_has_rows_as_wide_as_its_columns() -> None:
    found = sections(report())
    assert len(found) == 9  # there is no budget
    for section in found:
        assert {len(row) for row in section.rows} == {len(section.columns)}


def test_an_empty_report_and_one_without_a_ledger_say_so() -> None:
    empty = report_of(Counts(), Period(), BUDGET, ())
    assert sections(empty) == []
    assert headline(empty) == "nothing is on record for this period"
    off = report_of(Counts(), Period(), BudgetReport(is_shared=False, lines=()), ())
    assert "the ledger is off" in headline(off)
    assert "nothing is on record" in page(empty)
    assert "nothing is on record" in markdown(empty)


def test_the_page_needs_nothing_from_outside_and_runs_nothing() -> None:
    found = Tags(page(report(HOSTILE)))
    assert not found.tags & {"script", "img", "link", "iframe", "object", "form", "a", "use"}
    names = set(found.attributes)
    assert not [name for name in names if name.startswith("on")]
    assert not names & {"src", "href", "xlink:href", "style", "srcset"}
    assert any("default-src 'none'" in (value or "") for value in found.attributes["content"])
    text = "".join(found.text)
    assert 'alert("x")' in text and "模型" in text
    assert "\u202e" not in text
    assert "@import" not in text and "url(" not in text


def test_plots_are_well_formed_and_stay_within_their_picture() -> None:
    for section in sections(report(HOSTILE)):
        if not section.bars:
            continue
        root = ElementTree.fromstring(plot(section))
        width, height = map(float, root.attrib["viewBox"].split()[2:])
        for box in root.iter("rect"):
            x, y, w, h = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
            assert x >= 0 and x + w <= width and y >= 0 and y + h <= height, section.title


def test_markdown_keeps_its_tables_whatever_names_hold() -> None:
    lines = markdown(report(HOSTILE)).splitlines()
    assert not [line for line in lines if "<script" in line]
    tables = [line for line in lines if line.startswith("| ")]
    widths = {line.count("|") for line in tables if "alert" in line}
    heads = {line.count("|") for line in tables if line.startswith("| ---") or "--:" in line}
    assert widths <= heads


def test_a_year_of_days_is_one_timeline() -> None:
    first = NOW - timedelta(days=365)
    days = tuple(
        DayCount(
            day=f"{first + timedelta(days=n):%Y-%m-%d}",
            tasks=n,
            verified=n // 2,
            cost_usd=None,
            saved_usd=None,
        )
        for n in range(1, 366)
    )
    root = ElementTree.fromstring(plot(sections(report(days=days))[0]))
    assert len(list(root.iter("g"))) == 365
    assert len(list(root.iter("text"))) <= 9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("36h", NOW - timedelta(hours=36)),
        ("2w", NOW - timedelta(weeks=2)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2026-11-01T12:00:00+01:00", datetime(2026, 11, 1, 11, tzinfo=UTC)),
        ("all", None),
    ],
)
def test_moments_are_read_as_people_write_them(text: str, expected: datetime | None) -> None:
    assert moment(text, NOW) == expected


def test_a_date_is_midnight_here() -> None:
    assert moment("2026-11-01", NOW) == datetime(2026, 11, 1).astimezone(UTC)


@pytest.mark.parametrize("text", ["", "7", "7y", "yesterday", "2026-13-01", "999999w", "-1d"])
def test_what_is_no_moment_is_a_usage_error_that_shows_what_is(text: str) -> None:
    with pytest.raises(UsageError, match="2026-11-01"):
        moment(text, NOW)


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(UsageError, match="not before"):
        period("1d", "2d", None, NOW)
    assert period("all", "2d", "x", NOW) == Period(None, NOW - timedelta(days=2), "x")
