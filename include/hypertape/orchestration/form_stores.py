"""The forms of the DAGs that move bars between stores, and what a run asks of its steps."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context, Param

from hypertape.errors import BadInput
from hypertape.markets import all_markets
from hypertape.model import STORED_INTERVALS
from hypertape.orchestration.form import ledger_run_id
from hypertape.steps.migration.schemas import SCHEMAS

CSV_FORMATS = ("lossless", "legacy")
"""What `stores.csv_options.CsvFormat` knows; that module loads Arrow."""

_WORKERS = 2


def migration_form() -> dict[str, Param]:
    """Build the form of `migrate_sqlite`. As it stands it is a rehearsal."""
    return {
        "files": _list("Files", "SQLite files, or directories that hold some, one per line."),
        "schema": Param(
            SCHEMAS[0],
            type="string",
            enum=list(SCHEMAS),
            title="Schema",
            description="auto: what the files have.",
        ),
        "tables": _list("Tables", "One per line. Empty: all that are known."),
        "symbols": _list("Symbols", "One per line. Empty: all."),
        "start_date": _date(),
        "workers": _workers(),
        "dry_run": _flag(True, "Dry run", "Inspect, plan and write the report only. Nothing is copied."),
        "force": _flag(False, "Force", "Copy again although the same files were migrated before."),
        "verify": _flag(True, "Verify", "Compare both sides row by row afterwards."),
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
        "replace": _flag(
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
    return {"run_id": ledger_run_id(context["dag_run"]), **params}


def _exchange(directory: str) -> dict[str, Param]:
    markets, intervals = list(all_markets()), [interval.value for interval in STORED_INTERVALS]
    return {
        "directory": Param(None, type=["null", "string"], title="Directory", description=directory),
        "market": Param(
            None, type=["null", "string"], enum=[None, *markets], title="Market", description="Empty: all."
        ),
        "interval": Param(
            None,
            type=["null", "string"],
            enum=[None, *intervals],
            title="Interval",
            description="Empty: all.",
        ),
        "symbols": _list("Symbols", "One per line. Empty: all."),
        "start_date": _date(),
        "legacy_scale": _flag(
            False, "Legacy price unit", "The files' prices are in the legacy unit (vn: thousands)."
        ),
        "workers": _workers(),
        "verify": _flag(
            True, "Verify", "Prove afterwards that every bar arrived (not for the legacy format)."
        ),
    }


def _list(title: str, description: str) -> Param:
    return Param(None, type=["null", "array"], items={"type": "string"}, title=title, description=description)


def _flag(default: bool, title: str, description: str) -> Param:
    return Param(default, type="boolean", title=title, description=description)


def _date() -> Param:
    return Param(
        None,
        type=["null", "string"],
        format="date",
        title="Start date",
        description="First instant (UTC). Empty: all.",
    )


def _workers() -> Param:
    return Param(
        _WORKERS, type="integer", minimum=1, maximum=64, title="Workers",
        description="Mapped copies that may run at once.",
    )  # fmt: skip
