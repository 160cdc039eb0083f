"""Replaying refused rows: what passes is loaded once, the rest stays, and nothing newer is overwritten."""

from __future__ import annotations

import json

import pytest
from lab import CRYPTO, D1, H1, changed, new_ticker, put, query, to_frame, value, walk

from hypertape.frame import empty_rejects, reject_frame
from hypertape.model import Window, utc
from hypertape.quality.gate import gate
from hypertape.settings import Settings
from hypertape.steps.quarantine import read_row, replay
from hypertape.warehouse.connect import connect
from hypertape.warehouse.gaps.ledger import note_gaps
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.quarantine import Refused, find, groups

START, NOW, LATER = utc(2020), utc(2020, 1, 5, 12), utc(2020, 3, 1)


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path)


def refuse(dsn, bars, *, now=NOW, ticker=None, rejects=None, run_id="run", interval=D1, start=START):
    """Gate and load a series as a run does; what is refused goes to quarantine."""
    ticker = ticker or new_ticker()
    gated = gate(to_frame({ticker: bars}), CRYPTO, interval, now=now)
    window = Window(start, now)
    refused = gated.rejects if rejects is None else rejects(ticker)
    request = LoadRequest(CRYPTO, interval, run_id, "csv_tree", window, now, rejects=refused)
    with connect(dsn) as connection:
        load_bars(connection, gated.bars, request)
        connection.commit()
    return ticker


def again(dsn, settings, ticker, *, now=LATER, run_id="replayed", **others):
    return replay(dsn, Refused(tickers=[ticker]), run_id=run_id, now=now, settings=settings, **others)


def outcomes(done):
    return {
        name: done.counts[name]
        for name in ("loaded", "superseded", "refused", "unreadable")
        if done.counts[name]
    }


def test_rows_that_were_ahead_of_their_time_are_loaded_once(warehouse, settings):
    bars = walk(10)
    ticker = refuse(warehouse, bars)  # five of ten days open after now
    with connect(warehouse) as connection:
        assert query(connection, "select rule, count(*) from quarantine group by rule") == [("future", 5)]
    rehearsed = again(warehouse, settings, ticker, dry_run=True)
    assert outcomes(rehearsed) == {"loaded": 5}
    with connect(warehouse) as connection:
        assert value(connection, "select count(*) from bars.crypto_data_1d") == 5
    done = again(warehouse, settings, ticker)
    assert outcomes(done) == {"loaded": 5}
    with connect(warehouse) as connection:
        stored = query(connection, "select close, volume from bars.crypto_data_1d order by time")
        assert stored == list(zip(bars.close.tolist(), bars.volume.tolist(), strict=True)), "to the last bit"
        assert query(connection, "select run_id, reason, source, inserted from load where inserted > 0") == [
            ("run", None, "csv_tree", 5), ("replayed", "replay", "csv_tree", 5),
        ]  # fmt: skip
        assert query(connection, "select distinct outcome, released_run, released_at from quarantine") == [
            ("loaded", "replayed", LATER)
        ]
        assert value(connection, "select count(*) from rollup_pending") == 0, "refreshed by the replay"
        assert value(connection, "select count(*) from bars.crypto_data_1w") == 2
    assert again(warehouse, settings, ticker).rows == 0, "idempotent"


def open_gaps(connection):
    return query(
        connection,
        "select ticker, start_time, sessions, reason, refused from gap where closed_at is null order by 1, 2",
    )


def test_a_replay_closes_the_gaps_of_what_it_loads(warehouse, settings):
    bars = walk(10)
    early = refuse(warehouse, bars)
    bad = refuse(warehouse, changed(bars, 2, high=lambda high: high / 2), now=LATER)
    after = utc(2020, 1, 11)
    with connect(warehouse) as connection:
        note_gaps(connection, CRYPTO, D1, None, after, "find")
        assert open_gaps(connection) == [
            (early, utc(2020, 1, 6), 5, "fetch failed", True),
            (bad, utc(2020, 1, 3), 1, "fetch failed", True),
        ]
    both = replay(warehouse, Refused(), run_id="replayed", now=after, settings=settings)
    assert outcomes(both) == {"loaded": 5, "refused": 1}
    with connect(warehouse) as connection:
        assert open_gaps(connection) == [(bad, utc(2020, 1, 3), 1, "fetch failed", True)]
        closed = query(
            connection,
            "select ticker, sessions, closed_run, closed_reason from gap where closed_at is not null",
        )
        assert closed == [(early, 5, "replayed", "arrived")]


def test_a_replay_of_hours_closes_a_session_that_had_none(warehouse, settings):
    """Gaps of hours are sessions, longer than what the rows span."""
    hours = walk(30, interval=H1, start=utc(2024))
    bad = changed(hours, slice(0, 25), high=lambda high: high / 2)
    ticker = refuse(warehouse, bad, interval=H1, start=utc(2024), now=utc(2024, 1, 2, 6))
    with connect(warehouse) as connection:
        note_gaps(connection, CRYPTO, H1, None, utc(2024, 1, 2), "find")
        assert open_gaps(connection) == [(ticker, utc(2024), 1, "fetch failed", True)]
        mended = json.dumps({"open": 100, "high": 101, "low": 99, "close": 100, "volume": 5})
        connection.execute(
            "update quarantine set row_text = %s where time = %s", (mended, utc(2024, 1, 1, 9))
        )
        connection.commit()
    assert outcomes(again(warehouse, settings, ticker, now=utc(2024, 1, 2)))["loaded"] == 1
    with connect(warehouse) as connection:
        assert open_gaps(connection) == []


def test_what_is_wrong_by_todays_rules_stays(warehouse, settings):
    bars = changed(walk(4), 2, high=lambda high: high / 2)
    ticker = refuse(warehouse, bars)
    done = again(warehouse, settings, ticker)
    assert outcomes(done) == {"refused": 1}
    with connect(warehouse) as connection:
        assert [row["rule"] for row in find(connection, Refused(tickers=[ticker]))] == ["high_below_low"]
        assert value(connection, "select count(*) from load where run_id = 'replayed'") == 0


def test_a_bar_that_came_meanwhile_stays_and_supersedes_the_row(warehouse, settings):
    bars = walk(8)
    ticker = refuse(warehouse, bars)
    with connect(warehouse) as connection:
        put(
            connection,
            {ticker: changed(bars, 6, close=lambda close: close * 1.001, high=lambda high: high * 1.01)},
        )
        connection.commit()
        before = query(connection, "select time, close from bars.crypto_data_1d order by time")
    assert outcomes(again(warehouse, settings, ticker)) == {"superseded": 3}
    with connect(warehouse) as connection:
        assert query(connection, "select time, close from bars.crypto_data_1d order by time") == before
        assert value(connection, "select count(*) from bar_revision") == 0
        assert find(connection, Refused(tickers=[ticker])) == []
        (group,) = groups(connection, Refused(tickers=[ticker]))
    assert (group["open"], group["loaded"], group["superseded"]) == (0, 0, 3)


def test_rows_of_another_scale_stay(warehouse, settings):
    bars = walk(10)
    scale = {name: (lambda v: v * 1000.0) for name in ("open", "high", "low", "close")}
    ticker = refuse(warehouse, changed(bars, slice(5, None), **scale))
    done = again(warehouse, settings, ticker)
    assert (done.counts["suspect scale"], done.counts["loaded"]) == (5, 0)
    with connect(warehouse) as connection:
        assert len(find(connection, Refused(tickers=[ticker]))) == 5
        assert value(connection, "select count(*) from bars.crypto_data_1d") == 5


def test_of_rows_with_one_time_the_last_wins(warehouse, settings):
    def rows(ticker):
        made = [
            (ticker, utc(2020, 1, 2), "future", "x", json.dumps(
                {"time": "2020-01-02", "open": 1, "high": 2, "low": 1, "close": close, "volume": 5}))
            for close in (1.25, 1.5)
        ]  # fmt: skip
        return reject_frame(made)

    ticker = refuse(warehouse, walk(0), rejects=rows)
    assert outcomes(again(warehouse, settings, ticker)) == {"loaded": 1, "superseded": 1}
    with connect(warehouse) as connection:
        assert query(connection, "select close from bars.crypto_data_1d") == [(1.5,)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"line": 7, "text": "VIC,2020-01-02,1"}', "a line with too few fields"),
        ("not json", "a row somebody else wrote"),
        ("[1, 2]", "no row at all"),
        (
            '{"ticker": "OTHER", "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1}',
            "another ticker's line",
        ),
    ],
)
def test_rows_that_are_no_bars_at_all_are_counted_and_stay(warehouse, settings, text, reason):
    ticker = refuse(
        warehouse,
        walk(0),
        rejects=lambda ticker: reject_frame([(ticker, None, "wrong_field_count", "3", text)]),
    )
    assert outcomes(again(warehouse, settings, ticker)) == {"unreadable": 1}, reason


@pytest.mark.parametrize(
    ("cells", "column", "expected"),
    [
        ({"close": "12.5"}, "close", 12.5),
        ({"close": "twelve"}, "close", None),
        ({"close": "nan"}, "adjusted_close", None),
        ({"time": "2020-01-02T00:00:00"}, "time", utc(2020, 1, 2)),
        ({"time": "the second"}, "time", utc(2020, 1, 9)),
    ],
)
def test_cells_are_read_as_they_were_written(cells, column, expected):
    row = {"open": 1, "high": 2, "low": 1, "close": 1, "volume": 0, **cells}
    found = read_row({"ticker": "VIC", "time": utc(2020, 1, 9), "row_text": json.dumps(row)})
    assert found[column] == expected


def test_nothing_to_replay_is_no_error(warehouse, settings):
    assert refuse(warehouse, walk(3), rejects=lambda _: empty_rejects())
    assert again(warehouse, settings, "NOBODY").rows == 0
