"""What a copy or a comparison says: of each series, of rows that belong to none, and in all."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from operator import add

from hypertape.errors import HypertapeError
from hypertape.model import Series
from hypertape.stores import Written
from hypertape.stores.compare import SeriesComparison
from hypertape.stores.series_stats import SeriesStats


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One way in which a series differs.

    `what` is missing, different, adjusted_close (bars of the source), extra (bars that only the target has), rows,
    first, last, sha256, or error.
    """

    series: Series
    what: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class SeriesCopy:
    """What became of one series.

    `status` is copied, equal (nothing was written), differs (verify only), read (rehearsal only) or failed (`error`
    says why). `source` is what was read; `extra` counts bars that only the target has, where both were compared.
    """

    series: Series
    status: str
    source: SeriesStats
    written: Written = field(default_factory=Written)
    discrepancies: tuple[Discrepancy, ...] = ()
    error: HypertapeError | None = None
    extra: int = 0

    @property
    def only_extra(self) -> bool:
        """True when both differ only in bars that the source lacks: copying again would change nothing."""
        lacking = {"missing", "different", "adjusted_close", "error"}
        return self.extra > 0 and not any(found.what in lacking for found in self.discrepancies)


@dataclass(frozen=True, slots=True)
class UnassignedRows:
    """Rows of a source that belong to no series: where they lie, why, how many, and some of what is wrong with them."""

    place: str
    rule: str
    rows: int
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What became of every selected series, in their order.

    `unassigned` are the source's rows that belong to no series; `rest` says what else of its place is in no series.
    """

    series: tuple[SeriesCopy, ...]
    unassigned: tuple[UnassignedRows, ...] = ()
    rest: str = ""

    @property
    def all_refused(self) -> bool:
        """True when there were rows and not one of them is a bar of the target now."""
        refused = sum(entry.source.refused_rows for entry in self.series) + self.written.refused
        return refused > 0 and not self.failed and not any(map(_kept, self.series))

    @property
    def written(self) -> Written:
        """The sum over all series."""
        return reduce(add, (entry.written for entry in self.series), Written())

    @property
    def failed(self) -> tuple[SeriesCopy, ...]:
        """The series that failed."""
        return tuple(entry for entry in self.series if entry.error)

    @property
    def discrepancies(self) -> tuple[Discrepancy, ...]:
        """What the proof found, where one was asked for."""
        return tuple(found for entry in self.series for found in entry.discrepancies)

    @property
    def extra(self) -> int:
        """Bars of these series that only the target has, as far as both were compared."""
        return sum(entry.extra for entry in self.series)


def _kept(entry: SeriesCopy) -> int:
    """Bars of the source that the target has now, or that were only looked at."""
    written = entry.written
    kept = written.inserted + written.updated + written.unchanged
    return kept if entry.status == "copied" else entry.source.rows


def discrepancies(
    series: Series, found: SeriesComparison, *, strict: bool = False
) -> tuple[Discrepancy, ...]:
    """What keeps the target from holding the source's bars; with `strict`, from holding the same bars."""
    source, target = found.source, found.target
    if source.rows and not target.rows:
        return (Discrepancy(series, "missing", f"{source.rows} rows", "none"),)
    pairs = []
    if strict:
        names = ("rows", "first", "last", "sha256")
        pairs = [(name, str(getattr(source, name)), str(getattr(target, name))) for name in names]
    others = (
        ("missing", found.missing, "not there"),
        ("different", found.different, "other prices or volumes"),
        ("adjusted_close", found.adjusted, "other ones"),
    )
    pairs += [(what, f"{bars} bars", there) for what, bars, there in others if bars]
    pairs += [("extra", "not there", f"{found.extra} bars")] if strict and found.extra else []
    return tuple(Discrepancy(series, what, ours, theirs) for what, ours, theirs in pairs if ours != theirs)
