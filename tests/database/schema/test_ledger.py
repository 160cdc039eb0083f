"""The small tables: what moves a watermark and what does not, symbols, sessions, corporate actions."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import CRYPTO, D1, NOW, VN, new_ticker, query, request, to_frame, tuples_written, walk, watermarks

from hypertape.calendars import sessions
from hypertape.errors import NoData
from hypertape.frame import empty_frame
from hypertape.model import Window, midnight, utc
from hypertape.warehouse.ledger import (
    advance_watermarks,
    register_sessions,
    register_symbols,
    run_loads,
)
from hypertape.warehouse.loading.batch import LoadRequest
from hypertape.warehouse.loading.load import load_bars, record_failures
from thorough import examples

HISTORY = midnight(CRYPTO.history_start[D1])


@pytest.fixture
def ticker():
    return new_ticker()


@pytest.fixture
def run_id():
    return new_ticker("run")


def load_window(connection, ticker, run_id, start, end, *, empty=False, **others):
    """Load a window's bars as a run does, or an empty answer."""
    window = Window(start, end)
    asked = LoadRequest(CRYPTO, D1, run_id, "csv_tree", window, NOW, tickers=(ticker,), **others)
    days = (end - max(start, utc(2019))).days
    frame = empty_frame() if empty else to_frame({ticker: walk(days, start=max(start, utc(2019)))})
    load_bars(connection, frame, asked)


def mark(connection, ticker):
    return watermarks(connection, CRYPTO, D1).get(ticker)


def test_a_first_run_from_the_start_of_history_sets_the_watermark(common, ticker, run_id):
    load_window(common, ticker, run_id, HISTORY, utc(2020))
    assert mark(common, ticker) is None, "loading alone moves nothing"
    assert advance_watermarks(common, CRYPTO, D1, run_id) == 1
    assert mark(common, ticker) == utc(2020)
    assert advance_watermarks(common, CRYPTO, D1, run_id) == 0, "once"


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        pytest.param((utc(2019, 12, 20), utc(2020, 2)), utc(2020, 2), id="an overlap moves it on"),
        pytest.param((utc(2020), utc(2020, 2)), utc(2020, 2), id="exactly where it ends"),
        pytest.param((utc(2020, 1, 2), utc(2020, 2)), utc(2020), id="an island behind a hole does not"),
        pytest.param(
            (utc(2019, 2), utc(2019, 3)), utc(2020), id="a backfill before it does not move it back"
        ),
        pytest.param((HISTORY, utc(2019, 6)), utc(2020), id="nor one from the start"),
    ],
)
def test_a_watermark_never_jumps_and_never_goes_back(common, ticker, window, expected):
    load_window(common, ticker, first := new_ticker("run"), HISTORY, utc(2020))
    advance_watermarks(common, CRYPTO, D1, first)
    load_window(common, ticker, second := new_ticker("run"), *window)
    advance_watermarks(common, CRYPTO, D1, second)
    assert mark(common, ticker) == expected


def test_a_first_backfill_of_an_island_sets_none(common, ticker, run_id):
    load_window(common, ticker, run_id, utc(2020), utc(2020, 2))
    assert advance_watermarks(common, CRYPTO, D1, run_id) == 0
    assert mark(common, ticker) is None


def test_windows_of_one_run_count_together(common, ticker, run_id):
    for start, end in ((utc(2019, 6), utc(2020)), (HISTORY, utc(2019, 6))):
        load_window(common, ticker, run_id, start, end)
    advance_watermarks(common, CRYPTO, D1, run_id)
    assert mark(common, ticker) == utc(2020)


def test_scattered_windows_of_a_run_move_it_up_to_the_first_hole(common, ticker):
    """A heal asks for months here and there: what lies between them nobody has loaded."""
    load_window(common, ticker, first := new_ticker("run"), HISTORY, utc(2020, 3))
    advance_watermarks(common, CRYPTO, D1, first)
    load_window(common, ticker, new_ticker("run"), utc(2020, 6, 10), utc(2020, 6, 20))
    healed = new_ticker("run")
    for start, end in ((utc(2020, 2), utc(2020, 3)), (utc(2020, 6), utc(2020, 7))):
        load_window(common, ticker, healed, start, end)
    assert advance_watermarks(common, CRYPTO, D1, healed) == 0
    assert mark(common, ticker) == utc(2020, 3)
    load_window(common, ticker, joined := new_ticker("run"), utc(2020, 3), utc(2020, 4))
    load_window(common, ticker, joined, utc(2020, 5), utc(2020, 6))
    assert advance_watermarks(common, CRYPTO, D1, joined) == 1
    assert mark(common, ticker) == utc(2020, 4), "as far as the windows touch"


windows_of_a_run = st.lists(
    st.tuples(st.integers(0, 6), st.integers(1, 3)).map(lambda span: (span[0], sum(span))),
    min_size=1,
    max_size=4,
    unique_by=min,
)


@pytest.fixture
def bare_series(common, ticker):
    common.execute(
        "insert into series (market, interval, ticker, first_time, last_time) values ('crypto', '1d', %s, %s, %s)",
        (ticker, HISTORY, HISTORY),
    )
    return ticker


@settings(
    max_examples=examples(15, 200),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(runs=st.lists(windows_of_a_run, min_size=1, max_size=4), data=st.data())
def test_a_watermark_is_the_end_of_an_unbroken_stretch_and_never_moves_back(common, bare_series, runs, data):
    """Whatever windows the runs had, everything before the watermark was loaded: by the runs, day by day."""
    common.execute("update series set watermark = null where ticker = %s", (bare_series,))
    loaded, before = set(), 0
    for windows in runs:
        run_id = new_ticker("run")
        for start, end in data.draw(st.permutations(windows)):
            common.execute(
                "insert into load "
                "(run_id, market, interval, ticker, source, window_start, window_end, status, code_version) "
                "values (%s, 'crypto', '1d', %s, 'x', %s, %s, 'loaded', '1')",
                (run_id, bare_series, HISTORY + timedelta(days=start), HISTORY + timedelta(days=end)),
            )
            loaded |= set(range(start, end))
        advance_watermarks(common, CRYPTO, D1, run_id)
        now = ((mark(common, bare_series) or HISTORY) - HISTORY).days
        assert now >= before
        assert set(range(now)) <= loaded
        assert any(before < end <= now for _, end in windows) == (now > before)
        touching = [end for start, end in windows if start <= now]
        assert now == max([before, *touching]), "nothing that touches it is left behind"
        before = now


def test_a_failed_window_stops_the_watermark_until_a_retry_succeeds(common, ticker, run_id):
    load_window(common, ticker, run_id, HISTORY, utc(2019, 6))
    failed = LoadRequest(CRYPTO, D1, run_id, "csv_tree", Window(utc(2019, 6), utc(2020)), NOW)
    record_failures(common, {ticker: NoData()}, failed)
    assert advance_watermarks(common, CRYPTO, D1, run_id) == 0
    load_window(common, ticker, run_id, utc(2019, 6), utc(2020), attempt=2)
    assert advance_watermarks(common, CRYPTO, D1, run_id) == 1
    assert mark(common, ticker) == utc(2020)


def test_an_empty_answer_where_bars_are_due_is_recorded_and_stops_the_watermark(common, ticker):
    load_window(common, ticker, first := new_ticker("run"), HISTORY, utc(2020))
    advance_watermarks(common, CRYPTO, D1, first)
    late = new_ticker("run")
    load_window(common, ticker, late, utc(2020), utc(2020, 2), empty=True, expected={ticker: (31, 31)})
    assert advance_watermarks(common, CRYPTO, D1, late) == 0
    row = query(common, "select status, fetched, expected, missing from load where run_id = %s", late)
    assert row == [("loaded", 0, 31, 31)]


def test_an_empty_answer_where_nothing_is_due_moves_it_on(common, ticker):
    load_window(common, ticker, first := new_ticker("run"), HISTORY, utc(2020))
    advance_watermarks(common, CRYPTO, D1, first)
    load_window(common, ticker, weekend := new_ticker("run"), utc(2019, 12, 30), utc(2020, 2), empty=True)
    assert advance_watermarks(common, CRYPTO, D1, weekend) == 1
    assert mark(common, ticker) == utc(2020, 2)


def test_another_runs_loads_move_nothing(common, ticker, run_id):
    load_window(common, ticker, run_id, HISTORY, utc(2020))
    assert advance_watermarks(common, CRYPTO, D1, "somebody else's") == 0


def test_what_a_run_did_is_summed_over_its_attempts(common, run_id):
    good, bad = sorted((new_ticker(), new_ticker()))
    bars = walk(12)
    load_bars(common, to_frame({good: bars.take(slice(0, 10))}), request(run_id=run_id))
    record_failures(common, {bad: NoData("nothing yet")}, request(run_id=run_id))
    load_bars(common, to_frame({bad: walk(7), good: bars}), request(run_id=run_id, attempt=2))
    done = {entry.ticker: entry for entry in run_loads(common, CRYPTO, D1, run_id)}
    assert (done[good].status, done[good].inserted, done[good].unchanged) == ("loaded", 12, 10)
    assert (done[bad].status, done[bad].inserted, done[bad].error) == ("loaded", 7, None)
    assert done[bad].source == "csv_tree"
    assert run_loads(common, CRYPTO, D1, "nobody's") == []


# symbols


def symbol(connection, market, ticker):
    return query(
        connection,
        'select name, kind, "group" from symbols where market = %s and ticker = %s',
        market.code,
        ticker,
    )


def test_symbols_carry_what_the_markets_file_knows(connection):
    register_symbols(connection, VN, ["VNINDEX", "VIC", "NOT_IN_THE_FILE"])
    register_symbols(connection, CRYPTO, ["NOT_IN_THE_FILE"])
    known = VN.by_ticker["VIC"]
    assert symbol(connection, VN, "VIC") == [(known.name, "stock", known.group)]
    assert symbol(connection, VN, "VNINDEX")[0][1] == "index"
    assert symbol(connection, VN, "NOT_IN_THE_FILE") == [(None, "stock", None)]
    assert symbol(connection, CRYPTO, "NOT_IN_THE_FILE") == [(None, "crypto", None)]
    with tuples_written(connection) as written:
        register_symbols(connection, VN, ["VNINDEX", "VIC", "NOT_IN_THE_FILE"])
    assert written == {}


def test_what_somebody_added_to_an_unknown_symbol_stays(connection):
    register_symbols(connection, VN, ["NEW"])
    connection.execute("update symbols set name = 'By hand', \"group\" = 'MINE' where ticker = 'NEW'")
    register_symbols(connection, VN, ["NEW"])
    assert symbol(connection, VN, "NEW") == [("By hand", "stock", "MINE")]


def test_symbols_say_from_when_to_when_there_are_bars(connection):
    register_symbols(connection, CRYPTO, ["A", "B"])
    load_window(connection, "A", "first", HISTORY, utc(2019, 1, 11))
    advance_watermarks(connection, CRYPTO, D1, "first")
    seen = "select first_seen, last_seen from symbols where ticker = %s"
    assert query(connection, seen, "A") == [(utc(2019), utc(2019, 1, 10))]
    assert query(connection, seen, "B") == [(None, None)]


# sessions


def test_sessions_are_registered_once_and_corrected(connection):
    found = sessions(VN, date(2025, 1, 1), date(2025, 2, 1))
    register_sessions(connection, VN, found)
    register_sessions(connection, VN, [])
    rows = query(
        connection, "select session, opens_at, closes_at from trading_session where market = 'vn' order by 1"
    )
    assert rows == [(entry.date, entry.opens, entry.closes) for entry in found]
    with tuples_written(connection) as written:
        register_sessions(connection, VN, found)
    assert written == {}
    connection.execute("update trading_session set closes_at = closes_at + interval '1 hour'")
    register_sessions(connection, VN, found)
    assert query(connection, "select max(closes_at - opens_at) from trading_session") == [
        (timedelta(hours=6),)
    ]
