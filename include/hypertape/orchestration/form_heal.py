"""The form of the DAGs that heal gaps, and what a run asks of the plan."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context, Param

from hypertape.model import Market
from hypertape.orchestration.form import ledger_run_id
from hypertape.orchestration.pools import default_source, source_names
from hypertape.settings import Settings

REASONS = ("unknown", "fetch failed", "provider empty", "holiday", "halted")
"""What `warehouse.gaps.healing.HEALABLE` knows; that module loads the driver."""

ATTEMPTS = 3
"""The same for `warehouse.gaps.healing.MAX_ATTEMPTS`."""

_TEXT_OR_NOTHING = ["null", "string"]


def heal_form(market: Market, settings: Settings) -> dict[str, Param]:
    """Build the form. Every field is optional: an empty form is what a scheduled run does."""
    usual = f"the usual one, {default_source(market, settings)}"
    return {
        "tickers": Param(
            None, type=["null", "array"], items={"type": "string"}, title="Tickers",
            description="One per line. Empty: all that have gaps.",
        ),
        "reasons": Param(
            list(REASONS), type="array", items={"type": "string", "enum": list(REASONS)}, examples=list(REASONS),
            title="Reasons",
            description="Only gaps with one of these. A refused row, an inferred holiday or halt are asked for once.",
        ),
        "attempts": Param(
            ATTEMPTS, type="integer", minimum=1, maximum=100, title="Attempts",
            description="A gap that was answered so often without its bars rests. More asks for resting ones again.",
        ),
        "source": Param(
            None, type=_TEXT_OR_NOTHING, enum=[None, *source_names()], values_display={"null": usual},
            title="Source", description=f"Empty: {usual}.",
        ),
        "source_dir": Param(
            None, type=_TEXT_OR_NOTHING, title="Directory",
            description="For the source csv_tree: holds one directory per ticker with 1D.csv, 1h.csv or 1m.csv.",
        ),
        "legacy_scale": Param(
            settings.legacy_scale, type="boolean", title="Legacy price unit",
            description=f"For csv_tree: prices times {market.file_scale:g}, indices excepted.",
        ),
        "dry_run": Param(
            False, type="boolean", title="Dry run",
            description="Only look for gaps and show what would be asked for, in the log of plan.",
        ),
    }  # fmt: skip


def heal_wishes(context: Context) -> dict[str, Any]:
    """Return what a run asks of `steps.heal.plan_heal`, as keyword arguments."""
    params = context["params"]
    return {
        "run_id": ledger_run_id(context["dag_run"]),
        "tickers": params["tickers"],
        "reasons": params["reasons"],
        "max_attempts": params["attempts"],
        "source": {
            "name": params["source"],
            "directory": params["source_dir"],
            "legacy_scale": params["legacy_scale"],
        },
    }
