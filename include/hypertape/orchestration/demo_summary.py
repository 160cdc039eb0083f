"""What the demo shows at its end: bars, rollups, checks, refused rows, and the planted defects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from rich.table import Table

from hypertape.markets import get_market
from hypertape.model import Interval, format_instant
from hypertape.orchestration.demo_defects import DemoFinding, find_planted
from hypertape.orchestration.demo_ticks import TickFinding
from hypertape.queries import query
from hypertape.sources.sample import Plan
from hypertape.warehouse.connect import connect
from hypertape.warehouse.rollups import derived

Connection = psycopg.Connection[Any]
Row = tuple[Any, ...]

_WHOLE = ("relation", "check", "first", "last", "bars", "found by")
"""Columns that are never broken over two lines."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The tables of the demo's end; `findings` and `ticks` only for the sample."""

    bars: list[Row]
    checks: list[Row]
    refused: list[Row]
    findings: list[DemoFinding]
    sample: bool
    ticks: Sequence[TickFinding] = ()

    @property
    def missed(self) -> list[DemoFinding | TickFinding]:
        """Planted defects without evidence."""
        planted: list[DemoFinding | TickFinding] = [*self.findings, *self.ticks]
        return [finding for finding in planted if not finding.found]

    def verdict(self) -> str:
        """One sentence."""
        if not self.sample:
            failed = sum(1 for row in self.checks if row[3] == "failed")
            bars, refused = sum(row[2] for row in self.bars), sum(row[-1] for row in self.refused)
            return f"{bars:,} bars, {refused} rows refused, {failed} checks found something."
        planted = len(self.findings) + len(self.ticks)
        of_ticks = f", {len(self.ticks)} of them in ticks" if self.ticks else ""
        found = planted - len(self.missed)
        return f"{found} of {planted} planted defects found{of_ticks} (SYNTHETIC sample data)."

    def tables(self) -> list[Table]:
        """Everything as tables for a terminal."""
        shown = [
            _table(
                "bars in the warehouse",
                ("relation", "series", "bars", "with ma200", "first", "last"),
                self.bars,
            ),
            _table(
                "checks that found something",
                ("relation", "check", "severity", "status", "of", "offenders", "first"),
                self.checks,
            ),
            _table("rows refused by the gate", ("relation", "rule", "rows"), self.refused),
        ]
        if self.findings:
            rows = [
                (
                    f"{f.planted.market} {f.planted.interval.value}",
                    f.planted.ticker,
                    f.planted.kind.value,
                    f.evidence or "NOT FOUND",
                )
                for f in self.findings
            ]
            rows += [("ticks", t.symbol, t.what, t.evidence or "NOT FOUND") for t in self.ticks]
            shown.append(
                _table("planted defects (synthetic data)", ("where", "ticker", "planted", "found by"), rows)
            )
        return shown


def summarise(
    dsn: str, pairs: Sequence[tuple[str, Interval]], *, plan: Plan | None, ticks: Sequence[TickFinding] = ()
) -> Summary:
    """Read the summary of the (market, interval) pairs that were loaded; `ticks` is what a feed showed.

    `plan` is that of the sample, None where other data were loaded.
    """
    with connect(dsn) as connection:
        bars = [row for market, interval in pairs for row in _bars(connection, market, interval)]
        checks = connection.execute(query("demo_checks")).fetchall()
        refused = connection.execute(query("demo_refused")).fetchall()
        findings = find_planted(connection, pairs, plan) if plan else []
    return Summary(bars, checks, refused, findings, plan is not None, ticks)


def _bars(connection: Connection, code: str, interval: Interval) -> list[Row]:
    market = get_market(code)
    rows = []
    for level in (interval, *derived(interval)):
        name = market.relation(level)
        average = sql.SQL("count(ma200)" if level.is_stored else "null")
        statement = query("demo_bars").format(relation=sql.Identifier("public", name), average=average)
        row = connection.execute(statement).fetchone()
        assert row is not None
        series, bars, averages, first, last = row
        rows.append(
            (name, series, bars, averages, first and format_instant(first), last and format_instant(last))
        )
    return rows


def _table(title: str, columns: Sequence[str], rows: Sequence[Row]) -> Table:
    drawn = Table(title=title, title_justify="left")
    for column in columns:
        drawn.add_column(column, overflow="fold", no_wrap=column in _WHOLE)
    for row in rows:
        drawn.add_row(
            *("" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row)
        )
    return drawn
