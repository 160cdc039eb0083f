"""Replay refused rows: judge them by today's rules, load those that pass, keep the others.

A row only fills a hole. Where a bar of its time is stored, that bar came later and stays; the row is released as
superseded. So a replay may be run at any time, by anybody, again: nothing is lost and nothing newer is overwritten.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import psycopg
import pyarrow as pa

from hypertape.errors import HypertapeError
from hypertape.frame import BAR_SCHEMA
from hypertape.markets import get_market
from hypertape.model import VALUE_COLUMNS, Interval, Window, parse_instant
from hypertape.quality.gate import gate
from hypertape.settings import Settings, load_settings
from hypertape.sources import SourceConfig
from hypertape.steps.mirror import deliver_mirrors
from hypertape.steps.plan import RunSpec
from hypertape.steps.refresh import refresh
from hypertape.warehouse.connect import connect
from hypertape.warehouse.gaps.ledger import note_gaps
from hypertape.warehouse.ledger import register_symbols
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.quarantine import LOADED, SUPERSEDED, Refused, find, release, stored_keys

Connection = psycopg.Connection[Any]
Row = Mapping[str, Any]

REASON = "replay"
OUTCOMES = ("loaded", "superseded", "refused", "unreadable", "suspect scale")


def replay(
    dsn: str,
    which: Refused,
    *,
    run_id: str,
    now: datetime,
    dry_run: bool = False,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Replay the open rows that `which` means and return how many rows had which outcome, in all and by series family.

    The loads are of run `run_id` with the reason `replay`; rollups are refreshed, gaps closed and mirrors fed. A dry
    run says what would happen. Raises what the warehouse raises; a ticker whose rows look scaled keeps them.
    """
    settings = settings or load_settings()
    counts: Counter[str] = Counter()
    places: dict[str, dict[str, int]] = {}
    with connect(dsn) as connection:
        rows = find(connection, which)
        for (market, interval, source), family in groupby(rows, key=_family):
            head = _head(run_id, market, interval, source, now)
            found = _replay_family(connection, head, list(family), now, dry_run)
            places[f"{market} {interval} {source}"] = dict(found)
            counts += found
    if counts["loaded"] and not dry_run:
        for market, interval in {(row["market"], row["interval"]) for row in rows}:
            refresh(dsn, _head(run_id, market, interval, REASON, now).to_json())
        deliver_mirrors(dsn, now=now, settings=settings)
    if (counts["loaded"] or counts["superseded"]) and not dry_run:
        _note_gaps(dsn, rows, run_id, now)
    return {
        "run_id": run_id,
        "rows": len(rows),
        **{name: counts[name] for name in OUTCOMES},
        "places": places,
    }


def _note_gaps(dsn: str, rows: Sequence[Row], run_id: str, now: datetime) -> None:
    """Look at the series of the rows again, so that what arrived is closed."""
    tickers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        tickers[row["market"], row["interval"]].add(row["ticker"])
    with connect(dsn) as connection:
        for (market, interval), touched in sorted(tickers.items()):
            of = get_market(market), Interval(interval)
            note_gaps(connection, *of, None, now, run_id, tickers=sorted(touched))
            connection.commit()


def _head(run_id: str, market: str, interval: str, source: str, now: datetime) -> RunSpec:
    return RunSpec(run_id, get_market(market), Interval(interval), SourceConfig(source), Window(now, now))


def _family(row: Row) -> tuple[str, str, str]:
    return row["market"], row["interval"], row["source"]


def _replay_family(
    connection: Connection, head: RunSpec, rows: Sequence[Row], now: datetime, dry_run: bool
) -> Counter[str]:
    """Replay the rows of one market, interval and source in one transaction."""
    bars = {row["quarantine_id"]: read_row(row) for row in rows}
    keys = {number: (bar["ticker"], bar["time"]) for number, bar in bars.items() if bar and bar["time"]}
    stored = stored_keys(connection, head.market, head.interval, set(keys.values()))
    superseded = [number for number, key in keys.items() if key in stored]
    candidates = {n: bar for n, bar in bars.items() if bar is not None and n not in set(superseded)}
    frame = pa.Table.from_pylist(list(candidates.values()), schema=BAR_SCHEMA)
    clean = gate(frame, head.market, head.interval, now=now).bars
    passing = set(zip(clean["ticker"].to_pylist(), clean["time"].to_pylist(), strict=True))
    fits = [number for number in candidates if keys.get(number) in passing]
    winners = {keys[number]: number for number in fits}  # of rows with one key the last came last
    superseded += [number for number in fits if winners[keys[number]] != number]
    scaled: set[str] = set() if dry_run else _load(connection, head, clean, now)
    loaded = [number for key, number in winners.items() if key[0] not in scaled]
    if not dry_run:
        release(connection, loaded, LOADED, run_id=head.run_id, now=now)
        release(connection, superseded, SUPERSEDED, run_id=head.run_id, now=now)
    connection.commit()
    unreadable = sum(bar is None for bar in bars.values())
    found = Counter({"loaded": len(loaded), "superseded": len(superseded), "unreadable": unreadable})
    found["suspect scale"] = len(winners) - len(loaded)
    found["refused"] = len(rows) - found.total()
    return found


def _load(connection: Connection, head: RunSpec, clean: pa.Table, now: datetime) -> set[str]:
    """Load the rows that pass; return the tickers whose prices look scaled: nothing of theirs was written."""
    if len(clean) == 0:
        return set()
    times = clean["time"].to_pylist()
    window = Window(min(times), max(times) + (head.interval.delta or timedelta(0)))
    request = LoadRequest(
        head.market,
        head.interval,
        head.run_id,
        head.source.name,
        window,
        now,
        keep_stored=True,
        reason=REASON,
    )
    results = load_bars(connection, clean, request)
    register_symbols(connection, head.market, [result.ticker for result in results if result.inserted])
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
