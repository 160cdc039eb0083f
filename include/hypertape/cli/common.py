"""What the verbs share: options, the warehouse connection, tables and a progress display."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from hypertape.cells import visible
from hypertape.errors import BadInput, BatchIncomplete, BatchRefused, HypertapeError
from hypertape.markets import all_markets, get_market
from hypertape.model import Interval, Market, Window, asked_window, midnight, parse_instant
from hypertape.settings import load_settings
from hypertape.warehouse.connect import connect, resolve_dsn
from hypertape.warehouse.schema import verify

MarketOption = Annotated[
    str, typer.Option("--market", "-m", help="Market: vn, crypto, us, or one of the project's.")
]
IntervalOption = Annotated[str, typer.Option("--interval", "-i", help="Interval: 1d, 1h or 1m.")]
RUN_AGAIN = "Mend the cause and run the same again; what is stored and equal is not written again."

Connection = psycopg.Connection[Any]

TICKERS = ("--tickers", "--ticker", "--symbols", "-t")
START, END = ("--start-date", "--start"), ("--end-date", "--end")
"""The spellings of the options that many verbs share, the documented one first."""

TickersOption = Annotated[
    str | None, typer.Option(*TICKERS, help="Tickers, separated by commas; default: all.")
]
StartOption = Annotated[
    str | None, typer.Option(*START, help="First instant (UTC); default: where the market's history starts.")
]
EndOption = Annotated[
    str | None, typer.Option(*END, help="End of the window (UTC, not included); default: now.")
]


_PIPED_WIDTH = 100_000
"""Columns of what is no terminal: a line is cut nowhere, and the same whatever the terminal around it is."""


@dataclass
class Output:
    """How the command line speaks in this process."""

    quiet: bool = False


output = Output()


class _DataConsole(Console):
    """A console on which data cannot act: a control character in a name is shown as what it is (`\\x1b`)."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def print(self, *objects: Any, **options: Any) -> None:
        """Sentences break between words where a terminal is narrow; an address or a path is never cut in two."""
        if self.is_terminal and objects and all(isinstance(each, str | Text) for each in objects):
            whole = Text(" ").join(each if isinstance(each, Text) else Text(each) for each in objects)
            objects = (broken(whole, self.width),)
        super().print(*objects, **options)


def broken(text: Text, width: int) -> Text:
    """A text in lines of `width` columns, broken at blanks only: a longer word stands whole on a line of its own."""
    lines = []
    for line in text.split("\n", allow_blank=True):
        start, last = 0, -1
        for at in [*(i for i, letter in enumerate(line.plain) if letter == " "), len(line)]:
            if at - start > width and last > start:
                lines.append(line[start:last])
                start = last + 1
            last = at
        lines.append(line[start:])
    return Text("\n").join(lines)


def console(*, stderr: bool = False) -> Console:
    """Where results go, or errors. What is printed is data: no markup and no emoji names are looked for in it."""
    stream = sys.stderr if stderr else sys.stdout
    return _DataConsole(
        soft_wrap=True, stderr=stderr, markup=False, emoji=False, quiet=output.quiet and not stderr,
        width=None if stream.isatty() else _PIPED_WIDTH,
    )  # fmt: skip


def now() -> datetime:
    """The instant a command started, UTC: the one place of the command line that reads the clock."""
    return datetime.now(UTC)


def warehouse_dsn() -> str:
    """The DSN of the warehouse that the environment (or the running embedded server) names."""
    return resolve_dsn(load_settings())


@contextmanager
def warehouse() -> Iterator[Connection]:
    """A connection to a warehouse whose schema is current."""
    with connect(warehouse_dsn()) as connection:
        verify(connection, all_markets().values())
        yield connection


def of(market: str, interval: str) -> tuple[Market, Interval]:
    """Read the market and interval options."""
    return get_market(market), Interval.parse(interval)


def window_of(market: Market, interval: Interval, start: str | None, end: str | None, at: datetime) -> Window:
    """Read the window options; without them all of the market's history up to `at`."""
    edges = (parse_instant(edge) if edge else None for edge in (start, end))
    return asked_window(*edges, earliest=midnight(market.history_start[interval]), now=at)


def end_with(error: HypertapeError | None, failed: Collection[str], may_pass: Collection[str]) -> None:
    """Raise what a run ends with: its error; else, when tickers failed, BatchIncomplete if one may succeed later."""
    if error is not None and not (failed and isinstance(error, BatchRefused)):
        raise error
    if failed:
        what = error.what if error else f"{len(failed)} tickers failed: {', '.join(sorted(failed))}"
        kind = BatchIncomplete if may_pass else BatchRefused
        raise kind(what, next_step=error.advice if error else RUN_AGAIN)


def split(tickers: str | None) -> list[str] | None:
    """Read a comma-separated list; None when it was not given."""
    return [name.strip() for name in tickers.split(",") if name.strip()] if tickers else None


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table for people: ruled on a terminal, plain columns where something else reads it."""
    drawn = Table(title=broken(Text(title), console().width), title_justify="left")
    if not sys.stdout.isatty():
        drawn.box, drawn.pad_edge, drawn.padding = None, False, (0, 2, 0, 0)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(
            *("" if cell is None else cell if isinstance(cell, Text) else str(cell) for cell in row)
        )
    return drawn


def write_page(output: Path, html: str) -> None:
    """Write a page to a file and say so. Raises BadInput where that cannot be."""
    try:
        output.write_text(html, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"{output} cannot be written: {error.strerror}", next_step="Name another file."
        ) from error
    console().print(f"wrote {output} ({output.stat().st_size / 1024:.0f} kB)", highlight=False)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress display on stderr; yields `on_step(name, done, total)`. Silent when stderr is not a terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    shown = sys.stderr.isatty() and not output.quiet
    with Progress(*columns, console=console(stderr=True), disable=not shown) as display:
        tasks: dict[str, Any] = {}

        def on_step(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = display.add_task(name, total=total)
            display.update(tasks[name], completed=done, total=total)

        yield on_step
