"""The report as sections of text cells and plots: what a terminal, Markdown and a page share."""

from __future__ import annotations

from rung.escalation.stats.report import StatsReport
from rung.escalation.stats.section import Bar, Section, seconds, share, share_bar, usd
from rung.wording import counted


def headline(report: StatsReport) -> str:
    """One sentence."""
    if not report.is_on:
        return "the ledger is off: nothing is on record"
    if not report.tasks and not report.calls:
        return "nothing is on record for this period"
    return (
        f"{counted(report.tasks, 'task')}, {share(report.success)} verified · "
        f"cost {usd(report.cost_usd)} · saved {usd(report.saved_usd)} by staying local"
    )


def period_text(report: StatsReport) -> str:
    """`2026-11-14 10:00 to now`, in local time, with the app."""
    since = f"{report.since.astimezone():%Y-%m-%d %H:%M}" if report.since else "the beginning"
    until = f"{report.until.astimezone():%Y-%m-%d %H:%M}" if report.until else "now"
    return f"{since} to {until}" + (f" · app {report.app}" if report.app else "")


def sections(report: StatsReport) -> list[Section]:
    """All that have something to say."""
    found = (
        _days(report),
        _types(report),
        _workers(report),
        _pairs(report),
        _checks(report),
        _error_rates(report),
        _attempts(report),
        _calls(report),
        _reviews(report),
        _budget(report),
    )
    return [section for section in found if section.rows]


def _days(report: StatsReport) -> Section:
    most = max((day.tasks for day in report.days), default=1)
    return Section(
        title="Tasks by day",
        note="Days of UTC.",
        columns=("day", "tasks>", "verified>", "cost>", "saved>"),
        rows=[
            (d.day, f"{d.tasks:,}", f"{d.verified:,}", usd(d.cost_usd), usd(d.saved_usd))
            for d in report.days
        ],
        legend=(("good", "verified"), ("unclear", "not verified")),
        bars=[
            _verified_bar(d.day, d.verified, d.tasks, most, f"{d.verified:,} of {d.tasks:,}")
            for d in report.days
        ],
        is_timeline=True,
    )


def _types(report: StatsReport) -> Section:
    most = max((item.tasks for item in report.types), default=1)
    return Section(
        title="Task types",
        note="Most common first. Verified is a share with its 95 % interval; costs and savings are "
        "sums of what is known.",
        columns=("type", "tasks>", "verified>", "attempts per task>", "climbs per task>",
                 "cost>", "cost unknown>", "saved>", "median>", "p95>"),
        rows=[
            (
                item.task_type,
                f"{item.tasks:,}",
                share(item.success),
                f"{item.attempts_per_task:.2f}",
                f"{item.climbs_per_task:.2f}",
                usd(item.cost_usd),
                f"{item.tasks_of_unknown_cost:,}",
                usd(item.saved_usd),
                seconds(item.median_s),
                seconds(item.p95_s),
            )
            for item in report.types
        ],
        legend=(("good", "verified"), ("unclear", "not verified")),
        bars=[
            _verified_bar(item.task_type, item.verified, item.tasks, most, f"{item.tasks:,}")
            for item in report.types
        ],
    )  # fmt: skip


def _verified_bar(label: str, verified: int, tasks: int, most: int, text: str) -> Bar:
    return Bar(
        label=label,
        parts=(("good", verified / most), ("unclear", (tasks - verified) / most)),
        text=text,
    )


def _workers(report: StatsReport) -> Section:
    return Section(
        title="Success by worker",
        note="Of the attempts that checks decided, the share that passed all of them, with its "
        "95 % interval. What climbs to a worker is harder than what begins with it.",
        columns=("worker", "attempts>", "passed>", "failed>", "success>", "verified tasks>",
                 "cost>", "cost unknown>", "median>", "p95>"),
        rows=[
            (
                item.worker,
                f"{item.attempts:,}",
                f"{item.passed:,}",
                f"{item.failed:,}",
                share(item.success) if item.passed + item.failed else "–",
                f"{item.verified_tasks:,}",
                usd(item.cost_usd),
                f"{item.attempts_of_unknown_cost:,}",
                seconds(item.median_s),
                seconds(item.p95_s),
            )
            for item in report.workers
        ],
        bars=[
            share_bar(item.worker, item.success)
            for item in report.workers
            if item.passed + item.failed
        ],
    )  # fmt: skip


def _pairs(report: StatsReport) -> Section:
    return Section(
        title="Workers and checkers",
        note="Attempts that a checker model judged. Right is the share of accepted answers that "
        "labels say are right. The surest pair of each type, of five attempts or more, is marked.",
        columns=("type", "worker", "checker", "attempts>", "accepted>", "labels>", "right>",
                 "cost>", "best"),
        rows=[
            (
                item.task_type,
                item.worker,
                item.checker,
                f"{item.passed + item.failed:,}",
                share(item.accepted),
                f"{item.right + item.wrong:,}",
                share(item.correct) if item.correct else "unknown",
                usd(item.cost_usd),
                "★" if item.is_best else "",
            )
            for item in report.pairs
        ],
    )  # fmt: skip


def _checks(report: StatsReport) -> Section:
    most = max((check.verdicts for check in report.checks), default=1)
    return Section(
        title="Verdicts by check",
        columns=("check", "pass>", "fail>", "unavailable>", "error>"),
        rows=[
            (c.check, f"{c.passed:,}", f"{c.failed:,}", f"{c.unavailable:,}", f"{c.errors:,}")
            for c in report.checks
        ],
        legend=(("good", "pass"), ("bad", "fail"), ("unclear", "unavailable or error")),
        bars=[
            Bar(
                label=c.check,
                parts=(
                    ("good", c.passed / most),
                    ("bad", c.failed / most),
                    ("unclear", (c.unavailable + c.errors) / most),
                ),
                text=f"{c.verdicts:,}",
            )
            for c in report.checks
        ],
    )


def _error_rates(report: StatsReport) -> Section:
    return Section(
        title="How often checks are wrong",
        note="From labels on the last attempts, whatever the period. “all” is everything that an "
        "attempt had to pass, as in the plot of wrong answers accepted.",
        columns=("check", "models", "type", "attempts>", "labels>", "wrong accepted>",
                 "right refused>"),
        rows=[
            (
                view.check,
                view.model_class,
                view.task_type,
                f"{view.attempts:,}",
                f"{view.labels:,}",
                share(view.false_accept) if view.false_accept else "unknown",
                share(view.false_reject) if view.false_reject else "unknown",
            )
            for view in report.error_rates
        ],
        bars=[
            share_bar(f"{v.model_class} · {v.task_type}", v.false_accept, "bad")
            for v in report.error_rates
            if v.false_accept and v.check == "all"
        ],
    )  # fmt: skip


def _attempts(report: StatsReport) -> Section:
    most = max(report.attempts_per_task.values(), default=1)
    return Section(
        title="Attempts per task",
        columns=("attempts>", "tasks>"),
        rows=[(f"{n:,}", f"{tasks:,}") for n, tasks in report.attempts_per_task.items()],
        bars=[
            Bar(label=f"{n}", parts=(("plain", tasks / most),), text=f"{tasks:,}")
            for n, tasks in report.attempts_per_task.items()
        ],
    )


def _calls(report: StatsReport) -> Section:
    fastest = max((item.median_tokens_per_s or 0.0 for item in report.calls), default=0.0)
    return Section(
        title="Calls by model",
        note="Speed is the median of what the engines report.",
        columns=("engine", "model", "calls>", "errors>", "tokens in>", "tokens out>", "tokens/s>",
                 "median>", "p95>", "cost>", "cost unknown>"),
        rows=[
            (
                item.engine,
                item.model,
                f"{item.calls:,}",
                f"{item.errors:,}",
                f"{item.tokens_in:,}",
                f"{item.tokens_out:,}",
                f"{item.median_tokens_per_s:,.1f}" if item.median_tokens_per_s else "–",
                seconds(item.median_s),
                seconds(item.p95_s),
                usd(item.cost_usd),
                f"{item.calls_of_unknown_cost:,}",
            )
            for item in report.calls
        ],
        legend=(("plain", "tokens per second"),),
        bars=[
            Bar(
                label=f"{item.engine}/{item.model}",
                parts=(("plain", item.median_tokens_per_s / fastest),),
                text=f"{item.median_tokens_per_s:,.1f}",
            )
            for item in report.calls
            if item.median_tokens_per_s
        ],
    )  # fmt: skip


def _reviews(report: StatsReport) -> Section:
    states = ("open", "approved", "rejected", "skipped")
    return Section(
        title="Reviews",
        columns=("kind", *(f"{state}>" for state in states), "median to decide>"),
        rows=[
            (
                item.kind,
                *(f"{item.states.get(state, 0):,}" for state in states),
                seconds(item.median_s),
            )
            for item in report.reviews
        ],
    )


def _budget(report: StatsReport) -> Section:
    lines = [line for line in report.budget.lines if line.limit is not None]
    return Section(
        title="Budgets",
        note="Of today and this month, whatever the period.",
        columns=("budget", "for", "limit>", "used>", "in flight>", "left>"),
        rows=[
            (
                f"{line.period}, {line.unit}",
                line.part.replace(":", " ", 1) or "everything",
                *(
                    "–" if value is None else usd(value) if line.unit == "usd" else f"{value:,.0f}"
                    for value in (line.limit, line.used, line.reserved, line.left)
                ),
            )
            for line in lines
        ],
        bars=[
            Bar(
                label=f"{line.period} {line.part} {line.unit}",
                parts=(("plain", min(1.0, line.used / line.limit)),),
                text=f"{line.used / line.limit:.0%} used",
            )
            for line in lines
            if line.limit
        ],
    )
