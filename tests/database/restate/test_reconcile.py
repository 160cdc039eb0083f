"""Stored bars against another source's: what is compared, what is kept of it, and what the command line says."""

from __future__ import annotations

from functools import partial

import pytest
from lab import CRYPTO, D1, US, query, row_versions, walk

from hypertape.errors import BadInput
from hypertape.frame import instant
from hypertape.model import Window, utc
from hypertape.quality.reconciliation import PRESENCE, Tolerance
from hypertape.settings import Settings, load_settings
from hypertape.sources import SourceConfig
from hypertape.steps.reconcile import reconcile
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect

START, NOW = utc(2024, 1, 1), utc(2024, 2, 10, 12)
WINDOW = Window(START, NOW)


def write(tree, ticker, days=41, seed=1, change=None):
    bars = walk(days, seed=seed, start=START)
    rows = [
        [f"{instant(int(bars.time[at])):%Y-%m-%d}", bars.open[at], bars.high[at], bars.low[at], bars.close[at],
         bars.volume[at] + 1]
        for at in range(days)
    ]  # fmt: skip
    for row in rows:
        if change:
            change(row)
    (tree / ticker).mkdir(parents=True, exist_ok=True)
    lines = ["ticker,time,open,high,low,close,volume", *(",".join(map(str, [ticker, *row])) for row in rows)]
    (tree / ticker / "1D.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def loaded(warehouse, tmp_path, monkeypatch):
    """Two tickers stored from one tree; another tree to compare with."""
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    monkeypatch.setenv("COLUMNS", "200")
    for seed, ticker in enumerate(("AAA", "BBB")):
        for tree in ("mine", "theirs"):
            write(tmp_path / tree, ticker, seed=seed)
    sync(
        warehouse, "crypto", "1d", now=NOW, start=START, end=NOW, check=False, settings=load_settings(),
        source={"name": "csv_tree", "directory": str(tmp_path / "mine")},
    )  # fmt: skip
    return warehouse, tmp_path / "theirs"


def against(loaded, tickers=None, tolerance=None, window=WINDOW):
    dsn, tree = loaded
    config = SourceConfig("csv_tree", str(tree))
    return reconcile(
        dsn, CRYPTO, D1, config, window, tickers=tickers, tolerance=tolerance or Tolerance(), now=NOW,
        run_id="reconcile__1", settings=Settings(batch_size=1),
    )  # fmt: skip


def kept(dsn):
    with connect(dsn) as connection:
        rows = query(
            connection,
            "select expectation, severity, status, evaluated, unexpected, sample, target from quality_result "
            "where suite = 'reconciliation' order by result_id",
        )
    return {row[0]: row[1:] for row in rows}


def test_equal_sources_agree_on_every_final_bar(loaded):
    done = against(loaded)
    assert done.agrees
    columns = (PRESENCE, "open", "high", "low", "close", "volume")
    compared = {name: found.compared for name, found in done.comparisons.items()}
    assert compared == dict.fromkeys(columns, 80), "40 days each: the 41st is still open"
    assert {row[1] for row in kept(loaded[0]).values()} == {"passed"}


def test_disagreement_is_a_kept_warning_and_changes_no_bar(loaded):
    def change(row):
        if row[0] == "2024-01-15":
            row[2] *= 1.01
        if row[0] == "2024-01-20":
            row[5] *= 10

    write(loaded[1], "BBB", seed=1, change=change)
    with connect(loaded[0]) as connection:
        before = row_versions(connection, "bars.crypto_data_1d")

    done = against(loaded)

    assert not done.agrees
    found = kept(loaded[0])
    severity, status, evaluated, unexpected, sample, target = found["high_agrees"]
    assert (severity, status, evaluated, unexpected, target) == ("warning", "failed", 80, 1, "csv_tree")
    assert (sample[0]["ticker"], sample[0]["time"]) == ("BBB", "2024-01-15T00:00:00+00:00")
    assert sample[0]["there"] == pytest.approx(sample[0]["here"] * 1.01)
    assert found["volume_agrees"][3] == 1
    assert found["same_bars"][1] == "passed"
    with connect(loaded[0]) as connection:
        assert row_versions(connection, "bars.crypto_data_1d") == before


def test_a_missing_bar_and_an_impossible_one_are_told_apart(loaded):
    def change(row):
        if row[0] == "2024-01-15":
            row[5] = -1.0

    write(loaded[1], "AAA", days=20, seed=0, change=change)
    done = against(loaded, tickers=["AAA"])
    assert done.comparisons[PRESENCE].disagree == 21
    assert done.refused == 1
    assert done.comparisons["close"].disagree == 0


def test_a_ticker_the_other_source_lacks_takes_no_part(loaded):
    (loaded[1] / "BBB" / "1D.csv").unlink()
    (loaded[1] / "BBB").rmdir()
    done = against(loaded)
    assert done.agrees
    assert set(done.failed) == {"BBB"}
    assert done.comparisons["close"].compared == 40


def test_a_warehouse_without_bars_has_nothing_to_compare(loaded):
    config = SourceConfig("sample")
    with pytest.raises(BadInput, match="No us 1d bars are stored"):
        reconcile(
            loaded[0],
            US,
            D1,
            config,
            WINDOW,
            tickers=None,
            tolerance=Tolerance(),
            now=NOW,
            settings=load_settings(),
            run_id="x",
        )


@pytest.fixture
def call(loaded, command_line):
    """Call `hypertape reconcile …` against the other tree; returns exit code, stdout, stderr."""
    against = ("--against", "csv_tree", "--source-dir", str(loaded[1]))
    return partial(command_line, "reconcile", "crypto", "1d", *against)


def test_the_command_line_tells_and_exits_accordingly(loaded, call):
    window = ("--start-date", "2024-01-01", "--end-date", "2024-02-01")
    code, out, _ = call(*window)
    assert code == 0
    assert "stored and csv_tree" in out

    def change(row):
        row[4] *= 1.0001
        if row[0] == "2024-01-15":
            row[2] *= 1.5

    write(loaded[1], "AAA", seed=0, change=change)
    code, out, err = call(*window)
    assert code == 3
    assert "disagree: high 1" in err
    assert "33.3 %" in out
    assert "2024-01-15" in out
    assert call(*window, "--tickers", "BBB")[0] == 0
    assert call(*window, "--tolerance", "0.00001")[0] == 3
    assert call(*window, "--tolerance", "0.5", "--no-volume")[0] == 0
    assert call(*window, "--tickers", "BBB,GONE")[0] == 2


def test_a_comparison_of_nothing_agrees_with_nobody(loaded, call):
    early = Window(utc(2023, 1, 1), utc(2023, 2, 1))
    done = against(loaded, window=early)
    assert done.compared == 0
    found = kept(loaded[0])
    assert {row[1:4] for row in found.values()} == {("not_evaluated", 0, 0)}
    with connect(loaded[0]) as connection:
        (why,) = {
            row[0]
            for row in query(
                connection, "select details ->> 'why' from quality_result where suite = 'reconciliation'"
            )
        }
    assert why == "neither the warehouse nor csv_tree has a final bar of these tickers in the window"
    code, _, err = call("--start-date", "2023-01-01", "--end-date", "2023-02-01")
    assert code == 2
    assert "Nothing was compared" in err


def test_a_ticker_nobody_knows_is_named_with_those_there_are(call):
    code, _, err = call("--tickers", "NOPE,BBB")
    assert code == 2
    assert "NOPE is no ticker of crypto" in err
    assert "There are: AAA, BBB" in err


def test_when_no_ticker_was_served_nobody_agrees(loaded, call):
    for name in ("AAA", "BBB"):
        (loaded[1] / name / "1D.csv").unlink()
        (loaded[1] / name).rmdir()
    code, _, err = call()
    assert code == 4
    assert "2 of 2 tickers were not compared." in err
    assert "agree" not in err
