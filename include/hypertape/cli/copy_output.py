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
    from hypertape.steps.after_load import AfterLoad
    from hypertape.stores.copy import CopyReport, SeriesCopy

_SHOWN = 20
"""Lines of a list that are printed; the rest is counted."""


NO_TICKER = ("bad_symbol", "bad_ticker")
"""Rules by which whole tickers are left out: the exit code says so."""

SEE_THEM = "See `hypertape quarantine list --rows` (a warehouse keeps them), and correct them in the source."


def show(title: str, report: CopyReport) -> None:
    """Print the counts, then the rows that were refused, what differs, and what failed."""
    counts: dict[str, int] = dict.fromkeys(("copied", "equal", "differs", "read", "failed"), 0)
    for entry in report.series:
        counts[entry.status] += 1
    rows: list[tuple[str, object]] = [(f"series {status}", n) for status, n in counts.items() if n]
    rows += [("bars read", sum(entry.source.rows for entry in report.series))]
    written = report.written
    if counts["copied"]:
        rows += [(f"bars {name}", getattr(written, name)) for name in ("inserted", "updated", "unchanged")]
    rows += [
        ("rows refused", sum(entry.source.refused_rows for entry in report.series)),
        ("duplicates dropped", sum(entry.source.duplicates for entry in report.series)),
    ]
    if report.extra:
        rows += [("bars only in the target", report.extra)]
    screen = console()
    screen.print(table(title, ("what", "count"), rows))
    if report.rest:
        screen.print(report.rest, markup=False, highlight=False)
    _show_refused(report)
    _show_unassigned(report)
    _show_discrepancies(report)
    for entry in report.failed[:_SHOWN]:
        screen.print(f"failed: {entry.series}: {entry.error}", markup=False, highlight=False)


def show_after_load(after: Sequence[AfterLoad]) -> None:
    """Print what followed a load of each market and interval."""
    screen = console()
    for each in after:
        found = [f"{each.spec.market.code} {each.spec.interval.value}:"]
        found.append(f"{each.rollups.buckets} rollup buckets refreshed")
        if each.quality is not None:
            found.append(f"{each.quality.passed} of {each.quality.checks} checks passed")
        if each.published.gaps is not None:
            missing = sum(each.published.gaps.open.values())
            found.append(f"{missing} missing bars in the gap ledger (`hypertape gaps list`)")
        screen.print(f"{found[0]} {', '.join(found[1:])}", markup=False, highlight=False)
    for mirror, done in {
        name: done for each in after for name, done in each.published.mirrors.items()
    }.items():
        said = done.complaint or f"{done.written.inserted} bars inserted, {done.written.updated} updated"
        screen.print(f"mirror {mirror}: {said}", markup=False, highlight=False)
    for report in dict.fromkeys(each.published.report for each in after):
        screen.print(f"report: {report}", markup=False, highlight=False)


def _show_refused(report: CopyReport) -> None:
    rows = [
        (entry.series, rule, count, _sample(entry, rule))
        for entry in report.series
        for rule, count in sorted(entry.source.refused.items())
    ]
    if rows:
        console().print(table("refused rows", ("series", "rule", "rows", "for example"), rows[:_SHOWN]))
        _count_rest(rows)


def _show_unassigned(report: CopyReport) -> None:
    """The rows that belong to no series, so that no line above counts them."""
    if report.unassigned:
        rows = [(each.place, each.rule, each.rows, "; ".join(each.samples)) for each in report.unassigned]
        console().print(table("rows of no series", ("where", "rule", "rows", "for example"), rows[:_SHOWN]))
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


def raise_if_left_out(report: CopyReport) -> None:
    """Raise BatchRefused when a ticker of the source is none, so that nothing of it arrived."""
    rows = sum(each.rows for each in report.unassigned if each.rule in NO_TICKER)
    if rows:
        raise BatchRefused(
            f"{rows} rows are of tickers that can be none; the others are copied",
            next_step=SEE_THEM,
        )


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
