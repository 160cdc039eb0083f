"""The form of `backfill_bars`, and what a run asks of the plan."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context, Param

from hypertape.markets import all_markets
from hypertape.model import STORED_INTERVALS, parse_instant
from hypertape.orchestration.pools import source_names

MODES = {
    "missing": "missing: ask where bars are missing, keep what is stored",
    "overwrite": "overwrite: read the window again, write what differs",
    "restate": "restate: read the tickers' whole history again, at any scale",
}
"""What `warehouse.backfills.MODES` knows, with what it means; that module loads the driver."""

_TEXT_OR_NOTHING = ["null", "string"]
_LIST_OR_NOTHING = ["null", "array"]


def backfill_form() -> dict[str, Param]:
    """Build the form. As it stands it is a rehearsal of all of one market's daily history."""
    markets = all_markets()
    groups = sorted({group for market in markets.values() for group in market.groups})
    return {
        "market": Param(next(iter(markets)), type="string", enum=list(markets), title="Market"),
        "interval": Param(
            STORED_INTERVALS[0].value, type="string", enum=[each.value for each in STORED_INTERVALS], title="Interval"
        ),
        "tickers": Param(
            None, type=_LIST_OR_NOTHING, items={"type": "string"}, title="Tickers",
            description="One per line. Neither tickers nor groups: all the source lists, else the market's file.",
        ),
        "groups": Param(
            None, type=_LIST_OR_NOTHING, items={"type": "string"}, examples=groups, title="Groups",
            description="Groups of the market's file; they add to the tickers.",
        ),
        "start": Param(
            None, type=_TEXT_OR_NOTHING, format="date", title="Start",
            description="First date (UTC). Empty: where the market's history starts.",
        ),
        "end": Param(
            None, type=_TEXT_OR_NOTHING, format="date", title="End",
            description="First date not to load any more: the 5th loads up to and with the 4th. Empty: up to now.",
        ),
        "mode": Param("missing", type="string", enum=list(MODES), values_display=MODES, title="Mode"),
        "source": Param(
            None, type=_TEXT_OR_NOTHING, enum=[None, *source_names()], title="Source",
            values_display={"null": "the market's, in order"},
            description="The only one asked. Empty: the market's, the next where one fails.",
        ),
        "source_dir": Param(
            None, type=_TEXT_OR_NOTHING, title="Directory",
            description="For the source csv_tree: holds one directory per ticker with 1D.csv, 1h.csv or 1m.csv.",
        ),
        "legacy_scale": Param(
            None, type=["null", "boolean"], title="Legacy price unit",
            description="For csv_tree: prices are in the legacy unit (vn: thousands).",
        ),
        "exchange": Param(
            None, type=_TEXT_OR_NOTHING, title="Exchange",
            description="For the source ccxt: an exchange as ccxt names it. Empty: binance.",
        ),
        "replay": Param(
            None, type=_TEXT_OR_NOTHING, title="Replay of",
            description="A run id of the ledger: its kept raw answers are read in the vendor's place.",
        ),
        "reason": Param(
            None, type=_TEXT_OR_NOTHING, title="Reason",
            description="Why; kept with every load. Mode restate needs one.",
        ),
        "dry_run": Param(
            True, type="boolean", title="Dry run",
            description="Only plan: what is there, what is missing, how many calls, how long. Nothing is asked.",
        ),
    }  # fmt: skip


def backfill_wishes(context: Context) -> dict[str, Any]:
    """Return what a run asks of `steps.backfill_plan.plan_backfill`, as keyword arguments.

    A cleared run keeps its name in the ledgers, so that it continues where it was. Raises BadInput for a date that is
    none.
    """
    from hypertape.steps.backfill_request import Asked  # noqa: PLC0415  (parsing a DAG needs no driver)

    params, run = context["params"], context["dag_run"]
    source = {
        "name": params["source"],
        "directory": params["source_dir"],
        "legacy_scale": params["legacy_scale"],
        "exchange": params["exchange"],
        "replay": params["replay"],
    }
    asked = Asked(
        mode=params["mode"],
        tickers=params["tickers"],
        groups=params["groups"],
        start=parse_instant(params["start"]) if params["start"] else None,
        end=parse_instant(params["end"]) if params["end"] else None,
        source=source,
        reason=params["reason"],
    )
    return {
        "market": params["market"],
        "interval": params["interval"],
        "asked": asked,
        "run_id": f"{run.dag_id}__{run.run_id}",
        "dry_run": params["dry_run"],
    }
