"""Move bars between the warehouse and a CSV tree, in parts: plan → copy → refresh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hypertape.errors import BatchIncomplete, BatchRefused, CheckFailed, TransientError
from hypertape.markets import get_market
from hypertape.model import Interval, Window, midnight, parse_instant
from hypertape.settings import Settings, load_settings
from hypertape.sources import SourceConfig
from hypertape.steps.mirror import deliver_mirrors
from hypertape.steps.plan import RunSpec
from hypertape.steps.refresh import refresh as refresh_rollups
from hypertape.stores import Selection
from hypertape.stores.addresses import Opening
from hypertape.stores.choosing import chosen
from hypertape.stores.copy import CopyReport
from hypertape.stores.copy import copy as copy_series
from hypertape.stores.csv_options import CsvFormat, CsvOptions

IMPORT, EXPORT = "import", "export"


def plan(
    dsn: str,
    direction: str,
    *,
    run_id: str,
    now: datetime,
    directory: str,
    market: str | None = None,
    interval: str | None = None,
    symbols: Sequence[str] | None = None,
    start_date: str | None = None,
    legacy_scale: bool = False,
    format: str = CsvFormat.LOSSLESS,
    replace: bool = False,
    workers: int = 1,
    verify: bool = True,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Return an import's or export's plan as JSON: what all parts share, and `parts` (each some of the tickers).

    Raises BadInput when the source has nothing of what is asked for, and what opening it raises.
    """
    planned = {
        "run_id": run_id, "now": now.isoformat(), "direction": direction, "directory": directory, "market": market,
        "interval": Interval.parse(interval).value if interval else None, "legacy_scale": legacy_scale,
        "start": parse_instant(start_date).isoformat() if start_date else None, "format": CsvFormat(format).value,
        "replace": replace,
        "verify": verify and format != CsvFormat.LEGACY,
    }  # fmt: skip
    source, _ = _openings(dsn, planned, settings)
    store = source.open()
    try:
        tickers = sorted({info.series.ticker for info in chosen(store, _selection(planned, symbols or ()))})
    finally:
        store.close()
    parts = [tickers[first::workers] for first in range(min(workers, len(tickers)))]
    return {**planned, "parts": [{"tickers": part} for part in parts]}


def copy(
    dsn: str, part: Mapping[str, Any], *, plan_head: Mapping[str, Any], settings: Settings | None = None
) -> dict[str, Any]:
    """Copy a part's series and return counts as JSON; what is equal is not written again.

    `extra` counts the bars of these series that only the target has; they stay.

    Raises after the work: BatchIncomplete or BatchRefused for series that failed, CheckFailed for those that differ.
    """
    source, target = _openings(dsn, plan_head, settings)
    report = copy_series(
        source, target, _selection(plan_head, part["tickers"]), now=datetime.fromisoformat(plan_head["now"]),
        verify=plan_head["verify"], strict=plan_head["replace"],
    )  # fmt: skip
    _raise_for(report)
    written = report.written
    # also what was equal: an attempt that was killed may have loaded it and not come to the rollups
    touched = {(entry.series.market, entry.series.interval.value) for entry in report.series}
    return {
        "series": len(report.series),
        "equal": sum(entry.status == "equal" for entry in report.series),
        "rows": sum(entry.source.rows for entry in report.series),
        "inserted": written.inserted,
        "updated": written.updated,
        "unchanged": written.unchanged,
        "refused": sum(sum(entry.source.refused.values()) for entry in report.series),
        "extra": report.extra,
        "touched": sorted(map(list, touched)),
    }


def refresh(dsn: str, copied: Iterable[Mapping[str, Any]], *, plan_head: Mapping[str, Any]) -> dict[str, Any]:
    """Refresh and check the rollups of what an import touched and hand it on to the mirrors.

    Returns the sums of its counts as JSON, with what became of each mirror.
    """
    copied = list(copied)
    scopes = sorted({(market, interval) for each in copied for market, interval in each["touched"]})
    found = [refresh_rollups(dsn, _head(plan_head, market, interval)) for market, interval in scopes]
    names = ("series", "equal", "rows", "inserted", "updated", "unchanged", "refused", "extra")
    return {
        **{name: sum(each[name] for each in copied) for name in names},
        "buckets": sum(each["buckets"] for each in found),
        "differing": sum(each["differing"] for each in found),
        "mirrors": deliver_mirrors(dsn, now=datetime.fromisoformat(plan_head["now"])),
    }


def _openings(dsn: str, planned: Mapping[str, Any], settings: Settings | None) -> tuple[Opening, Opening]:
    tree = f"csv:{planned['directory']}"
    csv = CsvOptions(
        CsvFormat(planned["format"]), planned["legacy_scale"], planned["market"], planned["replace"]
    )
    now, settings = datetime.fromisoformat(planned["now"]), settings or load_settings()
    addresses = (tree, "warehouse") if planned["direction"] == IMPORT else ("warehouse", tree)
    source, target = (
        Opening(address, settings, now, planned["run_id"], dsn, addresses[0], csv) for address in addresses
    )
    return source, target


def _selection(planned: Mapping[str, Any], tickers: Sequence[str]) -> Selection:
    return Selection(
        (planned["market"],) if planned["market"] else (),
        (Interval(planned["interval"]),) if planned["interval"] else (),
        tuple(tickers),
        datetime.fromisoformat(planned["start"]) if planned["start"] else None,
    )


def _head(planned: Mapping[str, Any], market: str, interval: str) -> dict[str, Any]:
    of_market, of_interval = get_market(market), Interval(interval)
    now = datetime.fromisoformat(planned["now"])
    window = Window(min(midnight(of_market.history_start[of_interval]), now), now)
    return RunSpec(planned["run_id"], of_market, of_interval, SourceConfig("csv_tree"), window).to_json()


def _raise_for(report: CopyReport) -> None:
    if report.failed:
        transient = any(isinstance(entry.error, TransientError) for entry in report.failed)
        lines = "; ".join(f"{entry.series}: {entry.error}" for entry in report.failed)
        raise (BatchIncomplete if transient else BatchRefused)(
            f"{len(report.failed)} series failed and the others are copied: {lines}",
            next_step="Mend the cause and clear this task: what is equal is not written again.",
        )
    if report.all_refused:
        raise BatchRefused(
            "Every row was refused, so nothing is copied", next_step="See them in `quarantine`."
        )
    if report.discrepancies:
        lines = "; ".join(f"{d.series} {d.what}: {d.source} / {d.target}" for d in report.discrepancies)
        raise CheckFailed(
            f"The target has not every bar of the source: {lines}",
            next_step="Clear this task to copy them again.",
        )
