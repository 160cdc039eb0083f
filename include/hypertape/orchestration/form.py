"""The form of a bar DAG's run, and what a run asks of the plan."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Context, Param

from hypertape.errors import BadInput
from hypertape.model import Interval, Market, Window, asked_window, parse_instant
from hypertape.orchestration.pools import source_names, usual_sources
from hypertape.settings import Settings

_BACKFILL = "backfill"
_TEXT_OR_NOTHING = ["null", "string"]


def form(market: Market, interval: Interval, settings: Settings) -> dict[str, Param]:
    """Build the trigger form. Every field is optional: an empty form is what a scheduled run does."""
    day = "date" if interval is Interval.D1 else "date-time"
    usual = " then ".join(usual_sources(market, settings))
    return {
        "tickers": Param(
            None,
            type=["null", "array"],
            items={"type": "string"},
            title="Tickers",
            description="One per line. Empty: all the source lists, else the market's file.",
        ),
        "start": Param(
            None,
            type=_TEXT_OR_NOTHING,
            format=day,
            title="Start",
            description="First instant (UTC) to load, together with End. Both empty: from the watermark on.",
        ),
        "end": Param(
            None,
            type=_TEXT_OR_NOTHING,
            format=day,
            title="End",
            description="First instant (UTC) not to load any more: the 5th loads up to and with the 4th.",
        ),
        "source": Param(
            None,
            type=_TEXT_OR_NOTHING,
            enum=[None, *source_names()],
            values_display={"null": usual},
            title="Source",
            description=f"The only one asked. Empty: {usual}, the next where one fails.",
        ),
        "source_dir": Param(
            None,
            type=_TEXT_OR_NOTHING,
            title="Directory",
            description="For the source csv_tree: holds one directory per ticker with 1D.csv, 1h.csv or 1m.csv.",
        ),
        "legacy_scale": Param(
            settings.legacy_scale,
            type="boolean",
            title="Legacy price unit",
            description=f"For csv_tree: prices times {market.file_scale:g}, indices excepted.",
        ),
        "exchange": Param(
            None,
            type=_TEXT_OR_NOTHING,
            title="Exchange",
            description="For the source ccxt: an exchange as ccxt names it. Empty: binance.",
        ),
        "replay": Param(
            None,
            type=_TEXT_OR_NOTHING,
            title="Replay of",
            description="A run id of the ledger: its kept raw answers are read again, its windows, no vendor asked.",
        ),
    }


def plan_arguments(context: Context) -> dict[str, Any]:
    """Return what a run asks of `steps.plan.plan`, as keyword arguments.

    A backfill run and a run with Start and End own their window exactly; any other run continues at the
    watermark. Raises BadInput for a form that contradicts itself.
    """
    params, run = context["params"], context["dag_run"]
    backfill = run.run_type == _BACKFILL
    asked = None if backfill else _asked_window(params)
    return {
        "run_id": ledger_run_id(run),
        "data_interval": (asked or _data_interval(run)).to_json(),
        "exact": backfill or asked is not None,
        "source": {
            "name": params["source"],
            "directory": params["source_dir"],
            "legacy_scale": params["legacy_scale"],
            "exchange": params["exchange"],
            "replay": params["replay"],
        },
        "tickers": params["tickers"],
    }


def ledger_run_id(run: Any) -> str:
    """Name a run in the ledgers, the landing area and the reports.

    Airflow's run ids repeat between DAGs, and a cleared run keeps its id although it asks its source anew:
    `bars_vn_1d__manual__2024-01-05T08:30:00+00:00`, and `…__2` when it was cleared once.
    """
    again = f"__{run.clear_number + 1}" if run.clear_number else ""
    return f"{run.dag_id}__{run.run_id}{again}"


def _asked_window(params: Any) -> Window | None:
    start, end = params["start"], params["end"]
    if bool(start) != bool(end):
        raise BadInput("Start and End belong together", next_step="Fill in both, or leave both empty.")
    if not start:
        return None
    begin = parse_instant(start)
    return asked_window(begin, parse_instant(end), earliest=begin, now=datetime.now(UTC))


def _data_interval(run: Any) -> Window:
    """The run's data interval. A run without a logical date has none: it reaches up to when it was asked for."""
    end = run.data_interval_end or run.run_after
    return Window(run.data_interval_start or end, end)
