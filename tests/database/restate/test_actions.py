"""Corporate actions: kept once, changes counted; the adjusted series follows from closes and actions."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from lab import CRYPTO, US, changed, new_ticker, put, query, scaled, times, value, walk
from typer.testing import CliRunner

from hypertape.cli import app
from hypertape.errors import BatchRefused
from hypertape.frame import Bars, instant
from hypertape.model import utc
from hypertape.settings import Settings
from hypertape.sources import DIVIDEND_SCHEMA, SPLIT_SCHEMA
from hypertape.steps.actions import finish, plan_actions, raise_if_failed, sync_actions
from hypertape.steps.sync import sync
from hypertape.warehouse.actions import Kept, adjusted, keep_actions, list_actions

NOW = utc(2025, 6, 28)


@pytest.fixture
def ticker():
    return new_ticker("ACT")


def dividends(*rows):
    return pa.Table.from_pylist(
        [dict(zip(DIVIDEND_SCHEMA.names, row, strict=True)) for row in rows], DIVIDEND_SCHEMA
    )


def splits(*rows):
    return pa.Table.from_pylist(
        [dict(zip(SPLIT_SCHEMA.names, row, strict=True)) for row in rows], SPLIT_SCHEMA
    )


def test_what_is_stored_and_equal_is_not_written(common, ticker):
    first = dividends((ticker, utc(2024, 3, 1), 1.5), (ticker, utc(2024, 6, 1), 1.5))
    assert keep_actions(common, US, "dividends", first) == Kept(new=2)
    before = query(common, "select ctid::text, xmin::text from dividends where ticker = %s", ticker)
    assert keep_actions(common, US, "dividends", first) == Kept(unchanged=2)
    assert query(common, "select ctid::text, xmin::text from dividends where ticker = %s", ticker) == before
    second = dividends((ticker, utc(2024, 6, 1), 1.6), (ticker, utc(2024, 9, 1), 1.6))
    assert keep_actions(common, US, "dividends", second) == Kept(new=1, changed=1)
    assert keep_actions(common, US, "splits", splits()) == Kept()
    keep_actions(common, US, "splits", splits((ticker, utc(2024, 7, 1), 2.0)))
    found = [(row["kind"], row["value"]) for row in list_actions(common, US, tickers=[ticker])]
    assert found == [("dividend", 1.6), ("split", 2.0), ("dividend", 1.6), ("dividend", 1.5)]


def test_an_action_reported_twice_in_one_answer_is_kept_once(common, ticker):
    twice = dividends((ticker, utc(2020, 5, 4), 2.0), (ticker, utc(2020, 5, 4), 2.0))
    assert keep_actions(common, US, "dividends", twice) == Kept(new=1)
    assert value(common, "select count(*) from dividends where ticker = %s", ticker) == 1


def series(days=40):
    bars = walk(days)
    return Bars(bars.time, bars.open, bars.high, bars.low, bars.close, bars.volume, np.full(days, np.nan))


def declare(connection, ticker, bars, split_at=None, dividend_at=None, ratio=2.0, amount=3.0):
    if split_at is not None:
        keep_actions(connection, CRYPTO, "splits", splits((ticker, *times(bars, [split_at]), ratio)))
    if dividend_at is not None:
        keep_actions(
            connection, CRYPTO, "dividends", dividends((ticker, *times(bars, [dividend_at]), amount))
        )


def halved_from(bars, at, ratio=2.0):
    """Closes as traded: they fall by the ratio at the split."""
    return changed(
        bars, slice(at, None), **dict.fromkeys(("open", "high", "low", "close"), lambda price: price / ratio)
    )


@pytest.mark.parametrize("declared", [None, False], ids=["seen from the closes", "by the source"])
def test_closes_as_traded_are_divided_by_later_splits(common, ticker, declared):
    bars = series()
    put(common, {ticker: halved_from(bars, 20)})
    declare(common, ticker, bars, split_at=20)
    found = adjusted(common, CRYPTO, ticker, split_adjusted=declared)
    assert found.factor.tolist() == [0.5] * 20 + [1.0] * 20
    np.testing.assert_allclose(found.adjusted, bars.close / 2, rtol=1e-14)
    assert found.time.tolist() == bars.time.tolist()


@pytest.mark.parametrize("declared", [None, True], ids=["seen from the closes", "by the source"])
def test_closes_that_are_split_adjusted_stay(common, ticker, declared):
    bars = series()
    put(common, {ticker: bars})
    declare(common, ticker, bars, split_at=20)
    assert set(adjusted(common, CRYPTO, ticker, split_adjusted=declared).factor) == {1.0}


def test_dividends_and_splits_multiply(common, ticker):
    bars = series()
    put(common, {ticker: halved_from(bars, 30)})
    declare(common, ticker, bars, split_at=30, dividend_at=10)
    declare(common, ticker, bars, dividend_at=35, amount=1.0)
    found = adjusted(common, CRYPTO, ticker)
    traded = halved_from(bars, 30).close
    early, late = 1 - 3.0 / traded[9], 1 - 1.0 / traded[34]
    expected = np.r_[[early * 0.5 * late] * 10, [0.5 * late] * 20, [late] * 5, [1.0] * 5]
    np.testing.assert_allclose(found.factor, expected, rtol=1e-14)


def test_an_action_after_the_last_bar_waits_and_a_window_knows_later_actions(common, ticker):
    from hypertape.model import Window

    bars = series()
    put(common, {ticker: halved_from(bars, 20).take(slice(0, 30))})
    declare(common, ticker, bars, split_at=20, dividend_at=35)
    window = Window(instant(int(bars.time[5])), instant(int(bars.time[8])))
    found = adjusted(common, CRYPTO, ticker, window)
    assert found.factor.tolist() == [0.5] * 3
    assert adjusted(common, CRYPTO, new_ticker("NONE")).time.tolist() == []


# the sample's planted split and dividend, through the whole chain


@pytest.fixture(scope="module")
def chain(new_warehouse, tmp_path_factory):
    settings = Settings(state_dir=tmp_path_factory.mktemp("actions"), batch_size=2)
    tickers = ["SYNCORP", "SYNOIL"]
    with new_warehouse() as dsn:
        sync(
            dsn, "us", "1d", now=NOW, source={"name": "sample"}, settings=settings, tickers=tickers, check=False,
            start=utc(2024, 1, 1),
        )  # fmt: skip

        def run(run_id, **others):
            batches = plan_actions(
                dsn, "us", run_id=run_id, now=NOW, source={"name": "sample"}, settings=settings,
                **{"tickers": tickers, **others},
            )  # fmt: skip
            synced = [sync_actions(dsn, batch, now=NOW, settings=settings) for batch in batches]
            return finish(dsn, synced, run_id=run_id, now=NOW)

        yield dsn, run


def test_the_vendor_s_adjusted_closes_are_reproduced(chain):
    from hypertape.warehouse.connect import connect

    dsn, run = chain
    with connect(dsn, autocommit=True) as connection:
        connection.execute("delete from splits")
        connection.execute("delete from dividends")
        done = run("first")
        assert (done.counts["splits_new"], done.counts["dividends_new"], done.failed) == (1, 1, {})
        assert done.checks["us"].evaluated > 200
        assert done.checks["us"].unexpected == 0
        again = run("second")
        assert (
            again.counts["splits_new"],
            again.counts["splits_changed"],
            again.counts["splits_unchanged"],
        ) == (0, 0, 1)
        connection.execute("update splits set ratio = 3")
        wrong = run("third", tickers=["SYNOIL"])
        assert wrong.checks["us"].unexpected == 0
        assert value(connection, "select count(*) from quality_result where suite = 'corporate_actions'") == 3


def test_a_missing_action_shows(chain):
    from hypertape.model import Window
    from hypertape.steps.actions import check_adjusted
    from hypertape.warehouse.connect import connect

    dsn, run = chain
    run("anew")
    with connect(dsn, autocommit=True) as connection:
        connection.execute("update splits set ratio = 3 where ticker = 'SYNCORP'")
        window = Window(NOW - timedelta(days=300), NOW)
        result = check_adjusted(dsn, "us", ["SYNCORP"], window, run_id="wrong", now=NOW)
        assert result.status == "failed"
        assert result.unexpected > 100
        assert {"ticker": "SYNCORP"}.items() <= dict(result.sample[0]).items()
    assert run("mended").counts["splits_changed"] == 1


def test_an_unknown_ticker_fails_alone(chain):
    _, run = chain
    done = run("odd", tickers=["SYNOIL", "NOSUCH"])
    assert list(done.failed) == ["NOSUCH"]
    assert done.counts["dividends_unchanged"] + done.counts["dividends_new"] == 1
    with pytest.raises(BatchRefused, match="NOSUCH"):
        raise_if_failed(done)


def test_the_verbs(chain, monkeypatch, tmp_path):
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", chain[0])
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    run = CliRunner().invoke
    done = run(
        app, ["actions", "sync", "-m", "us", "--source", "sample", "-t", "SYNCORP", "--end", "2025-06-28"]
    )
    assert done.exit_code == 0, done.output
    assert "splits" in done.output
    listed = run(app, ["actions", "list", "-m", "us", "--ticker", "SYNCORP", "--json"]).output
    assert json.loads(listed) == [{
        "ticker": "SYNCORP", "time": "2025-06-09", "kind": "split", "value": 2.0, "source": "sample",
        "withdrawn_at": None, "withdrawn_run": None, "refused_because": None,
    }]  # fmt: skip
    assert "SYNOIL" in run(app, ["actions", "list", "-m", "us", "--since", "2025-01-01"]).output


def test_the_sql_function_names_an_unknown_market(common):
    import psycopg

    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no market nowhere"):
        common.execute("select * from bars_adjusted('nowhere', 'X')")
    assert scaled(series(), 1.0).close[0] == series().close[0]
