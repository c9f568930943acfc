"""What the ledger can say of itself, of models, tools and tasks: shapes, and the queries for them.

The queries are the same on SQLite and PostgreSQL.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, Select, case, cast, func, select

from rung.ledger.address import Mode
from rung.ledger.period import Period, tasks_of
from rung.ledger.tables import agent_run, review_item, task_log


class LedgerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """`ok` means that rows can be written now, or that the ledger is off because the user said so.

    `lost_rows` counts rows that could never be written, by any process with this data folder;
    `mended_rows` those of this process that were written with something replaced. `last_error` is
    what is wrong now; where nothing is, why rows were lost last.
    """

    ok: bool
    mode: Mode
    url: str
    revision: str | None = None
    latency_ms: float | None = None
    pending_rows: int = 0
    lost_rows: int = 0
    mended_rows: int = 0
    last_error: str | None = None


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One model's calls. `cost_usd` sums what is known: `None` if nothing is.

    `calls_of_unknown_cost` says how many calls are missing from it. `median_total_ms` is of the
    calls that succeeded. Token sums count what engines reported.
    """

    engine: str
    model: str
    calls: int
    ok: int
    errors: dict[str, int]
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    calls_of_unknown_cost: int
    median_total_ms: float | None
    last_call_at: datetime


class ToolStatus(msgspec.Struct, frozen=True, kw_only=True):
    """RFC-080's pipeline status of one kind of engine."""

    tool: str
    success: int
    failure: int
    last_run_at: datetime
    last_status: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What happened since `since`. `tasks` counts by outcome; `open_reviews` are of any age."""

    since: datetime
    models: list[ModelSummary] = []
    pipelines: list[ToolStatus] = []
    tasks: dict[str, int] = {}
    saved_usd: float | None = None
    open_reviews: int = 0


def summarise(connection: Connection, since: datetime) -> Summary:
    """All of it, read in one transaction."""
    is_counted = tasks_of(Period(since=since))
    tasks = connection.execute(
        select(task_log.c.outcome, func.count())
        .where(is_counted)
        .group_by(task_log.c.outcome)
        .order_by(task_log.c.outcome)
    )
    saved = select(func.sum(task_log.c.saved_usd)).where(is_counted)
    open_reviews = select(func.count()).where(review_item.c.state == "open")
    return Summary(
        since=since,
        models=_models(connection, since),
        pipelines=_pipelines(connection, since),
        tasks={row[0]: row[1] for row in tasks},
        saved_usd=connection.scalar(saved),
        open_reviews=connection.scalar(open_reviews) or 0,
    )


def _models(connection: Connection, since: datetime) -> list[ModelSummary]:
    key = (agent_run.c.engine, agent_run.c.model)
    errors: dict[tuple[str, str], dict[str, int]] = {}
    for row in _rows(connection, _errors(since)):
        errors.setdefault((row["engine"], row["model"]), {})[row["kind"]] = row["calls"]
    medians = {(r["engine"], r["model"]): r["median"] for r in _rows(connection, _medians(since))}
    totals = (
        select(
            *key,
            func.count().label("calls"),
            _count_if(agent_run.c.status == "ok").label("ok"),
            _sum(agent_run.c.tokens_in).label("tokens_in"),
            _sum(agent_run.c.tokens_out).label("tokens_out"),
            func.sum(agent_run.c.cost_usd).label("cost_usd"),
            _count_if(agent_run.c.cost_usd.is_(None)).label("calls_of_unknown_cost"),
            func.max(agent_run.c.created_at).label("last_call_at"),
        )
        .where(agent_run.c.created_at >= since)
        .group_by(*key)
        .order_by(*key)
    )
    return [
        ModelSummary(
            **row,
            errors=errors.get((row["engine"], row["model"]), {}),
            median_total_ms=medians.get((row["engine"], row["model"])),
        )
        for row in _rows(connection, totals)
    ]


def _errors(since: datetime) -> Select[*tuple[Any, ...]]:
    kind = func.coalesce(agent_run.c.error_kind, "unknown").label("kind")
    key = (agent_run.c.engine, agent_run.c.model, kind)
    return (
        select(*key, func.count().label("calls"))
        .where(agent_run.c.created_at >= since, agent_run.c.status != "ok")
        .group_by("engine", "model", "kind")
        .order_by("engine", "model", "kind")
    )


def _medians(since: datetime) -> Select[*tuple[Any, ...]]:
    """SQLite has no percentile function, so: rank the calls, and average the middle one or two."""
    key = (agent_run.c.engine, agent_run.c.model)
    place = func.row_number().over(partition_by=key, order_by=agent_run.c.total_ms)
    size = func.count().over(partition_by=key)
    ranked = (
        select(*key, agent_run.c.total_ms, place.label("place"), size.label("size"))
        .where(
            agent_run.c.created_at >= since,
            agent_run.c.status == "ok",
            agent_run.c.total_ms.is_not(None),
        )
        .subquery()
    )
    return (
        select(ranked.c.engine, ranked.c.model, func.avg(ranked.c.total_ms).label("median"))
        .where(ranked.c.place * 2 >= ranked.c.size, ranked.c.place * 2 <= ranked.c.size + 2)
        .group_by(ranked.c.engine, ranked.c.model)
    )


def _pipelines(connection: Connection, since: datetime) -> list[ToolStatus]:
    is_ok = agent_run.c.status == "ok"
    counts = (
        select(
            agent_run.c.tool,
            _count_if(is_ok).label("success"),
            _count_if(~is_ok).label("failure"),
            func.max(agent_run.c.id).label("last_id"),
        )
        .where(agent_run.c.created_at >= since)
        .group_by(agent_run.c.tool)
        .subquery()
    )
    query = (
        select(
            counts.c.tool,
            counts.c.success,
            counts.c.failure,
            agent_run.c.created_at.label("last_run_at"),
            agent_run.c.status.label("last_status"),
        )
        .join(agent_run, agent_run.c.id == counts.c.last_id)
        .order_by(counts.c.tool)
    )
    return [ToolStatus(**row) for row in _rows(connection, query)]


def _rows(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _sum(column: ColumnElement[Any]) -> ColumnElement[int]:
    # PostgreSQL sums integers into a decimal number.
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


def _count_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))
