"""The tasks of one run, one by one, as Airflow calls them: references between them, retries, what they leave behind."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pyarrow as pa
import pytest
from lab import CRYPTO, D1, new_ticker, query, value, walk, watermarks

from hypertape.errors import (
    BadInput,
    BatchIncomplete,
    BatchRefused,
    CheckBroken,
    CheckFailed,
    SourceUnavailable,
)
from hypertape.frame import TIME_TYPE, instant
from hypertape.model import Interval, Window, utc
from hypertape.quality.results import QualityResult, record, results_of
from hypertape.settings import Settings
from hypertape.sources import csv_tree
from hypertape.steps.after_load import publish
from hypertape.steps.batch_tasks import extract_or_raise, load_or_raise
from hypertape.steps.landing import Landing, Received
from hypertape.steps.plan import plan
from hypertape.steps.refresh import _rollup_result, refresh
from hypertape.steps.run_batch import REUSE, extract, gate
from hypertape.steps.run_spec import Batch, BatchKind, Landed, RunSpec
from hypertape.warehouse.rollups import RollupCheck, check_rollups

START, END, NOW = utc(2024, 1, 1), utc(2024, 3, 1), utc(2024, 3, 1, 1)
HISTORY = utc(2010, 7, 17)


class Run:
    """One run over a directory with a good ticker and a directory without a file for a bad one."""

    def __init__(self, dsn, tmp_path):
        self.dsn, self.tree, self.id = dsn, tmp_path / "tree", new_ticker("run")
        self.good, self.bad = new_ticker("GOOD"), new_ticker("BAD")
        self.settings = Settings(state_dir=tmp_path / "state", batch_size=10)
        self.write(self.good)
        (self.tree / self.bad).mkdir()

    def write(self, ticker, days=60, seed=1, extra=(), start=START):
        bars = walk(days, seed=seed, start=start)
        rows = [
            f"{ticker},{instant(int(bars.time[at])):%Y-%m-%d},{bars.open[at]},{bars.high[at]},{bars.low[at]},"
            f"{bars.close[at]},{bars.volume[at]}"
            for at in range(days)
        ]
        (self.tree / ticker).mkdir(parents=True, exist_ok=True)
        header = "ticker,time,open,high,low,close,volume"
        (self.tree / ticker / "1D.csv").write_text("\n".join([header, *rows, *extra]) + "\n")
        return bars

    def plan(
        self, *, exact=True, start=START, end=END, tickers=None, market="crypto", interval="1d", settings=None
    ):
        return plan(
            self.dsn, market, interval, run_id=self.id, data_interval=Window(start, end), exact=exact,
            source={"name": "csv_tree", "directory": str(self.tree)}, tickers=tickers or [self.good, self.bad],
            settings=settings or self.settings, now=end,
        )  # fmt: skip

    def extract(self, planned, now=NOW, attempt=1, batch=0):
        landed = extract(
            planned.spec, planned.batches[batch], settings=self.settings, now=now, attempt=attempt
        )
        return Landed.from_json(json.loads(json.dumps(landed.to_json())))

    def landed(self, name, batch=0):
        return Landing(self.settings.landing, self.id, str(batch)).read(name)

    def gated(self, planned, now=NOW, attempt=1):
        landed = gate(planned.spec, self.extract(planned, now, attempt), settings=self.settings, now=now)
        return Landed.from_json(json.loads(json.dumps(landed.to_json())))

    def load(self, planned, landed, now=NOW, attempt=1):
        return load_or_raise(self.dsn, planned.spec, landed, settings=self.settings, now=now, attempt=attempt)

    def loaded(self, planned, now=NOW):
        return self.load(planned, self.gated(planned, now), now)


@pytest.fixture
def run(common_warehouse, tmp_path):
    return Run(common_warehouse, tmp_path)


# plan


def test_a_plan_names_batches_windows_and_what_is_due(run, common):
    planned = run.plan()
    assert planned.batches == (Batch(BatchKind.PLAN, 0, (run.good, run.bad), Window(START, END)),)
    assert planned.expected_bars == 2 * 60
    assert (planned.spec.market, planned.spec.interval, planned.run_id) == (CRYPTO, D1, run.id)
    sessions = (
        "select count(*) from trading_session where market = 'crypto' and session >= %s and session < %s"
    )
    assert value(common, sessions, START.date(), END.date()) == 60
    assert query(common, "select 1 from symbols where ticker = %s", run.good) == [], "a plan is no bar"


def test_a_scheduled_plan_continues_at_each_watermark(run, common):
    planned = run.plan(exact=False, tickers=[run.good])
    assert planned.batches[0].window == Window(HISTORY, END)
    run.loaded(planned)
    publish(run.dsn, planned.spec, now=NOW, settings=run.settings)
    later = run.plan(exact=False, end=END + timedelta(days=1))
    windows = {batch.tickers[0]: batch.window for batch in later.batches}
    overlap = END - timedelta(days=run.settings.overlap_bars)
    assert windows[run.good] == Window(overlap, END + timedelta(days=1))
    assert windows[run.bad].start == HISTORY
    assert run.plan(exact=False, end=START, tickers=[run.good]).batches == (), "nothing before the watermark"


def test_a_rollup_is_not_planned(run):
    with pytest.raises(BadInput, match=r"1w bars are rolled up, not loaded\. Load 1d, the rollup follows"):
        run.plan(interval="1W")


def test_batches_have_the_size_of_the_settings(run):
    names = [new_ticker() for _ in range(5)]
    planned = run.plan(tickers=names, settings=Settings(state_dir=run.settings.state_dir, batch_size=2))
    assert [list(batch.tickers) for batch in planned.batches] == [names[:2], names[2:4], names[4:]]


# extract


def test_an_answer_lands_with_its_counts_and_failures(run):
    reference = run.extract(run.plan())
    assert list(reference.failed) == [run.bad]
    failure = reference.failed[run.bad]
    assert (failure.kind, failure.transient) == ("SourceFileMissing", False)
    assert len(run.landed("bars")) == 60
    received = Received.read(Landing(run.settings.landing, run.id, "0"))
    assert received.fetched == {run.good: 60}
    assert received.counted[run.good] == (60, 60)


def test_a_retry_fetches_only_what_failed(run):
    planned = run.plan()
    run.extract(planned)
    before = run.landed("bars")
    run.write(run.good, seed=2)
    run.write(run.bad, days=20)
    again = run.extract(planned, now=NOW + timedelta(minutes=5), attempt=2)
    assert again.failed == {}
    landed = run.landed("bars")
    of_good = landed.filter(pa.compute.equal(landed["ticker"], run.good))
    assert of_good.equals(before), "as it was fetched the first time"
    assert len(landed) == 80
    assert Received.read(Landing(run.settings.landing, run.id, "0")).fetched == {
        run.good: 60,
        run.bad: 20,
    }


def test_a_late_retry_fetches_everything_anew(run):
    planned = run.plan()
    run.extract(planned)
    before = run.landed("bars")
    run.write(run.good, seed=2)
    again = run.extract(planned, now=NOW + REUSE, attempt=2)
    assert list(again.failed) == [run.bad]
    assert not run.landed("bars").equals(before)


def test_a_retry_of_a_complete_answer_asks_nobody(run, monkeypatch):
    planned = run.plan(tickers=[run.good])
    run.extract(planned)
    (run.tree / run.good / "1D.csv").unlink()
    again = run.extract(planned, now=NOW + timedelta(minutes=5), attempt=2)
    assert again.failed == {}
    assert len(run.landed("bars")) == 60


def test_every_ticker_is_told_as_it_is_done(run):
    planned, told = run.plan(), []
    extract(planned.spec, planned.batches[0], settings=run.settings, now=NOW, on_ticker=told.append)
    assert told == [run.good, run.bad]


# gate


def test_refused_rows_of_source_and_gate_land_together(run):
    bad_rows = [
        f"{run.good},2024-02-29,1,1,2,1,1",
        f"{run.good},2024-02-30,1,2,1,1,1",
        f"{run.good},2024-01-05,x,2,1,1,1",
    ]
    run.write(run.good, extra=bad_rows)
    run.gated(run.plan(tickers=[run.good]))
    assert sorted(run.landed("refused")["rule"].to_pylist()) == [
        "bad_time",
        "high_below_low",
        "text_in_number",
    ]


# load


def test_the_rest_is_stored_before_a_batch_fails(run, common):
    planned = run.plan()
    reference = run.gated(planned)
    with pytest.raises(
        BatchRefused, match=rf"1 of the batch's tickers failed and the others are stored: {run.bad}: There is"
    ):
        run.load(planned, reference)
    rows = query(
        common, "select ticker, status, inserted, attempt from load where run_id = %s order by 1", run.id
    )
    assert rows == [(run.bad, "failed", 0, 1), (run.good, "loaded", 60, 1)]
    assert query(common, "select kind from symbols where ticker = %s", run.good) == [("crypto",)]


def test_a_retry_of_the_load_fetches_what_failed_and_succeeds(run, common):
    planned = run.plan()
    reference = run.gated(planned)
    with pytest.raises(BatchRefused):
        run.load(planned, reference)
    run.write(run.bad, days=20)
    summary = run.load(planned, reference, NOW + timedelta(minutes=5), 2)
    assert (summary.counts.inserted, summary.counts.unchanged, summary.failed) == (20, 60, {})
    rows = query(
        common, "select ticker, attempt, status from load where run_id = %s order by load_id", run.id
    )
    assert sorted(rows) == [
        (run.bad, 1, "failed"), (run.bad, 2, "loaded"), (run.good, 1, "loaded"), (run.good, 2, "loaded"),
    ]  # fmt: skip


def test_a_failure_that_may_pass_asks_for_a_retry(run, monkeypatch):
    def away(*_, **__):
        raise SourceUnavailable("503 from the vendor")

    monkeypatch.setattr(csv_tree, "read_regular", away)
    planned = run.plan()
    reference = run.gated(planned)
    with pytest.raises(BatchIncomplete, match=r"503 from the vendor.*A retry fetches only the failed ones"):
        run.load(planned, reference)


def test_a_dead_source_turns_its_own_task_red_and_is_recorded(run, common, monkeypatch):
    """There is no load then that would record it; a retry asks for all of them again."""

    def away(*_, **__):
        raise SourceUnavailable("503 from the vendor")

    content = csv_tree.read_regular
    monkeypatch.setattr(csv_tree, "read_regular", away)
    run.write(run.bad)
    planned = run.plan()
    how = {"settings": run.settings, "now": NOW}
    with pytest.raises(SourceUnavailable, match="No ticker of 2 was served: 503 from the vendor"):
        extract_or_raise(run.dsn, planned.spec, planned.batches[0], **how)
    rows = query(common, "select distinct status, error_kind from load where run_id = %s", run.id)
    assert rows == [("failed", "SourceUnavailable")]
    error = publish(run.dsn, planned.spec, now=NOW, settings=run.settings).error
    assert "2 tickers of the run failed and there are no others" in str(error)
    assert str(error).count("503 from the vendor") == 1
    monkeypatch.setattr(csv_tree, "read_regular", content)
    landed = extract_or_raise(run.dsn, planned.spec, planned.batches[0], attempt=2, **how)
    assert landed.failed == {}


def test_a_summary_says_what_changed(run):
    summary = json.loads(json.dumps(run.loaded(run.plan(tickers=[run.good])).to_json()))
    assert summary["first_changed"] == START.isoformat()
    assert summary["last_changed"] == (END - timedelta(days=1)).isoformat()
    assert {name: summary[name] for name in ("tickers", "inserted", "updated", "recomputed", "unchanged")} == {
        "tickers": 1, "inserted": 60, "updated": 0, "recomputed": 0, "unchanged": 0,
    }  # fmt: skip
    again = run.loaded(run.plan(tickers=[run.good]))
    assert (again.first_changed, again.counts.unchanged) == (None, 60)


def test_dividends_and_splits_are_stored_with_the_bars(run, common):
    planned = run.plan(tickers=[run.good])
    reference = run.gated(planned)
    place = Landing(run.settings.landing, run.id, "0")
    schema = pa.schema([("ticker", pa.string()), ("time", TIME_TYPE), ("ratio", pa.float64())])
    place.write(
        "splits", pa.Table.from_pylist([{"ticker": run.good, "time": START, "ratio": 2.0}], schema=schema)
    )
    run.load(planned, reference)
    assert query(common, "select market, time, ratio from splits where ticker = %s", run.good) == [
        ("crypto", START, 2.0)
    ]


# refresh


def test_a_refresh_proves_and_records_what_it_refreshed(run, common):
    planned = run.plan(tickers=[run.good])
    run.loaded(planned)
    done = json.loads(json.dumps(refresh(run.dsn, planned.spec).to_json()))
    assert done["rollups"] == ["1w", "2w", "1mo"]
    assert done["differing"] == 0
    assert done["buckets"] >= 9 + 5 + 2
    kept = results_of(common, run.id)
    assert {(result.suite, result.target, result.status) for result in kept} == {
        ("rollups", f"crypto_data_{level}", "passed") for level in ("1w", "2w", "1mo")
    }
    assert refresh(run.dsn, planned.spec).ranges == ()


def test_a_load_between_a_refresh_and_its_check_is_no_alarm(run, monkeypatch):
    """What another run writes in between is refreshed too, and judged again."""
    planned = run.plan(tickers=[run.good])
    run.loaded(planned)
    checked = []

    def late(connection, market, refreshed):
        if not checked:
            run.write(run.good, seed=2)
            run.loaded(planned)
        checked.append(check_rollups(connection, market, refreshed))
        return checked[-1]

    monkeypatch.setattr("hypertape.steps.refresh.check_rollups", late)
    assert refresh(run.dsn, planned.spec).differing == 0
    assert [sum(check.differing for check in checks) > 0 for checks in checked] == [True, False]


def test_a_bucket_that_differs_is_a_critical_failure():
    window = Window(utc(2024, 1, 1), utc(2024, 1, 8))
    head = RunSpec("run", CRYPTO, D1, None, window)
    found = _rollup_result(head, RollupCheck(Interval.W1, window, 5, 1, (("A", utc(2024, 1, 1)),)))
    assert (found.status, found.severity, found.evaluated, found.unexpected) == ("failed", "critical", 5, 1)
    assert found.sample == ({"ticker": "A", "time": "2024-01-01"},)
    assert found.target == "crypto_data_1w"


# publish


def verdict(run, severity, status):
    """A check's result as the quality step leaves it."""
    return QualityResult(
        run_id=run.id, market="crypto", interval="1d", suite="crypto_data_1d", expectation="a_rule", description="d",
        severity=severity, status=status, window=Window(START, END), evaluated=60, unexpected=1, error="no such column",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("severity", "status", "error", "moves"),
    [
        ("critical", "passed", None, True),
        ("warning", "failed", None, True),
        ("warning", "broken", None, True),
        ("critical", "failed", CheckFailed, False),
        ("critical", "broken", CheckBroken, False),
    ],
)
def test_what_moves_the_watermark(run, common, severity, status, error, moves):
    planned = run.plan(start=HISTORY, tickers=[run.good])
    run.loaded(planned)
    record(common, [verdict(run, severity, status)])
    if error:
        found = publish(run.dsn, planned.spec, now=NOW, settings=run.settings)
        assert isinstance(found.error, error)
        assert "a_rule" in str(found.error)
    else:
        assert publish(run.dsn, planned.spec, now=NOW, settings=run.settings).watermarks_moved == 1
    assert watermarks(common, CRYPTO, D1).get(run.good) == (END if moves else None)
    (report,) = (run.settings.state_dir / "reports").iterdir()
    assert "a_rule" in report.read_text(encoding="utf-8"), "the report is written either way"


def test_failed_tickers_are_named_after_the_others_are_published(run, common):
    planned = run.plan(start=HISTORY)
    reference = run.gated(planned)
    with pytest.raises(BatchRefused):
        run.load(planned, reference)
    error = publish(run.dsn, planned.spec, now=NOW, settings=run.settings).error
    assert isinstance(error, BatchRefused)
    told = rf"1 tickers of the run failed and the others are published: {run.bad}.*Report: /"
    assert re.match(told, str(error))
    assert watermarks(common, CRYPTO, D1)[run.good] == END
    assert run.bad not in watermarks(common, CRYPTO, D1)


def test_publishing_sweeps_what_landed_long_ago(run):
    planned = run.plan(tickers=[run.good])
    run.loaded(planned)
    landing = run.settings.state_dir / "landing"
    assert len(list(landing.iterdir())) == 1
    # the files are as old as this test; the run is published when they have expired
    publish(run.dsn, planned.spec, now=utc(2100), settings=run.settings)
    assert list(landing.iterdir()) == []
