"""The form of `corporate_actions`, and what a run asks of the plan."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context, Param

from hypertape.markets import all_markets
from hypertape.model import parse_instant
from hypertape.orchestration.form import ledger_run_id
from hypertape.orchestration.pools import source_names

_TEXT_OR_NOTHING = ["null", "string"]


def actions_form() -> dict[str, Param]:
    """Build the form. As it stands, and on schedule, it asks for the last 400 days of every market."""
    return {
        "market": Param(
            None, type=_TEXT_OR_NOTHING, enum=[None, *all_markets()], title="Market", description="Empty: all.",
            values_display={"null": "all"},
        ),
        "tickers": Param(
            None, type=["null", "array"], items={"type": "string"}, title="Tickers",
            description="One per line; name the market as well. Empty: all the source lists, else the market's file.",
        ),
        "start": Param(
            None, type=_TEXT_OR_NOTHING, format="date", title="Start",
            description="First date (UTC). Empty: 400 days before the end.",
        ),
        "end": Param(
            None, type=_TEXT_OR_NOTHING, format="date", title="End",
            description="First date not to ask for. Empty: up to now.",
        ),
        "source": Param(
            None, type=_TEXT_OR_NOTHING, enum=[None, *source_names()], title="Source",
            values_display={"null": "each market's usual one"}, description="Empty: each market's usual one.",
        ),
    }  # fmt: skip


def actions_wishes(context: Context) -> dict[str, Any]:
    """Return what a run asks of `steps.actions.plan_actions`, as keyword arguments."""
    params = context["params"]
    return {
        "market": params["market"],
        "run_id": ledger_run_id(context["dag_run"]),
        "tickers": params["tickers"],
        "start": parse_instant(params["start"]) if params["start"] else None,
        "end": parse_instant(params["end"]) if params["end"] else None,
        "source": {"name": params["source"]},
    }
