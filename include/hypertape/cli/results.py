"""What a verb did as an object for --json: the same figures as its tables, by name."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hypertape.model import format_instant

if TYPE_CHECKING:
    from hypertape.digest import SeriesDigest
    from hypertape.steps.actions import ActionsResult
    from hypertape.steps.after_load import AfterLoad
    from hypertape.steps.backfill import BackfillResult
    from hypertape.steps.reconcile import Reconciled
    from hypertape.steps.sync import SyncResult
    from hypertape.stores.copy_report import CopyReport, SeriesCopy
    from hypertape.stores.delivery import Delivered
    from hypertape.stores.parity import Difference

Row = dict[str, Any]


def of_sync(done: SyncResult) -> Row:
    """A run: its window, the bars by what became of them, who failed and why, and what followed."""
    spec = done.plan.spec
    start, end = spec.window.to_json()
    return {
        "run_id": done.run_id, "market": spec.market.code, "interval": spec.interval.value, "start": start, "end": end,
        "counts": done.counts, "failed": done.failed, "short": done.short, **_after(done.after),
    }  # fmt: skip


def of_backfill(done: BackfillResult) -> Row:
    """A plan, and what came of it; a rehearsal has only its plan and report."""
    planned = done.plan
    return {
        "run_id": planned.run_id, "dry_run": planned.dry_run, "resumed": planned.resumed, "plan": planned.figures,
        "counts": done.counts, "failed": done.failed, **_after(done.after),
        "report": str(done.report) if done.report else None,
    }  # fmt: skip


def of_actions(run_id: str, done: ActionsResult) -> Row:
    """What became of dividends and splits."""
    return {"run_id": run_id, **done.to_json()}


def of_reconciled(done: Reconciled) -> list[Row]:
    """A comparison each: pairs, how many disagree, the worst of them; who was not compared stands in all."""
    start, end = done.window.to_json()
    failed = {ticker: str(error) for ticker, error in sorted(done.failed.items())}
    return [
        {
            "run_id": done.run_id, "against": done.source, "start": start, "end": end, "compared": each.column,
            "pairs": each.compared, "disagree": each.disagree, "largest": each.largest, "worst": each.sample,
            "refused": done.refused, "failed": failed,
        }
        for each in done.comparisons.values()
    ]  # fmt: skip


def of_copy(done: CopyReport) -> list[Row]:
    """A series each: what was read, written and refused, and how it differs."""
    return [_of_series(each) for each in done.series]


def _of_series(each: SeriesCopy) -> Row:
    read = each.source
    return {
        "market": each.series.market, "interval": each.series.interval.value, "ticker": each.series.ticker,
        "status": each.status, "rows": read.rows, "refused": dict(read.refused), "duplicates": read.duplicates,
        "inserted": each.written.inserted, "updated": each.written.updated, "unchanged": each.written.unchanged,
        "only_in_target": each.extra, "error": str(each.error) if each.error else None,
        "discrepancies": [
            {"what": found.what, "source": found.source, "target": found.target} for found in each.discrepancies
        ],
    }  # fmt: skip


def of_delivery(done: Delivered) -> Row:
    """What a mirror received."""
    return {"mirror": done.mirror, **done.to_json(), "error": done.complaint}


def of_difference(found: Difference) -> Row:
    """A series that is not the same on both sides; a side without it is null."""
    return {
        "market": found.series.market, "interval": found.series.interval.value, "ticker": found.series.ticker,
        "what": found.what,
        **{
            side: _of_digest(digest) if digest else None
            for side, digest in (("warehouse", found.warehouse), ("mirror", found.mirror))
        },
    }  # fmt: skip


def _of_digest(digest: SeriesDigest) -> Row:
    first, last = _time(digest.first), _time(digest.last)
    return {"rows": digest.rows, "first": first, "last": last, "sha256": digest.sha256}


def _time(value: Any) -> str | None:
    return format_instant(value) if value else None


def _after(after: AfterLoad | None) -> Row:
    """The suite, the rollups and the report of what follows a load; null where nothing followed."""
    if after is None:
        return {"checks": None, "rollup_buckets": 0, "report": None}
    published = after.published
    return {
        "checks": asdict(after.quality) if after.quality else None,
        "rollup_buckets": after.rollups.buckets,
        "report": str(published.report) if published.report else None,
    }
