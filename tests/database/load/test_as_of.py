"""What was known at an instant: `bars_as_of` equals what a reader saw then, whatever was loaded before and after."""

from __future__ import annotations

import threading
from datetime import timedelta

import numpy as np
import psycopg
import pytest
from lab import START, changed, new_ticker, put, query, scaled, times, value, walk

from hypertape.frame import instant
from hypertape.warehouse.connect import connect

COLUMNS = "ticker, time, open, high, low, close, volume, adjusted_close, load_id"
FINAL_NOW = f"""
    select {COLUMNS} from bars.crypto_data_1d as bar
    where ticker = any(%s) and not exists (
        select from series where market = 'crypto' and interval = '1d' and series.ticker = bar.ticker
            and provisional_time = bar.time
    )
    order by ticker, time
"""
AS_OF = f"select {COLUMNS} from bars_as_of('crypto', '1d', %s, %s) order by ticker, time"


def random_load(connection, tickers, random, run):
    """Some bars of some series: new ones, corrected ones, the same ones again, an open one at the end."""
    day = int(random.integers(5, 60))
    series = {}
    for ticker in random.choice(tickers, random.integers(1, len(tickers) + 1), replace=False):
        bars = walk(60, seed=int(ticker[-1])).take(slice(max(day - int(random.integers(1, 20)), 0), day))
        kind = random.integers(4)
        if kind == 0:
            bars = scaled(bars, float(random.choice([0.5, 1.1, 2.0])))
        elif kind == 1:
            bars = changed(bars, int(random.integers(len(bars))), volume=float(random.integers(100)))
        series[str(ticker)] = bars
    # within the newest bar, or long after it
    now = START + timedelta(days=day) + timedelta(hours=-5 if random.random() < 0.5 else 500 * 24)
    put(connection, series, now=now, run_id=run, keep_stored=bool(random.random() < 0.1))


def test_a_hundred_random_instants_of_random_loads(common_warehouse):
    random = np.random.default_rng(4)
    tickers = [f"{new_ticker('AO')}{seed}" for seed in range(4)]
    seen = []
    with connect(common_warehouse, autocommit=True) as connection:
        for number in range(100):
            random_load(connection, tickers, random, f"as of {number}")
            at = value(connection, "select clock_timestamp()")
            seen.append((at, query(connection, FINAL_NOW, tickers)))
        revised = value(connection, "select count(*) from bar_revision where ticker = any(%s)", tickers)
        finalised = value(
            connection, "select count(*) from load where ticker = any(%s) and finalised is not null", tickers
        )
        for at, rows in seen:
            assert query(connection, AS_OF, at, tickers) == rows
    assert revised > 100
    assert finalised > 0


def test_readers_beside_loaders_remember_what_they_saw(common_warehouse):
    """Two loaders at once; the reader's instants come from known_now, in the transaction that reads."""
    tickers = [f"{new_ticker('AC')}{seed}" for seed in range(6)]
    done = threading.Event()
    failures: list[BaseException] = []

    def loader(mine, seed):
        random = np.random.default_rng(seed)
        try:
            with connect(common_warehouse, autocommit=True) as connection:
                for number in range(30):
                    random_load(connection, mine, random, f"loader {seed} {number}")
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            done.set()

    loaders = [
        threading.Thread(target=loader, args=(tickers[:4], 1)),
        threading.Thread(target=loader, args=(tickers[2:], 2)),
    ]
    for thread in loaders:
        thread.start()
    seen = []
    with connect(common_warehouse, autocommit=True) as connection:
        while not done.is_set() or len(seen) < 20:
            with connection.transaction():
                at = value(connection, "select known_now()")
                seen.append((at, query(connection, FINAL_NOW, tickers)))
        for thread in loaders:
            thread.join()
        assert failures == []
        for at, rows in seen:
            assert query(connection, AS_OF, at, tickers) == rows


def test_one_instant_for_a_batch(common):
    names = [new_ticker("B") for _ in range(5)]
    put(common, {name: walk(10) for name in names}, run_id="batch " + names[0])
    found = query(common, "select distinct loaded_at from load where run_id = %s", "batch " + names[0])
    assert len(found) == 1


def test_an_open_bar_is_known_from_the_load_that_found_it_final(common):
    ticker, bars = new_ticker("O"), walk(5)
    opened_at = instant(int(bars.time[-1]))
    put(common, {ticker: bars}, now=opened_at)
    first = value(common, "select clock_timestamp()")
    assert len(query(common, AS_OF, first, [ticker])) == 4
    put(common, {ticker: bars}, run_id="same, final")
    second = value(common, "select clock_timestamp()")
    put(common, {ticker: changed(bars, 4, volume=1.0)}, run_id="restated")
    assert len(query(common, AS_OF, first, [ticker])) == 4
    assert [row[6] for row in query(common, AS_OF, second, [ticker])] == bars.volume.tolist()
    assert query(common, AS_OF, "infinity", [ticker])[-1][6] == 1.0


def test_tickers_and_a_window_bound_the_scan(common):
    one, two = new_ticker("W"), new_ticker("W")
    bars = walk(30)
    put(common, {one: bars, two: bars})
    at = value(common, "select clock_timestamp()")
    put(common, {one: scaled(bars, 0.5)})
    start, end = times(bars, [5, 9])
    found = query(
        common,
        f"select {COLUMNS} from bars_as_of('crypto', '1d', %s, %s, %s, %s) order by time",
        at, [one], start, end,
    )  # fmt: skip
    assert [row[5] for row in found] == bars.close[5:9].tolist()
    whole = query(
        common, "select count(*) from bars_as_of('crypto', '1d', %s) where ticker in (%s, %s)", at, one, two
    )
    assert whole == [(60,)]


@pytest.mark.parametrize(
    ("market", "interval", "message"),
    [("crypto", "1w", "stored intervals, not 1w"), ("nowhere", "1d", "no market nowhere")],
)
def test_what_cannot_be_read_as_of(common, market, interval, message):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=message):
        common.execute("select * from bars_as_of(%s, %s, now())", (market, interval))


def test_bars_that_no_load_of_ours_wrote_were_always_there(common):
    ticker, bars = new_ticker("F"), walk(3)
    put(common, {ticker: bars})
    common.execute("update bars.crypto_data_1d set load_id = -1 where ticker = %s", (ticker,))
    assert len(query(common, AS_OF, "2000-01-01", [ticker])) == 3
