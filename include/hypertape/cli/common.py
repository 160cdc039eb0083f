"""What the verbs share: options, the warehouse connection, tables and a progress display."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from hypertape.markets import all_markets, get_market
from hypertape.model import Interval, Market
from hypertape.settings import load_settings
from hypertape.warehouse.connect import connect, resolve_dsn
from hypertape.warehouse.migrate import verify

MarketOption = Annotated[str, typer.Option("--market", "-m", help="Market: vn, crypto or us.")]
IntervalOption = Annotated[str, typer.Option("--interval", "-i", help="Interval: 1d, 1h or 1m.")]
TickersOption = Annotated[str | None, typer.Option("--tickers", "-t", help="Tickers, separated by commas.")]


def console(*, stderr: bool = False) -> Console:
    """Where results go, or errors."""
    return Console(soft_wrap=True, stderr=stderr)


def now() -> datetime:
    """The instant a command started, UTC: the one place of the command line that reads the clock."""
    return datetime.now(UTC)


def warehouse_dsn() -> str:
    """The DSN of the warehouse that the environment (or the running embedded server) names."""
    return resolve_dsn(load_settings())


@contextmanager
def warehouse() -> Iterator[psycopg.Connection[Any]]:
    """A connection to a warehouse whose schema is current."""
    with connect(warehouse_dsn()) as connection:
        verify(connection, all_markets().values())
        yield connection


def of(market: str, interval: str) -> tuple[Market, Interval]:
    """Read the market and interval options."""
    return get_market(market), Interval.parse(interval)


def split(tickers: str | None) -> list[str] | None:
    """Read a comma-separated list; None when it was not given."""
    return [name.strip() for name in tickers.split(",") if name.strip()] if tickers else None


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table for people."""
    drawn = Table(title=title, title_justify="left")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*("" if cell is None else str(cell) for cell in row))
    return drawn


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress display on stderr; yields `on_step(name, done, total)`. Silent when stderr is not a terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, disable=not sys.stderr.isatty()) as display:
        tasks: dict[str, Any] = {}

        def on_step(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = display.add_task(name, total=total)
            display.update(tasks[name], completed=done, total=total)

        yield on_step
