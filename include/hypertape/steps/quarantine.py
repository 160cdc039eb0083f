"""Replay refused rows: judge them by today's rules, load those that pass, keep the others.

A row only fills a hole. Where a bar of its time is stored, that bar came later and stays; the row is released as
superseded. So a replay may be run at any time, by anybody, again: nothing is lost and nothing newer is overwritten.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import psycopg
import pyarrow as pa

from hypertape.errors import HypertapeError
from hypertape.frame import BAR_SCHEMA
from hypertape.model import VALUE_COLUMNS, Interval, Window, parse_instant
from hypertape.quality.gate import gate
from hypertape.settings import Settings
from hypertape.steps.after_load import AfterLoad, after_load
from hypertape.steps.plan import until_now
from hypertape.steps.refresh import refresh_waiting
from hypertape.steps.run_spec import Json, OnStep, RunSpec, loaded_spec, silent
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import register_symbols
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.quarantine import LOADED, SUPERSEDED, Refused, find, release, stored_keys
from hypertape.warehouse.rollups import waiting_scopes

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

REASON = "replay"
OUTCOMES = ("loaded", "superseded", "refused", "unreadable", "suspect scale")


@dataclass(slots=True)
class Replayed:
    """How many rows had which outcome, in all and by series family, and what followed the loads."""

    run_id: str
    rows: int
    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, dict[str, int]] = field(default_factory=dict)
    after: list[AfterLoad] = field(default_factory=list)

    @property
    def error(self) -> HypertapeError | None:
        """What the replay ends with, after everything that could be done was done."""
        return next((tail.error for tail in self.after if tail.error), None)

    def to_json(self) -> Json:
        """Return a JSON object."""
        outcomes = {name: self.counts[name] for name in OUTCOMES}
        return {"run_id": self.run_id, "rows": self.rows, **outcomes, "places": self.places}


def replay(
    dsn: str,
    which: Refused,
    *,
    run_id: str,
    now: datetime,
    settings: Settings,
    dry_run: bool = False,
    on_step: OnStep = silent,
) -> Replayed:
    """Replay the open rows that `which` means and return how many had which outcome.

    The loads are of run `run_id` with the reason `replay`; what follows any load follows them. Rollups that an earlier
    replay left waiting are refreshed too. A dry run says what would happen. Raises what the warehouse raises; a ticker
    whose rows look scaled keeps them.
    """
    with connect(dsn) as connection:
        rows = find(connection, which)
        done = Replayed(run_id, len(rows))
        for (market, interval, source), family in groupby(rows, key=_family):
            spec = loaded_spec(run_id, market, interval, source, Window(now, now))
            found = _replay_family(connection, spec, list(family), now, dry_run)
            done.places[f"{market} {interval} {source}"] = dict(found)
            done.counts += found
    if not dry_run:
        scopes = _touched(rows) if done.counts["loaded"] or done.counts["superseded"] else {}
        for (market, interval), of_scope in scopes.items():
            spec = loaded_spec(run_id, market, interval, REASON, _hull(of_scope, interval, now))
            tickers = sorted({row["ticker"] for row in of_scope})
            done.after.append(
                after_load(dsn, spec, now=now, settings=settings, tickers=tickers, on_step=on_step)
            )
        _finish_others(dsn, which, scopes, run_id, now)
    return done


def _touched(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """The rows by market and interval."""
    scopes: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        scopes[row["market"], row["interval"]].append(row)
    return dict(sorted(scopes.items()))


def _hull(rows: Sequence[Row], interval: str, now: datetime) -> Window:
    """The window that the rows' bars lie in, as far as it is over."""
    times = [row["time"] for row in rows if row["time"] is not None]
    if not times:
        return Window(now, now)
    return until_now(Window(min(times), max(times) + (Interval(interval).delta or timedelta(0))), now)


def _finish_others(
    dsn: str, which: Refused, done: Collection[tuple[str, str]], run_id: str, now: datetime
) -> None:
    """Refresh what a replay that was killed has left waiting."""
    with connect(dsn) as connection:
        waiting = waiting_scopes(connection, timedelta(0))
    for market, interval in waiting:
        named = which.market in (None, market) and which.interval in (None, interval)
        if named and (market, interval) not in done:
            refresh_waiting(dsn, run_id, market, interval, now)


def _family(row: Row) -> tuple[str, str, str]:
    return row["market"], row["interval"], row["source"]


def _replay_family(
    connection: Connection, spec: RunSpec, rows: Sequence[Row], now: datetime, dry_run: bool
) -> Counter[str]:
    """Replay the rows of one market, interval and source in one transaction."""
    bars = {row["quarantine_id"]: read_row(row) for row in rows}
    keys = {number: (bar["ticker"], bar["time"]) for number, bar in bars.items() if bar and bar["time"]}
    stored = stored_keys(connection, spec.market, spec.interval, set(keys.values()))
    superseded = [number for number, key in keys.items() if key in stored]
    candidates = {n: bar for n, bar in bars.items() if bar is not None and n not in set(superseded)}
    frame = pa.Table.from_pylist(list(candidates.values()), schema=BAR_SCHEMA)
    clean = gate(frame, spec.market, spec.interval, now=now).bars
    passing = set(zip(clean["ticker"].to_pylist(), clean["time"].to_pylist(), strict=True))
    fits = [number for number in candidates if keys.get(number) in passing]
    winners = {keys[number]: number for number in fits}  # of rows with one key the last came last
    superseded += [number for number in fits if winners[keys[number]] != number]
    scaled: set[str] = set() if dry_run else _load(connection, spec, clean, now)
    loaded = [number for key, number in winners.items() if key[0] not in scaled]
    if not dry_run:
        release(connection, loaded, LOADED, run_id=spec.run_id, now=now)
        release(connection, superseded, SUPERSEDED, run_id=spec.run_id, now=now)
    connection.commit()
    unreadable = sum(bar is None for bar in bars.values())
    found = Counter({"loaded": len(loaded), "superseded": len(superseded), "unreadable": unreadable})
    found["suspect scale"] = len(winners) - len(loaded)
    found["refused"] = len(rows) - found.total()
    return found


def _load(connection: Connection, spec: RunSpec, clean: pa.Table, now: datetime) -> set[str]:
    """Load the rows that pass; return the tickers whose prices look scaled: nothing of theirs was written."""
    if len(clean) == 0:
        return set()
    width = spec.interval.delta or timedelta(0)
    windows = {
        span["ticker"]: Window(span["time_min"], span["time_max"] + width)
        for span in clean.group_by("ticker").aggregate([("time", "min"), ("time", "max")]).to_pylist()
    }
    hull = Window(min(w.start for w in windows.values()), max(w.end for w in windows.values()))
    request = LoadRequest(
        spec.market,
        spec.interval,
        spec.run_id,
        spec.source.name,
        hull,
        now,
        windows=windows,
        keep_stored=True,
        reason=REASON,
    )
    results = load_bars(connection, clean, request)
    register_symbols(connection, spec.market, [result.ticker for result in results if result.inserted])
    return {result.ticker for result in results if result.refused}


def read_row(row: Row) -> dict[str, Any] | None:
    """Read a refused row back as a bar; None when it is none, whatever the rules: cut lines, another ticker's line.

    Values that are no numbers become null, a time that cannot be read too: the gate refuses them again.
    """
    try:
        cells = json.loads(row["row_text"])
    except ValueError:
        return None
    if not isinstance(cells, dict) or not {"open", "high", "low", "close", "volume"} <= cells.keys():
        return None
    if cells.get("ticker", row["ticker"]) != row["ticker"]:
        return None
    values = {name: _number(cells.get(name)) for name in VALUE_COLUMNS}
    return {"ticker": row["ticker"], "time": _time(cells.get("time")) or row["time"], **values}


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _time(value: object) -> datetime | None:
    try:
        return parse_instant(value) if isinstance(value, str) else None
    except (HypertapeError, OverflowError):
        return None
