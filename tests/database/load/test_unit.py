"""Prices in another unit are refused from the first load on, whatever way they come in, and the repair is not."""

from __future__ import annotations

import csv

import pytest
from lab import CRYPTO, D1, US, VN, put, query, scaled, to_frame, value, walk

from hypertape.errors import SuspectScale
from hypertape.model import utc
from hypertape.settings import Settings
from hypertape.steps.backfill import backfill
from hypertape.steps.backfill_request import BackfillRequest
from hypertape.steps.sync import sync
from hypertape.stores import Block, Selection
from hypertape.stores.addresses import CsvOptions
from hypertape.stores.csv import CsvStore
from hypertape.stores.warehouse import WarehouseStore
from hypertape.warehouse.connect import connect

NOW = utc(2024, 3, 1)
DAYS = ("2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08")
THOUSANDS = 43.85


@pytest.fixture
def tree(tmp_path):
    """A legacy tree: stocks in thousands, the index in points."""
    for ticker, close in {"VIC": THOUSANDS, "VCB": 88.0, "VNINDEX": 1131.0}.items():
        path = tmp_path / "csv" / "market_data" / ticker / "1D.csv"
        path.parent.mkdir(parents=True)
        with path.open("w", newline="") as lines:
            rows = csv.writer(lines)
            rows.writerow(["ticker", "time", "open", "high", "low", "close", "volume"])
            rows.writerows([ticker, day, close, close * 1.01, close * 0.99, close, 1000] for day in DAYS)
    return tmp_path / "csv"


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path / "state")


def load(dsn, tree, settings, *, legacy_scale):
    source = {"name": "csv_tree", "directory": str(tree), "legacy_scale": legacy_scale}
    return sync(dsn, "vn", "1d", now=NOW, start=utc(2024), source=source, settings=settings)


def closes(dsn):
    with connect(dsn, autocommit=True) as connection:
        return dict(query(connection, "select ticker, max(close) from market_data_1d group by ticker"))


def test_a_legacy_tree_without_the_flag_is_refused_by_sync_from_the_first_load_on(warehouse, tree, settings):
    result = load(warehouse, tree, settings, legacy_scale=False)
    assert set(result.failed) == {"VIC", "VCB"}
    assert "--legacy-scale" in result.failed["VIC"]
    assert "from 250 to 5e+06 VND" in result.failed["VIC"]
    assert result.error is not None
    assert closes(warehouse) == {"VNINDEX": 1131.0}
    assert load(warehouse, tree, settings, legacy_scale=True).failed == {}
    assert closes(warehouse) == {"VNINDEX": 1131.0, "VIC": 43850.0, "VCB": 88000.0}


def test_a_tree_in_dong_with_the_flag_is_refused_too(warehouse, tree, settings):
    for path in tree.glob("market_data/V[IC]*/1D.csv"):
        path.write_text(path.read_text().replace("43.85", "43850").replace("88.0", "88000"))
    failed = load(warehouse, tree, settings, legacy_scale=True).failed
    assert set(failed) == {"VIC", "VCB"}
    assert "leave --legacy-scale out" in failed["VIC"]


def test_a_copy_and_an_import_are_refused_as_a_sync_is(warehouse, tree):
    target = WarehouseStore(warehouse, NOW, "copied")
    (series,) = [info.series for info in CsvStore(tree).series(Selection()) if info.series.ticker == "VIC"]
    with pytest.raises(SuspectScale, match="--legacy-scale"):
        target.write(VN, D1, CsvStore(tree).read(series))
    written = target.write(VN, D1, CsvStore(tree, CsvOptions(legacy_scale=True)).read(series))
    assert written.inserted == len(DAYS)
    target.close()


def test_what_was_stored_in_a_wrong_unit_is_replaced_by_the_command_that_the_refusal_names(
    warehouse, tree, settings, monkeypatch
):
    with monkeypatch.context() as before:  # what an earlier version stored
        before.setattr("hypertape.warehouse.loading.load.implausible", lambda *_: None)
        assert load(warehouse, tree, settings, legacy_scale=False).failed == {}
    assert closes(warehouse)["VIC"] == THOUSANDS
    again = load(warehouse, tree, settings, legacy_scale=False).failed["VIC"]
    mended = load(warehouse, tree, settings, legacy_scale=True).failed["VIC"]
    for said in (again, mended):
        assert "hypertape backfill vn 1d --tickers VIC --mode restate --no-dry-run" in said, said
    assert "The stored bars are in another unit" in mended
    source = {"name": "csv_tree", "directory": str(tree), "legacy_scale": True}
    asked = BackfillRequest(mode="restate", tickers=["VIC", "VCB"], source=source, reason="wrong unit")
    done = backfill(warehouse, "vn", "1d", asked, run_id="restate", now=NOW, dry_run=False, settings=settings)
    assert done.failed == {}
    assert closes(warehouse) == {"VNINDEX": 1131.0, "VIC": 43850.0, "VCB": 88000.0}
    with connect(warehouse, autocommit=True) as connection:
        assert value(connection, "select count(*) from bar_revision where ticker = 'VIC'") == len(DAYS)


def test_a_restatement_in_the_wrong_unit_is_refused(warehouse, tree, settings):
    load(warehouse, tree, settings, legacy_scale=True)
    source = {"name": "csv_tree", "directory": str(tree), "legacy_scale": False}
    asked = BackfillRequest(mode="restate", tickers=["VIC"], source=source, reason="a slip")
    done = backfill(warehouse, "vn", "1d", asked, run_id="restate", now=NOW, dry_run=False, settings=settings)
    assert set(done.failed) == {"VIC"}
    assert closes(warehouse)["VIC"] == 43850.0


@pytest.mark.parametrize(
    ("market", "ticker", "close"),
    [
        (VN, "VIC", 300.0),  # a penny share of UPCOM
        (VN, "VIC", 1_500_000.0),  # the dearest
        (VN, "HNXINDEX", 60.0),
        (CRYPTO, "PEPE", 4e-7),
        (CRYPTO, "BTC", 126_000.0),
        (US, "^IRX", 0.0415),
        (US, "BRK-A", 750_000.0),
        (US, "DRYS", 20_000_000.0),  # before many reverse splits
    ],
)
def test_prices_that_real_instruments_have_are_loaded(connection, market, ticker, close):
    bars = walk(12)
    bars = scaled(bars, close / float(bars.close[0]))
    assert put(connection, {ticker: bars}, market=market)[ticker].refused is None


def test_one_odd_series_does_not_refuse_the_others(connection):
    bars = walk(12)
    frames = {"VIC": scaled(bars, 0.5 / bars.close[0]), "VCB": scaled(bars, 90_000.0 / bars.close[0])}
    results = put(connection, frames, market=VN)
    assert (results["VIC"].refused is not None, results["VCB"].inserted) == (True, 12)
    assert Block(to_frame(frames)).bars.num_rows == 24
