"""The fields that the trigger forms share, and what every form says of its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Param

from hypertape.model import Interval, Market
from hypertape.orchestration.pools import source_names

TEXT_OR_NOTHING = ["null", "string"]


def list_field(title: str, description: str, examples: Sequence[str] | None = None) -> Param:
    """A list of words, one per line; empty is none of them."""
    more = {} if examples is None else {"examples": list(examples)}
    return Param(
        None, type=["null", "array"], items={"type": "string"}, title=title, description=description, **more
    )  # fmt: skip


def flag_field(default: bool, title: str, description: str) -> Param:
    """Yes or no."""
    return Param(default, type="boolean", title=title, description=description)


def text_field(title: str, description: str) -> Param:
    """A line of text, or nothing."""
    return Param(None, type=TEXT_OR_NOTHING, title=title, description=description)


def time_field(title: str, description: str, interval: Interval = Interval.D1) -> Param:
    """A date, of intervals under a day an instant; or nothing."""
    form = "date" if interval is Interval.D1 else "date-time"
    return Param(None, type=TEXT_OR_NOTHING, format=form, title=title, description=description)


def choice_field(title: str, description: str, values: Sequence[str], nothing: str | None = None) -> Param:
    """One of some values, or nothing, which the form shows as `nothing`."""
    more = {} if nothing is None else {"values_display": {"null": nothing}}
    return Param(
        None, type=TEXT_OR_NOTHING, enum=[None, *values], title=title, description=description, **more
    )  # fmt: skip


def source_fields(usual: str, legacy_scale: bool | None, market: Market | None = None) -> dict[str, Param]:
    """Which source is asked, and what a directory of files needs. `usual` says what an empty field means."""
    unit = (
        f"prices times {market.file_scale:g}, indices excepted" if market else "prices are in the legacy unit"
    )
    return {
        "source": choice_field("Source", f"The only one asked. Empty: {usual}.", source_names(), nothing=usual),
        "source_dir": text_field(
            "Directory", "For the source csv_tree: holds one directory per ticker with 1D.csv, 1h.csv or 1m.csv."
        ),
        "legacy_scale": Param(
            legacy_scale, type="boolean" if legacy_scale is not None else ["null", "boolean"],
            title="Legacy price unit", description=f"For csv_tree: {unit}.",
        ),
    }  # fmt: skip


def vendor_fields() -> dict[str, Param]:
    """What only those sources need that are asked over the network."""
    return {
        "exchange": text_field("Exchange", "For the source ccxt: an exchange as ccxt names it. Empty: binance."),
        "replay": text_field(
            "Replay of", "A run id of the ledger: its kept raw answers are read again, no vendor is asked."
        ),
    }  # fmt: skip


def chosen_source(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run's form says of its source, as the plans take it."""
    chosen = {
        "name": params["source"],
        "directory": params["source_dir"],
        "legacy_scale": params["legacy_scale"],
    }
    return {**chosen, **{name: params[name] for name in ("exchange", "replay") if name in params}}


def ledger_run_id(run: Any) -> str:
    """Name a run in the ledgers, the landing area and the reports.

    Airflow's run ids repeat between DAGs, and a cleared run keeps its id although it asks its source anew:
    `bars_vn_1d__manual__2024-01-05T08:30:00+00:00`, and `…__2` when it was cleared once.
    """
    again = f"__{run.clear_number + 1}" if run.clear_number else ""
    return f"{run.dag_id}__{run.run_id}{again}"
