"""What the verbs that copy and compare say of it, and how they fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hypertape.cli.common import console, table
from hypertape.errors import (
    BadInput,
    BatchIncomplete,
    BatchRefused,
    CheckFailed,
    HypertapeError,
    TerminalError,
    TransientError,
    UnknownTicker,
)
from hypertape.model import format_instant
from hypertape.stores import Selection

if TYPE_CHECKING:
    from hypertape.stores.copy import CopyReport, SeriesCopy

_SHOWN = 20
"""Lines of a list that are printed; the rest is counted."""


def show(title: str, report: CopyReport) -> None:
    """Print the counts, then the rows that were refused, what differs, and what failed."""
    counts: dict[str, int] = dict.fromkeys(("copied", "equal", "differs", "failed"), 0)
    for entry in report.series:
        counts[entry.status] += 1
    rows: list[tuple[str, object]] = [(f"series {status}", n) for status, n in counts.items() if n]
    rows += [("bars read", sum(entry.source.rows for entry in report.series))]
    written = report.written
    if counts["copied"]:
        rows += [(f"bars {name}", getattr(written, name)) for name in ("inserted", "updated", "unchanged")]
    rows += [
        ("rows refused", sum(sum(entry.source.refused.values()) for entry in report.series)),
        ("duplicates dropped", sum(entry.source.duplicates for entry in report.series)),
    ]
    if report.extra:
        rows += [("bars only in the target", report.extra)]
    screen = console()
    screen.print(table(title, ("what", "count"), rows))
    if report.rest:
        screen.print(report.rest, markup=False, highlight=False)
    _show_refused(report)
    _show_discrepancies(report)
    for entry in report.failed[:_SHOWN]:
        screen.print(f"failed: {entry.series}: {entry.error}", markup=False, highlight=False)


def _show_refused(report: CopyReport) -> None:
    rows = [
        (entry.series, rule, count, _sample(entry, rule))
        for entry in report.series
        for rule, count in sorted(entry.source.refused.items())
    ]
    if rows:
        console().print(table("refused rows", ("series", "rule", "rows", "for example"), rows[:_SHOWN]))
        _count_rest(rows)


def _sample(entry: SeriesCopy, rule: str) -> str:
    found = next((sample for sample in entry.source.samples if sample["rule"] == rule), None)
    if found is None:
        return ""
    return f"{format_instant(found['time']) if found['time'] else '-'}: {found['value']}"


def _show_discrepancies(report: CopyReport) -> None:
    rows = [
        (d.series, d.what, _short(d.what, d.source), _short(d.what, d.target)) for d in report.discrepancies
    ]
    if rows:
        console().print(table("discrepancies", ("series", "what", "source", "target"), rows[:_SHOWN]))
        _count_rest(rows)


def _short(what: str, value: str) -> str:
    return f"{value[:12]}…" if what == "sha256" else value


def _count_rest(rows: Sequence[object]) -> None:
    if len(rows) > _SHOWN:
        console().print(f"and {len(rows) - _SHOWN} more")


def raise_if_failed(report: CopyReport) -> None:
    """Raise what failed: where nothing was copied and all say the same, that error; else that a part failed."""
    failed, of_all = report.failed, len(report.series)
    if not failed:
        return
    errors = [entry.error for entry in failed if entry.error]
    if len(failed) == of_all and len({error.what for error in errors}) == 1:
        raise errors[0]
    kind: type[HypertapeError] = BatchRefused
    if any(isinstance(error, TransientError) for error in errors):
        kind = BatchIncomplete
    elif len(failed) == of_all and all(isinstance(error, BadInput) for error in errors):
        kind = BadInput
    raise kind(
        f"{len(failed)} of {of_all} series failed, the first with: {errors[0]}",
        next_step="Mend them and copy again.",
    )


def raise_if_no_bar(report: CopyReport) -> None:
    """Raise TerminalError or BadInput: nothing found is no success, and no proof."""
    if report.all_refused:
        raise TerminalError(
            "Every row was refused, so nothing is copied", next_step="Look at the table of refused rows."
        )
    if not report.failed and not any(entry.source.rows for entry in report.series):
        raise BadInput("No bar is selected", next_step="Check --start-date and the source.")


def raise_if_different(report: CopyReport) -> None:
    """Raise CheckFailed when a comparison found something."""
    different = [entry for entry in report.series if entry.discrepancies]
    if not different:
        return
    advice = "Copy them again, or look at the table of discrepancies."
    if all(entry.only_extra for entry in different):
        advice = (
            f"Every bar of the source is there; the target has {report.extra} more, which no copy removes: verify the "
            "other way round, or write a CSV tree anew with `hypertape export --replace`."
        )
    raise CheckFailed(f"{len(different)} of {len(report.series)} series differ", next_step=advice)


def raise_if_absent(src: str, selection: Selection, report: CopyReport) -> None:
    """Raise UnknownTicker for tickers that were asked for and are not in the source."""
    absent = sorted(set(selection.tickers) - {entry.series.ticker for entry in report.series})
    if absent:
        raise UnknownTicker(
            f"{src} has no bars of {', '.join(absent)}", next_step="Correct the list of tickers."
        )
