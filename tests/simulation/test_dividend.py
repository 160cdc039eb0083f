"""A cash dividend and a split as Yahoo states them: raw prices and adjusted ones change at different times."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from story import OPENS, VN, Plot, Split, Story, calendar_days
from truth import assert_true
from vendor import PRICES, Vendor, days_of, with_values
from year import Pipeline, daily

from hypertape.frame import Bars, instant
from hypertape.model import Interval, midnight
from hypertape.settings import Settings
from hypertape.warehouse.actions import adjusted
from hypertape.warehouse.connect import connect
from yahoo_replay import Stock, YahooReplay

pytestmark = pytest.mark.database

TICKER = "PAYS"
DAYS = calendar_days(date(2024, 5, 2), date(2024, 5, 31))
EX, SPLIT = DAYS[6], DAYS[14]
AMOUNT = 1_500.0
IGNORES, FORGOT = "IGNORES", "FORGOT"
"""One whose adjusted closes ignore its dividend, and one whose history the vendor does not adjust for a split."""
PLOT = Plot(
    5, Interval.D1, date(2023, 5, 4), DAYS,
    (Story(TICKER), Story(IGNORES), Story(FORGOT, (Split(SPLIT, 0.5, 2.0),))),
)  # fmt: skip


@dataclass
class Statement:
    """What Yahoo states on a day: prices adjusted for splits, the adjusted close for dividends as well."""

    vendor: Vendor
    day: date

    @property
    def halved(self) -> bool:
        return self.day >= SPLIT

    @property
    def bars(self) -> Bars:
        traded = self.vendor.book(TICKER, daily(self.day).now)
        unit = np.where(traded.time < days_of([SPLIT])[0], 0.5, 1.0) if self.halved else 1.0
        values = {name: getattr(traded, name) * unit for name in PRICES}
        last = traded.close[traded.time < days_of([EX])[0]][-1]
        paid = (traded.time < days_of([EX])[0]) & (self.day >= EX)
        values["volume"] = traded.volume / unit
        values["adjusted_close"] = values["close"] * np.where(paid, 1 - AMOUNT / last, 1.0)
        return with_values(traded, values)

    @property
    def dividend(self) -> float:
        return AMOUNT / 2 if self.halved else AMOUNT

    def stock(self) -> Stock:
        """The statement as the replay server tells it."""
        bars = self.bars
        columns = [getattr(bars, name).tolist() for name in (*PRICES, "adjusted_close", "volume")]
        rows = zip(bars.time.tolist(), *columns, strict=True)
        at = {day: midnight(day) + timedelta(hours=OPENS.hour) for day in (EX, SPLIT)}
        return Stock(
            "Asia/Ho_Chi_Minh",
            [(instant(time) + timedelta(hours=OPENS.hour), *rest) for time, *rest in rows],
            dividends={at[EX]: self.dividend} if self.day >= EX else {},
            splits={at[SPLIT]: (2, 1)} if self.halved else {},
        )


def ignoring(vendor: Vendor, day: date) -> Stock:
    """A dividend that no adjusted close shows."""
    at = midnight(EX) + timedelta(hours=OPENS.hour)
    dividends = {at: AMOUNT} if day >= EX else {}
    return told(vendor.book(IGNORES, daily(day).now), dividends=dividends)


def forgetful(vendor: Vendor, day: date) -> Stock:
    """A split that the bars before it do not know of."""
    at = midnight(SPLIT) + timedelta(hours=OPENS.hour)
    return told(vendor.traded(FORGOT, daily(day).now), splits={at: (2, 1)} if day >= SPLIT else {})


def told(bars: Bars, **actions: Any) -> Stock:
    """Bars whose adjusted closes are their closes, as the replay server tells them."""
    columns = [getattr(bars, name).tolist() for name in (*PRICES, "close", "volume")]
    rows = zip(bars.time.tolist(), *columns, strict=True)
    opens = timedelta(hours=OPENS.hour)
    return Stock("Asia/Ho_Chi_Minh", [(instant(time) + opens, *rest) for time, *rest in rows], **actions)


@dataclass
class Served:
    """Yahoo's server in its simulated day."""

    replay: YahooReplay
    vendor: Vendor

    @property
    def source(self):
        return {"name": "yahoo", "endpoint": self.replay.url}

    def turn_to(self, now):
        self.replay.stocks[f"{TICKER}.VN"] = Statement(self.vendor, now.date()).stock()
        self.replay.stocks[f"{IGNORES}.VN"] = ignoring(self.vendor, now.date())
        self.replay.stocks[f"{FORGOT}.VN"] = forgetful(self.vendor, now.date())


@pytest.fixture(scope="module")
def month(new_warehouse, tmp_path_factory):
    """A connection to the warehouse when the month is over."""
    state, vendor, replay = tmp_path_factory.mktemp("month"), Vendor(PLOT), YahooReplay()
    with pytest.MonkeyPatch.context() as patch, new_warehouse() as dsn:
        patch.setenv("HYPERTAPE_SOURCE_RATES", "yahoo=0")
        patch.setenv("HYPERTAPE_STATE_DIR", str(state))
        pipeline = Pipeline(dsn, PLOT, Served(replay, vendor), Settings(state_dir=state))
        outcomes = [pipeline(replace(daily(day), check=day == SPLIT)) for day in DAYS]
        replay.stop()
        assert [outcome["failed"] for outcome in outcomes] == [{}] * len(DAYS)
        with connect(dsn, autocommit=True) as connection:
            yield connection, Statement(vendor, DAYS[-1])


def test_every_bar_and_adjusted_close_is_the_truth(month):
    connection, statement = month
    assert not np.array_equal(statement.bars.close, statement.bars.adjusted_close)
    assert_true(connection, TICKER, statement.bars)


def test_former_adjusted_closes_are_kept(month):
    """On the ex-day only the adjusted close of the bars before it changes, on the day of the split every price."""
    connection, statement = month
    for day in (EX, SPLIT):
        before = Statement(statement.vendor, DAYS[DAYS.index(day) - 1]).bars
        rows = connection.execute(
            "select extract(epoch from kept.time)::bigint * 1000000, close, adjusted_close, volume from bar_revision "
            "as kept join load as replacing on replacing.load_id = kept.replaced_by "
            "where run_id = %s and kept.ticker = %s order by 1",
            (daily(day).run_id, TICKER),
        ).fetchall()
        expected = zip(before.time, before.close, before.adjusted_close, before.volume, strict=True)
        assert [tuple(map(float, row)) for row in rows] == [tuple(map(float, row)) for row in expected]


def test_the_actions_are_kept_as_last_stated(month):
    connection, _ = month
    dividends = connection.execute(
        "select ticker, time::date, amount from dividends order by 1 desc"
    ).fetchall()
    assert dividends == [(TICKER, EX, AMOUNT / 2), (IGNORES, EX, AMOUNT)]
    assert connection.execute("select ticker, time::date, ratio from splits order by 1").fetchall() == [
        (FORGOT, SPLIT, 2.0), (TICKER, SPLIT, 2.0),
    ]  # fmt: skip


def test_both_were_read_again_once(month):
    connection, _ = month
    rows = connection.execute(
        "select checked_run, state, direction, round(ratio::numeric, 6) from restatement order by restatement_id"
    ).fetchall()
    assert [row[:3] for row in rows] == [
        (daily(EX).run_id, "reread", "down"),
        (daily(SPLIT).run_id, "reread", "down"),
    ]
    assert float(rows[1][3]) == 0.5


def test_the_adjusted_series_follows_from_raw_prices_and_actions(month):
    connection, statement = month
    computed = adjusted(connection, VN, TICKER)
    truth = statement.bars
    assert np.array_equal(computed.time, truth.time)
    assert np.array_equal(computed.close, truth.close)
    np.testing.assert_allclose(computed.adjusted, truth.adjusted_close, rtol=1e-12)
    assert computed.factor[0] < 1.0 == computed.factor[-1]


def test_an_action_whose_step_is_not_there_is_a_finding(month):
    """The year's bars are what the vendor says all the same; nobody but it knows better."""
    connection, statement = month
    found = connection.execute(
        "select expectation, jsonb_path_query_array(sample, '$[*].ticker')::text from quality_result "
        "where status = 'failed' and expectation in ('adjustment_steps', 'actions_applied') order by 1"
    ).fetchall()
    tickers = {name: set(json.loads(sample)) for name, sample in found}
    assert tickers["actions_applied"] == {FORGOT}
    assert IGNORES in tickers["adjustment_steps"]
    assert TICKER not in tickers["adjustment_steps"]
    for ticker in (IGNORES, FORGOT):
        bars = statement.vendor.traded(ticker, daily(DAYS[-1]).now)
        assert_true(connection, ticker, with_values(bars, {"adjusted_close": bars.close}))
