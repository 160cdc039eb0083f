"""The forms of the DAGs that move bars between stores, and what a run asks of its steps."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context, Param

from hypertape.errors import BadInput
from hypertape.markets import all_markets
from hypertape.model import STORED_INTERVALS
from hypertape.orchestration.form_fields import (
    choice_field,
    flag_field,
    ledger_run_id,
    list_field,
    text_field,
    time_field,
)
from hypertape.steps.migration import SCHEMAS

CSV_FORMATS = ("lossless", "legacy")
"""What `stores.addresses.CsvFormat` knows; that module loads Arrow."""

_WORKERS = 2


def migration_form() -> dict[str, Param]:
    """Build the form of `migrate_sqlite`. As it stands it is a rehearsal."""
    return {
        "files": list_field("Files", "SQLite files, or directories that hold some, one per line."),
        "schema": Param(
            SCHEMAS[0],
            type="string",
            enum=list(SCHEMAS),
            title="Schema",
            description="auto: what the files have.",
        ),
        "tables": list_field("Tables", "One per line. Empty: all that are known."),
        "symbols": list_field("Symbols", "One per line. Empty: all."),
        "start_date": time_field("Start date", "First instant (UTC). Empty: all."),
        "workers": _workers(),
        "dry_run": flag_field(True, "Dry run", "Inspect, plan and write the report only. Nothing is copied."),
        "force": flag_field(False, "Force", "Copy again although the same files were migrated before."),
        "verify": flag_field(True, "Verify", "Compare both sides row by row afterwards."),
    }


def import_form() -> dict[str, Param]:
    """Build the form of `import_csv`."""
    return _exchange(
        "The CSV tree: <TICKER>/1D.csv, 1h.csv or 1m.csv of one market, or a directory per market."
    )


def export_form() -> dict[str, Param]:
    """Build the form of `export_csv`."""
    return {
        **_exchange("Where the CSV tree is written: <TICKER>/1D.csv for one market, else a directory per market."),
        "format": Param(
            CSV_FORMATS[0], type="string", enum=list(CSV_FORMATS), title="Format",
            description="lossless, or legacy: rounded as in the documents.",
        ),
        "replace": flag_field(
            False, "Replace",
            "Write each exported file anew: bars in it that the warehouse lacks (or from before the start date) go.",
        ),
    }  # fmt: skip


def migration_wishes(context: Context) -> dict[str, Any]:
    """Return what a run asks of `steps.migrate.plan`, as keyword arguments."""
    params = context["params"]
    names = ("tables", "symbols", "start_date", "workers", "dry_run", "force")
    return {"run_id": ledger_run_id(context["dag_run"]), **{name: params[name] for name in names}}


def exchange_wishes(context: Context) -> dict[str, Any]:
    """Return what a run asks of `steps.exchange.plan`, as keyword arguments. Raises BadInput without a directory."""
    params = dict(context["params"])
    if not params["directory"]:
        raise BadInput("The form names no directory", next_step="Fill in Directory.")
    if "replace" in params:
        params["anew"] = params.pop("replace")
    return {"run_id": ledger_run_id(context["dag_run"]), **params}


def _exchange(directory: str) -> dict[str, Param]:
    return {
        "directory": text_field("Directory", directory),
        "market": choice_field("Market", "Empty: all.", list(all_markets())),
        "interval": choice_field(
            "Interval", "Empty: all.", [interval.value for interval in STORED_INTERVALS]
        ),
        "symbols": list_field("Symbols", "One per line. Empty: all."),
        "start_date": time_field("Start date", "First instant (UTC). Empty: all."),
        "legacy_scale": flag_field(
            False, "Legacy price unit", "The files' prices are in the legacy unit (vn: thousands)."
        ),
        "workers": _workers(),
        "verify": flag_field(
            True, "Verify", "Prove afterwards that every bar arrived (not for the legacy format)."
        ),
    }


def _workers() -> Param:
    return Param(
        _WORKERS, type="integer", minimum=1, maximum=64, title="Workers",
        description="Mapped copies that may run at once.",
    )  # fmt: skip
