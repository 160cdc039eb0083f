"""The synthetic set: the same for every window, sound but for its planted defects, and those are really there."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypertape.calendars import expected_times, in_session, on_grid, sessions_of
from hypertape.errors import UnknownTicker
from hypertape.frame import Bars, floats_of, instant, micros, normalise, split_series, times_of
from hypertape.markets import all_markets, get_market
from hypertape.model import PRICE_COLUMNS, STORED_INTERVALS, VALUE_COLUMNS, Interval, Window, utc
from hypertape.settings import Settings
from hypertape.sources import Fetched, SourceConfig, open_source
from hypertape.sources.sample import (
    CORRECTED_AT,
    PLANTED,
    SPANS,
    Defect,
    Planted,
    Sample,
    entries,
    plan_until,
)

MARKETS = ("vn", "crypto", "us")
ALWAYS = Window(utc(2020), utc(2030))
NOW = utc(2026)
DAY = 24 * 3_600_000_000


def fetch(market: str, ticker: str, interval: Interval, window: Window = ALWAYS, now=NOW) -> Fetched:  # type: ignore[no-untyped-def]
    return Sample().fetch(get_market(market), [ticker], interval, window, now=now)


def series(market: str, ticker: str, interval: Interval, now=NOW) -> Bars:  # type: ignore[no-untyped-def]
    frame, _ = normalise(fetch(market, ticker, interval, now=now).bars)
    [(_, bars)] = split_series(frame)
    return bars


def planted(kind: Defect) -> list[Planted]:
    found = [defect for defect in PLANTED if defect.kind is kind]
    assert found
    return found


def touched(market: str, ticker: str, interval: Interval) -> np.ndarray:
    """Times of the bars that a fault of the file changes or takes away."""
    kinds = (Defect.SPLIT, Defect.DIVIDEND, Defect.JUMP, Defect.STALE, Defect.VOLUME_SPIKE)
    times = [
        micros(time)
        for defect in PLANTED
        if (defect.market, defect.ticker, defect.interval) == (market, ticker, interval)
        and defect.kind not in kinds
        for time in defect.times
    ]
    return np.array(times, np.int64)


EVERY_SERIES = [
    (code, ticker, interval)
    for code in MARKETS
    for ticker in Sample().tickers(get_market(code), Interval.D1)
    for interval in STORED_INTERVALS
]


def test_everything_says_that_it_is_synthetic() -> None:
    for market in all_markets().values():
        tickers = entries(market)
        assert len(tickers) == 6
        assert tuple(entry.ticker for entry in tickers) == Sample().tickers(market, Interval.D1)
        assert all(entry.ticker.startswith("SYN") and "(synthetic)" in entry.name for entry in tickers)


def test_it_opens_by_name() -> None:
    assert open_source(SourceConfig("sample"), Settings()).name == "sample"


def test_an_unknown_ticker_fails_alone() -> None:
    seen: list[str] = []

    fetched = Sample().fetch(
        get_market("vn"), ["VIC", "SYNBANK"], Interval.D1, ALWAYS, now=NOW, on_ticker=seen.append
    )

    assert isinstance(fetched.failures["VIC"], UnknownTicker)
    assert "SYNBANK" in str(fetched.failures["VIC"])
    assert set(fetched.bars["ticker"].to_pylist()) == {"SYNBANK"}
    assert seen == ["VIC", "SYNBANK"]


@pytest.mark.parametrize(("market", "ticker", "interval"), EVERY_SERIES)
def test_bars_are_sound_apart_from_the_planted_ones(market: str, ticker: str, interval: Interval) -> None:
    venue, bars = get_market(market), series(market, ticker, interval)
    at_fault = np.isin(bars.time - bars.time % 60_000_000, touched(market, ticker, interval))
    sound = bars.take(~at_fault)

    expected = expected_times(venue, interval, SPANS[interval])
    assert np.array_equal(
        np.setdiff1d(expected, sound.time), np.intersect1d(expected, touched(market, ticker, interval))
    )
    assert on_grid(venue, interval, sound.time).all()
    assert in_session(venue, interval, sound.time).all()
    assert (np.minimum(sound.open, sound.close) >= sound.low).all()
    assert (np.maximum(sound.open, sound.close) <= sound.high).all()
    assert (sound.low > 0).all()
    assert (sound.volume > 0).all()


@pytest.mark.parametrize(
    ("market", "ticker", "interval"), [row for row in EVERY_SERIES if row[2] is not Interval.D1]
)
def test_a_day_is_the_sum_of_its_bars(market: str, ticker: str, interval: Interval) -> None:
    venue, daily, bars = (
        get_market(market),
        series(market, ticker, Interval.D1),
        series(market, ticker, interval),
    )
    days = sessions_of(venue, interval, bars.time)
    spoilt = np.union1d(touched(market, ticker, Interval.D1), touched(market, ticker, interval) // DAY * DAY)
    for day in np.setdiff1d(np.intersect1d(days, daily.time), spoilt):
        part = bars.take(days == day)
        [whole] = np.flatnonzero(daily.time == day)
        assert daily.open[whole] == part.open[0]
        assert daily.high[whole] == part.high.max()
        assert daily.low[whole] == part.low.min()
        assert daily.close[whole] == part.close[-1]
        assert daily.volume[whole] == pytest.approx(part.volume.sum(), rel=1e-12)


@pytest.mark.parametrize("market", MARKETS)
def test_only_planted_jumps_and_splits_leap(market: str) -> None:
    venue = get_market(market)
    leaps = set()
    for ticker in Sample().tickers(venue, Interval.D1):
        bars = series(market, ticker, Interval.D1)
        moves = np.abs(bars.close[1:] / bars.close[:-1] - 1)
        leaps |= {(ticker, instant(int(time))) for time in bars.time[1:][moves > venue.daily_move_limit]}

    expected = {
        (defect.ticker, time)
        for defect in (*planted(Defect.JUMP), *planted(Defect.SPLIT))
        if defect.market == market
        for time in defect.times
    }
    # halving is within what a US stock may do in a day; the split itself tells of it
    assert leaps | {pair for pair in expected if market == "us"} == expected
    assert {defect.ticker for defect in planted(Defect.JUMP) if defect.market == market} <= {
        one for one, _ in leaps
    }


def at(bars: Bars, defect: Planted) -> np.ndarray:
    return np.flatnonzero(np.isin(bars.time, [micros(time) for time in defect.times]))


@pytest.mark.parametrize(
    "defect", PLANTED, ids=lambda one: f"{one.market}-{one.ticker}-{one.interval}-{one.kind}"
)
def test_each_planted_defect_names_bars_of_its_span(defect: Planted) -> None:
    assert defect.times
    assert all(time in SPANS[defect.interval] for time in defect.times)
    assert defect.ticker in Sample().tickers(get_market(defect.market), defect.interval)
    assert defect.explanation


@pytest.mark.parametrize("defect", planted(Defect.SPLIT), ids=lambda one: one.market)
def test_a_split_halves_the_price_and_not_the_adjusted_one(defect: Planted) -> None:
    bars = series(defect.market, defect.ticker, Interval.D1)
    [row] = at(bars, defect)

    assert bars.close[row] / bars.close[row - 1] == pytest.approx(0.5, rel=0.07)
    assert bars.adjusted_close[row] / bars.adjusted_close[row - 1] == pytest.approx(1.0, rel=0.07)
    [split] = fetch(defect.market, defect.ticker, Interval.D1).splits.to_pylist()
    assert split == {"ticker": defect.ticker, "time": defect.times[0], "ratio": 2.0}


@pytest.mark.parametrize("defect", planted(Defect.DIVIDEND), ids=lambda one: one.market)
def test_a_dividend_is_told_and_adjusted_for(defect: Planted) -> None:
    fetched = fetch(defect.market, defect.ticker, Interval.D1)
    bars = series(defect.market, defect.ticker, Interval.D1)
    [row] = at(bars, defect)
    [dividend] = fetched.dividends.to_pylist()

    assert dividend["time"] == defect.times[0]
    factor = 1 - dividend["amount"] / bars.close[row - 1]
    assert bars.adjusted_close[row - 1] == pytest.approx(bars.close[row - 1] * factor, abs=1e-8)
    assert bars.adjusted_close[row] == bars.close[row]


@pytest.mark.parametrize("defect", planted(Defect.STALE), ids=lambda one: one.market)
def test_a_stale_run_is_twelve_equal_closes(defect: Planted) -> None:
    bars = series(defect.market, defect.ticker, Interval.D1)
    rows = at(bars, defect)

    assert len(rows) == 12
    assert len({getattr(bars, name)[row] for row in rows for name in PRICE_COLUMNS}) == 1


@pytest.mark.parametrize("defect", planted(Defect.VOLUME_SPIKE), ids=lambda one: one.market)
def test_a_volume_spike_stands_out(defect: Planted) -> None:
    bars = series(defect.market, defect.ticker, Interval.D1)
    [row] = at(bars, defect)

    assert bars.volume[row] > 100 * np.median(bars.volume)


@pytest.mark.parametrize("defect", planted(Defect.GAP), ids=lambda one: f"{one.ticker}-{one.interval}")
def test_a_gap_is_empty_and_noticed(defect: Planted) -> None:
    fetched = fetch(defect.market, defect.ticker, defect.interval)
    [(_, bars)] = split_series(fetched.bars)

    assert len(at(bars, defect)) == 0
    expected, got = fetched.short[defect.ticker]
    assert expected - got == len(defect.times)


@pytest.mark.parametrize("defect", planted(Defect.BAD_ROW), ids=lambda one: f"{one.ticker}-{one.interval}")
def test_a_bad_row_has_its_high_below_its_low(defect: Planted) -> None:
    bars = series(defect.market, defect.ticker, defect.interval)
    [row] = at(bars, defect)

    assert bars.high[row] < bars.low[row]


@pytest.mark.parametrize(
    "defect", planted(Defect.NEGATIVE_VOLUME), ids=lambda one: f"{one.ticker}-{one.interval}"
)
def test_a_negative_volume_is_delivered(defect: Planted) -> None:
    bars = series(defect.market, defect.ticker, defect.interval)
    [row] = at(bars, defect)

    assert bars.volume[row] < 0


@pytest.mark.parametrize("defect", planted(Defect.OFF_GRID), ids=lambda one: one.market)
def test_an_off_grid_bar_copies_its_neighbour(defect: Planted) -> None:
    bars = series(defect.market, defect.ticker, defect.interval)
    off = np.flatnonzero(~on_grid(get_market(defect.market), defect.interval, bars.time))

    assert [instant(int(bars.time[row])) for row in off] == [defect.times[0] + timedelta(seconds=7)]
    assert [getattr(bars, name)[off[0]] for name in VALUE_COLUMNS] == [
        getattr(bars, name)[off[0] - 1] for name in VALUE_COLUMNS
    ]


@pytest.mark.parametrize("defect", planted(Defect.DUPLICATE), ids=lambda one: f"{one.ticker}-{one.interval}")
def test_of_a_duplicate_the_last_one_is_right(defect: Planted) -> None:
    frame = fetch(defect.market, defect.ticker, defect.interval).bars
    clean, dropped = normalise(frame)
    rows = np.flatnonzero(times_of(frame) == micros(defect.times[0]))

    assert len(rows) == 2
    assert dropped == 1
    wrong, right = floats_of(frame, "close")[rows]
    assert wrong != right
    assert floats_of(clean, "close")[times_of(clean) == micros(defect.times[0])] == [right]


@pytest.mark.parametrize("defect", planted(Defect.CORRECTION), ids=lambda one: one.market)
def test_a_correction_comes_late(defect: Planted) -> None:
    before = series(defect.market, defect.ticker, Interval.D1, now=CORRECTED_AT - timedelta(microseconds=1))
    after = series(defect.market, defect.ticker, Interval.D1, now=CORRECTED_AT).take(slice(len(before)))

    differ = np.flatnonzero(before.close != after.close)
    assert np.array_equal(differ, at(after, defect))
    assert before.close[differ] == pytest.approx(after.close[differ] * 1.02, rel=1e-2)


@pytest.mark.parametrize("defect", planted(Defect.MISMATCH), ids=lambda one: one.market)
def test_a_mismatch_is_the_last_hour_of_its_day(defect: Planted) -> None:
    hours = series(defect.market, defect.ticker, Interval.H1)
    days = series(defect.market, defect.ticker, Interval.D1)
    [row] = at(hours, defect)
    session = sessions_of(get_market(defect.market), Interval.H1, hours.time)

    assert session[row] != session[row + 1]
    assert hours.close[row] == pytest.approx(days.close[days.time == session[row]][0] * 1.03, rel=1e-2)


@pytest.mark.parametrize("interval", STORED_INTERVALS)
def test_nothing_is_known_of_the_future(interval: Interval) -> None:
    noon = utc(
        2025,
        6,
        13,
        6,
        30,
    ) + timedelta(seconds=20)
    bars = series("vn", "SYNTECH", interval, now=noon)

    assert instant(int(bars.time[-1])) < noon
    assert fetch("vn", "SYNTECH", interval, now=utc(2022)).bars.num_rows == 0


def test_the_running_days_bar_is_unfinished() -> None:
    running = series("vn", "SYNTECH", Interval.D1, now=utc(2025, 6, 13, 3))
    final = series("vn", "SYNTECH", Interval.D1)
    [row] = np.flatnonzero(final.time == running.time[-1])

    assert running.open[-1] == final.open[row]
    assert running.volume[-1] < final.volume[row]


def test_a_split_is_not_known_before_its_day() -> None:
    eve = fetch("vn", "SYNTECH", Interval.D1, now=utc(2025, 6, 9, 12))

    assert len(eve.splits) == 0
    assert eve.bars["close"] == eve.bars["adjusted_close"]


@settings(max_examples=25, deadline=None)
@given(
    row=st.sampled_from(EVERY_SERIES),
    cuts=st.lists(st.integers(0, int((SPANS[Interval.M1].end - utc(2023)).total_seconds())), max_size=4),
)
def test_any_cut_of_windows_gives_the_same_rows(row: tuple[str, str, Interval], cuts: list[int]) -> None:
    market, ticker, interval = row
    edges = [ALWAYS.start, *(utc(2023) + timedelta(seconds=cut) for cut in sorted(cuts)), ALWAYS.end]

    pieces = [fetch(market, ticker, interval, Window(a, b)) for a, b in pairwise(edges)]
    whole = fetch(market, ticker, interval)

    for name in ("bars", "dividends", "splits"):
        joined = [line for piece in pieces for line in getattr(piece, name).to_pylist()]
        assert joined == getattr(whole, name).to_pylist()


def test_the_set_is_the_same_on_every_machine_and_run() -> None:
    bars = series("us", "SYNCORP", Interval.D1)

    assert bars.close[:3].tolist() == [184.25, 182.12, 183.8]
    assert len(bars) == 624


# --- a set that ends on another day


@pytest.mark.parametrize(
    "last_day",
    [
        pytest.param(date(2026, 11, 29), id="a Sunday in winter time"),
        pytest.param(date(2026, 2, 26), id="just after Tet"),
        pytest.param(date(2027, 1, 3), id="around New Year, after early closes"),
        pytest.param(date(2025, 7, 1), id="one day later"),
        pytest.param(date(2024, 3, 10), id="earlier than the plan"),
    ],
)
def test_a_set_with_another_last_day_has_every_defect_on_sessions(last_day: date) -> None:
    plan = plan_until(last_day)
    assert len(plan.planted) == len(PLANTED)
    for before, after in zip(PLANTED, plan.planted, strict=True):
        assert (before.ticker, before.kind) == (after.ticker, after.kind)
        span = plan.spans[after.market, after.interval]
        assert span.start <= after.window.start < after.window.end <= span.end
        if before.interval is Interval.D1:
            assert len(after.times) == len(before.times)  # so many sessions, whatever the holidays
        assert after.times, "it lies where the market is open"
        if after.kind is Defect.CORRECTION:
            assert after.window.end < plan.corrected_at[after.market] < span.end


@pytest.mark.parametrize("code", MARKETS)
def test_a_set_with_another_last_day_is_as_sound(code: str) -> None:
    market, sample = get_market(code), Sample(date(2026, 11, 29))
    now = utc(2026, 11, 30)
    planted = [
        p for p in plan_until(sample.last_day).planted if p.market == code and p.interval is Interval.D1
    ]
    gaps = sum(len(p.times) for p in planted if p.kind is Defect.GAP)
    fetched = sample.fetch(market, sample.tickers(market, Interval.D1), Interval.D1, ALWAYS, now=now)
    expected, got = (sum(pair[at] for pair in fetched.counted.values()) for at in (0, 1))
    assert expected - got == gaps
    assert instant(int(times_of(fetched.bars).max())).date() >= date(2026, 11, 27)
    assert fetched.splits.num_rows == sum(p.kind is Defect.SPLIT for p in planted)


def test_the_settings_say_with_which_day_it_ends() -> None:
    opened = open_source(SourceConfig("sample"), Settings(sample_end=date(2026, 11, 29)))
    assert opened == Sample(date(2026, 11, 29))
    assert open_source(SourceConfig("sample"), Settings()) == Sample()
