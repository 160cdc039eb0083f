"""Bars between any two stores: what is copied, the copy in one go or in parts, and what follows where it loaded some.

The commands `copy`, `import` and `export` and the DAGs of the same names are these steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from hypertape.errors import BatchIncomplete, BatchRefused, CheckFailed, TransientError, others
from hypertape.model import Interval, parse_instant
from hypertape.settings import Settings
from hypertape.steps.after_copy import Loaded, after_loads
from hypertape.steps.after_load import AfterLoad
from hypertape.steps.run_spec import Json
from hypertape.stores import Selection
from hypertape.stores.addresses import CsvFormat, CsvOptions, Opening
from hypertape.stores.copy import CopyReport, OnSeries, rehearse, selected
from hypertape.stores.copy import copy as copy_series

IMPORT, EXPORT = "import", "export"
WAREHOUSE = "warehouse"

_COUNTS = ("series", "equal", "rows", "inserted", "updated", "unchanged", "refused", "duplicates", "extra")


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is copied from one store into another, by which run, as of `now` (UTC).

    `noted` is what loads and quarantine call the source. `strict` demands that the target has no other bars,
    `accept_scale` lets prices replace stored ones of a wrong unit.
    """

    run_id: str
    now: datetime
    source: str
    target: str
    selection: Selection
    csv: CsvOptions = field(default_factory=CsvOptions)
    noted: str = ""
    verify: bool = False
    strict: bool = False
    force: bool = False
    accept_scale: bool = False

    def openings(self, dsn: str | None, settings: Settings) -> tuple[Opening, Opening]:
        """What opens the source and the target."""
        source, target = (
            Opening(
                address,
                settings,
                self.now,
                self.run_id,
                dsn,
                self.noted or self.source,
                self.csv,
                self.accept_scale,
            )
            for address in (self.source, self.target)
        )
        return source, target

    def to_json(self) -> Json:
        """Return a JSON object."""
        start = self.selection.start
        return {
            **asdict(self),
            "now": self.now.isoformat(),
            "csv": {**asdict(self.csv), "format": self.csv.format.value},
            "selection": {**asdict(self.selection), "start": start.isoformat() if start else None},
        }

    @classmethod
    def from_json(cls, value: Json) -> Exchange:
        """Read what `to_json` wrote; other keys are ignored."""
        chosen, csv = value["selection"], value["csv"]
        names = ("run_id", "source", "target", "noted", "verify", "strict", "force", "accept_scale")
        return cls(
            **{name: value[name] for name in names},
            now=datetime.fromisoformat(value["now"]),
            csv=CsvOptions(**{**csv, "format": CsvFormat(csv["format"])}),
            selection=Selection(
                tuple(chosen["markets"]),
                tuple(map(Interval, chosen["intervals"])),
                tuple(chosen["tickers"]),
                datetime.fromisoformat(chosen["start"]) if chosen["start"] else None,
            ),
        )


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy of some series did, counted, and which series it may have loaded."""

    counts: Mapping[str, int]
    loaded: tuple[Loaded, ...] = ()

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {**self.counts, "loaded": [each.to_json() for each in self.loaded]}

    @classmethod
    def from_json(cls, value: Json) -> Copied:
        """Read what `to_json` wrote."""
        return cls({name: value[name] for name in _COUNTS}, tuple(map(Loaded.from_json, value["loaded"])))


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
    anew: bool = False,
    workers: int = 1,
    verify: bool = True,
    settings: Settings,
) -> tuple[Exchange, list[tuple[str, ...]]]:
    """Return an import or export of a CSV tree, and its parts (the tickers of each).

    Raises BadInput when the source has nothing of what is asked for, and what opening it raises.
    """
    selection = Selection(
        (market,) if market else (),
        (Interval.parse(interval),) if interval else (),
        tuple(symbols or ()),
        parse_instant(start_date) if start_date else None,
    )
    tree = f"csv:{directory}"
    source, target = (tree, WAREHOUSE) if direction == IMPORT else (WAREHOUSE, tree)
    csv = CsvOptions(CsvFormat(format), legacy_scale, market, anew)
    planned = Exchange(
        run_id, now, source, target, selection, csv, verify=verify and csv.format is not CsvFormat.LEGACY, strict=anew
    )  # fmt: skip
    store = planned.openings(dsn, settings)[0].open()
    try:
        tickers = sorted({info.series.ticker for info in selected(store, selection)})
    finally:
        store.close()
    return planned, [tuple(tickers[first::workers]) for first in range(min(workers, len(tickers)))]


def exchange(
    dsn: str | None,
    planned: Exchange,
    *,
    workers: int = 1,
    dry_run: bool = False,
    settings: Settings,
    on_series: OnSeries | None = None,
) -> CopyReport:
    """Copy what is selected (or only say what would be refused) and return what became of each series."""
    source, target = planned.openings(dsn, settings)
    if dry_run:
        return rehearse(source, target, planned.selection, now=planned.now, on_series=on_series)
    return copy_series(
        source, target, planned.selection, now=planned.now, workers=workers, force=planned.force,
        verify=planned.verify, strict=planned.strict, on_series=on_series,
    )  # fmt: skip


def copy(dsn: str, planned: Exchange, tickers: Sequence[str], *, settings: Settings) -> Copied:
    """Copy a part's series; what is equal is not written again.

    `extra` counts the bars of these series that only the target has; they stay.

    Raises after the work: BatchIncomplete or BatchRefused for series that failed, CheckFailed for those that differ.
    """
    whole = planned.selection
    part = Selection(whole.markets, whole.intervals, tuple(tickers), whole.start)
    report = exchange(dsn, replace(planned, selection=part), settings=settings)
    _raise_for(report)
    return counted(planned, report)


def counted(planned: Exchange, report: CopyReport) -> Copied:
    """A report's counts, and what the warehouse may have been loaded with: also what is equal, for a copy that was
    killed may have loaded it and not come to what follows."""
    written = report.written
    counts = {
        "series": len(report.series),
        "equal": sum(entry.status == "equal" for entry in report.series),
        "rows": sum(entry.source.rows for entry in report.series),
        "inserted": written.inserted,
        "updated": written.updated,
        "unchanged": written.unchanged,
        "refused": sum(entry.source.refused_rows for entry in report.series),
        "duplicates": sum(entry.source.duplicates for entry in report.series),
        "extra": report.extra,
    }
    noted = planned.noted or planned.source
    loaded = tuple(
        Loaded(entry.series, noted, entry.source.first, entry.source.last, entry.status == "equal")
        for entry in report.series
        if planned.target == WAREHOUSE and entry.source.rows
    )
    return Copied(counts, loaded)


def finish(
    dsn: str, planned: Exchange, copied: Iterable[Copied], *, now: datetime, settings: Settings
) -> tuple[Mapping[str, int], list[AfterLoad]]:
    """Do what follows the loads of an import's parts; return the sums of their counts, and what came of it.

    Raises what a check of the stored bars found, after all of it is done.
    """
    copied = list(copied)
    loaded = [each for part in copied for each in part.loaded]
    done = after_loads(dsn, planned.run_id, loaded, now=now, settings=settings)
    for each in done:
        if each.error is not None:
            raise each.error
    return {name: sum(part.counts[name] for part in copied) for name in _COUNTS}, done


def _raise_for(report: CopyReport) -> None:
    if report.failed:
        transient = any(isinstance(entry.error, TransientError) for entry in report.failed)
        lines = "; ".join(f"{entry.series}: {entry.error}" for entry in report.failed)
        rest = others(len(report.series) - len(report.failed), "copied")
        raise (BatchIncomplete if transient else BatchRefused)(
            f"{len(report.failed)} series failed and {rest}: {lines}",
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
