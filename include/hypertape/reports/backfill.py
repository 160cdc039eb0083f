"""What the report of a backfill shows: its plan, and how far each unit of the work is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from hypertape.errors import BadInput
from hypertape.model import Window, format_instant, parse_instant
from hypertape.reports.run import MOST, rows
from hypertape.reports.verdict import NOTE, Statement, plural

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

_FIGURES = (
    "market", "interval", "mode", "reason", "sessions", "expected", "present", "missing", "sessions_missing",
    "sessions_thin", "explained", "calls", "seconds_per_call", "timed_calls",
)  # fmt: skip
_ONLY_MISSING = (
    "Only tickers that miss bars in a window are asked for; what is stored and final stays as it is."
)
_MODES = {
    "missing": _ONLY_MISSING,
    "overwrite": "Everything in the window is read again; what differs is written, the former values are kept.",
    "restate": "The whole history of the tickers is read again and taken at any scale; the former values are kept.",
}


def gather_backfill(connection: Connection, run_id: str) -> Row:
    """Everything the template `backfill.html` needs: the plan of a rehearsal. Raises BadInput for an unknown run."""
    found = backfill_of(connection, run_id)
    if found is None:
        raise BadInput(
            f"There is no backfill of the run {run_id!r}", next_step="See `select * from backfill`."
        )
    return {"run_id": run_id, "backfill": found, "verdict": _verdict(found["plan"])}


def backfill_of(connection: Connection, run_id: str) -> Row | None:
    """The backfill of a run with its plan and its units, None when the run is none."""
    stored = rows(connection, "backfill_get", run_id=run_id)
    if not stored:
        return None
    units = rows(connection, "backfill_units", backfill_id=stored[0]["backfill_id"])
    plan = plan_figures(stored[0], units)
    unfinished_first = sorted(units, key=lambda unit: (unit["state"] == "done", unit["unit"]))
    return {
        **stored[0],
        "plan": plan,
        "lines": plan_lines(plan),
        "does": _MODES[stored[0]["mode"]],
        "units": unfinished_first[:MOST],
        "units_total": len(units),
    }


def plan_figures(stored: Mapping[str, Any], units: Sequence[Mapping[str, Any]]) -> Row:
    """The figures of a stored plan as JSON, counted at `planned_at`; `seconds` estimates what is left of it, one batch
    at a time."""
    left = stored["calls"] - sum(unit["calls"] for unit in units if unit["state"] == "done")
    return {
        **{name: stored[name] for name in _FIGURES},
        "window": Window(stored["window_start"], stored["window_end"]).to_json(),
        "source": stored["source"]["name"],
        "tickers": len(stored["tickers"]),
        "seconds": left * stored["seconds_per_call"],
        "calls_left": left,
        "planned_at": stored["planned_at"].isoformat(),
        "units": len(units),
        "units_done": sum(unit["state"] == "done" for unit in units),
    }


def plan_lines(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A plan's figures as (what, text) pairs: the rows of its table, in reports, logs and on the command line."""
    calls = plural(plan["timed_calls"], "call")
    timed = f"measured over {calls}" if plan["timed_calls"] else "assumed, not measured yet"
    done = f", {_count(plan['units_done'])} of them done" if plan["units_done"] else ""
    left = f", {_count(plan['calls_left'])} of them left" if plan["units_done"] else ""
    narrow = [("sessions with less than half of the usual bars", _count(plan["sessions_thin"]))]
    return [
        ("market, interval, mode", f"{plan['market']} {plan['interval']} {plan['mode']}"),
        (
            "window (UTC, end not included)",
            " to ".join(map(format_instant, map(parse_instant, plan["window"]))),
        ),
        ("tickers", _count(plan["tickers"])),
        ("sessions that are over", _count(plan["sessions"])),
        ("bars expected", _count(plan["expected"])),
        ("bars present", _count(plan["present"])),
        ("bars missing", _count(plan["missing"])),
        ("sessions without a bar", _count(plan["sessions_missing"])),
        *(narrow if plan["interval"] != "1d" else ()),
        ("sessions without a bar that the gap ledger explains", _count(plan["explained"])),
        ("units to load (windows × batches of tickers)", _count(plan["units"]) + done),
        ("calls", f"{_count(plan['calls'])} to {plan['source']}{left}"),
        ("time per call", f"{plan['seconds_per_call']:.3g} s, {timed}"),
        ("estimated time", f"{duration(plan['seconds'])} with one batch at a time"),
        ("counted (UTC)", f"{format_instant(parse_instant(plan['planned_at']))}, before the first call"),
    ]


def _count(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def duration(seconds: float) -> str:
    """Seconds as people say them: `42 s`, `12 min`, `3 h 05 min`."""
    if 0 < seconds < 1:
        return "under 1 s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _verdict(plan: Mapping[str, Any]) -> Statement:
    if not plan["units"]:
        return Statement(NOTE, "Rehearsal: nothing is missing, there would be nothing to load")
    return Statement(
        NOTE,
        f"Rehearsal: {plural(plan['calls'], 'call')} to {plan['source']}, about {duration(plan['seconds'])}",
        ("Nothing was asked of the source and nothing was written.",),
    )
