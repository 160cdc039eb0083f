"""Backfills in one process: the plan against what is stored, the three modes, and what a killed one leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from lab import CRYPTO, D1, H1, VN, query, to_frame, value, walk

from hypertape.errors import BadInput
from hypertape.frame import instant
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.settings import Settings
from hypertape.steps.backfill import BackfillRequest, backfill, plan_table
from hypertape.steps.backfill_plan import plan_backfill
from hypertape.warehouse import backfills
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.read import digests

START, END, NOW = utc(2024, 1, 1), utc(2024, 7, 1), utc(2024, 7, 1, 1)
DAYS = 182
TICKERS = ("AAA", "BBB", "CCC")
MONTHLY = 31 * 2
"""Bars a unit may ask for, so that a batch of two tickers gets windows of a month."""


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


class Place:
    """A directory of daily CSV files that serves as the source, and settings with a state directory beside it."""

    def __init__(self, root, **settings):
        self.tree = root / "tree"
        self.settings = Settings(
            state_dir=root / "state", **{"batch_size": 2, "backfill_bars": MONTHLY, **settings}
        )
        for seed, ticker in enumerate(TICKERS):
            self.write(ticker, seed)

    def write(self, ticker, seed, *, scale=1.0, without=()):
        bars = walk(DAYS, seed=seed, start=START)
        rows = [
            f"{ticker},{instant(int(bars.time[at])):%Y-%m-%d},{bars.open[at] * scale},{bars.high[at] * scale},"
            f"{bars.low[at] * scale},{bars.close[at] * scale},{bars.volume[at] + 1}"
            for at in range(DAYS)
            if at not in without
        ]
        (self.tree / ticker).mkdir(parents=True, exist_ok=True)
        (self.tree / ticker / "1D.csv").write_text(
            "\n".join(["ticker,time,open,high,low,close,volume", *rows]) + "\n"
        )

    def asked(self, **wishes):
        window = {} if wishes.get("mode") == "restate" else {"start": START, "end": END}
        return BackfillRequest(**{
            "tickers": list(TICKERS), **window, "source": {"name": "csv_tree", "directory": str(self.tree)}, **wishes
        })  # fmt: skip

    def plan(self, dsn, run_id="run", now=NOW, dry_run=True, **wishes):
        return plan_backfill(
            dsn, "crypto", "1d", self.asked(**wishes), run_id=run_id, now=now, dry_run=dry_run, settings=self.settings
        )  # fmt: skip

    def run(self, dsn, run_id="run", now=NOW, **wishes):
        return backfill(
            dsn, "crypto", "1d", self.asked(**wishes), run_id=run_id, now=now, dry_run=False, settings=self.settings
        )  # fmt: skip


def stored(dsn):
    with connect(dsn) as connection:
        return {each.ticker: (each.rows, each.sha256) for each in digests(connection, CRYPTO, D1)}


def test_a_rehearsal_stores_its_plan_and_touches_nothing_else(warehouse, place):
    planned = place.plan(warehouse)
    assert planned.batches == ()
    figures = planned.figures
    assert (figures["sessions"], figures["expected"], figures["present"], figures["missing"]) == (
        DAYS, 3 * DAYS, 0, 3 * DAYS,
    )  # fmt: skip
    assert figures["units"] == 6 * 2
    assert figures["calls"] == 6 * 3
    assert figures["timed_calls"] == 0
    with connect(warehouse) as connection:
        assert query(connection, "select run_id, dry_run, state from backfill") == [("run", True, "planned")]
        assert value(connection, "select count(*) from backfill_unit where state = 'pending'") == 12
        assert value(connection, "select count(*) from load") == 0
    assert "bars missing" in plan_table(planned)
    assert place.plan(warehouse).backfill_id > planned.backfill_id, "planned anew, not twice"
    with connect(warehouse) as connection:
        assert value(connection, "select count(*) from backfill") == 1


@pytest.mark.parametrize(
    ("tickers", "symbols", "calls", "reason"),
    [(27, 10, 3, "ten symbols a request"), (27, 5, 6, "five"), (10, 10, 1, "one request for all of them")],
)
def test_calls_are_those_the_source_makes_for_a_group(warehouse, tmp_path, tickers, symbols, calls, reason):
    asked = BackfillRequest(
        tickers=[f"B{at:02}" for at in range(tickers)], source={"name": "vci"}, start=utc(2024, 6, 3),
        end=utc(2024, 6, 29),
    )  # fmt: skip
    settings = Settings(state_dir=tmp_path, batch_size=50, symbols_per_request=symbols)
    planned = plan_backfill(warehouse, "vn", "1d", asked, run_id="run", now=NOW, settings=settings)
    assert planned.figures["calls"] == calls, reason
    assert planned.figures["seconds"] == calls * planned.figures["seconds_per_call"]


def test_time_per_call_is_measured_over_the_calls_that_were_made(warehouse, place, monkeypatch):
    monkeypatch.setattr("hypertape.sources.csv_tree.tickers_per_request", lambda limits: 2, raising=False)
    place.run(warehouse)
    with connect(warehouse) as connection:
        asked = query(connection, "select count(*), sum(calls), min(calls), max(calls) from load")
    assert asked == [(18, 12, 0, 1)], "two tickers share a call, the third has one of its own, six times"
    assert place.run(warehouse, run_id="again", mode="overwrite").plan.figures["timed_calls"] == 12


def test_windows_end_with_months_and_cover_everything_once(warehouse, place):
    place.plan(warehouse)
    with connect(warehouse) as connection:
        rows = query(
            connection, "select window_start, window_end, tickers from backfill_unit order by unit limit 4"
        )
        covered = query(
            connection,
            "select ticker, min(window_start), max(window_end), sum(window_end - window_start) "
            "from backfill_unit, unnest(tickers) as ticker group by ticker order by ticker",
        )
    assert rows == [
        (START, utc(2024, 2, 1), ["AAA", "BBB"]), (START, utc(2024, 2, 1), ["CCC"]),
        (utc(2024, 2, 1), utc(2024, 3, 1), ["AAA", "BBB"]), (utc(2024, 2, 1), utc(2024, 3, 1), ["CCC"]),
    ]  # fmt: skip
    assert covered == [(ticker, START, END, END - START) for ticker in TICKERS]


def test_a_first_backfill_loads_everything_and_the_next_asks_nobody(warehouse, place):
    first = place.run(warehouse, reason="history")
    assert first.error is None
    assert first.counts["inserted"] == 3 * DAYS
    assert {rows for rows, _ in stored(warehouse).values()} == {DAYS}
    with connect(warehouse) as connection:
        assert query(connection, "select distinct reason, run_id from load") == [("history", "run")]
        assert query(connection, "select state from backfill") == [("done",)]
        assert value(connection, "select count(*) from load where asked_seconds > 0 and calls = 1") == 18
    again = place.run(warehouse, run_id="again")
    assert again.plan.figures["missing"] == again.plan.figures["units"] == 0
    assert again.plan.figures["timed_calls"] == 18, "measured by the first one"
    assert not again.plan.resumed
    assert again.counts["inserted"] == again.counts["unchanged"] == 0
    report = Path(first.report).read_text()
    assert "Plan of the backfill" in report
    assert "bars expected" in report


def test_missing_asks_only_where_bars_are_missing_and_keeps_what_is_stored(warehouse, place):
    place.write("BBB", 1, without=range(40, 45))  # 10th to 14th of February
    place.run(warehouse)
    before = stored(warehouse)
    place.write("AAA", 7)  # the source tells another story now
    place.write("BBB", 1)
    done = place.run(warehouse, run_id="again")
    assert [(list(unit.tickers), f"{unit.window.start:%Y-%m-%d}") for unit in done.plan.batches] == [
        (["BBB"], "2024-02-01")
    ]
    assert done.plan.figures["missing"] == 5
    assert {name: done.counts[name] for name in ("inserted", "updated", "unchanged")} == {
        "inserted": 5, "updated": 0, "unchanged": 24,
    }  # fmt: skip
    after = stored(warehouse)
    assert after["BBB"][0] == DAYS
    assert {ticker: after[ticker] for ticker in ("AAA", "CCC")} == {t: before[t] for t in ("AAA", "CCC")}


def test_overwrite_reads_all_again_and_keeps_former_values(warehouse, place):
    place.run(warehouse)
    place.write("AAA", 7)
    done = place.run(warehouse, run_id="again", mode="overwrite")
    assert len(done.plan.batches) == 12
    assert done.counts["updated"] == DAYS
    assert done.counts["unchanged"] == 2 * DAYS
    with connect(warehouse) as connection:
        assert query(connection, "select distinct ticker, count(*) from bar_revision group by ticker") == [
            ("AAA", DAYS)
        ]


def test_another_scale_is_refused_but_for_a_restatement_with_a_reason(warehouse, tmp_path):
    place = Place(tmp_path, backfill_bars=10 * MONTHLY)  # a restatement asks for all of history
    place.run(warehouse)
    before = stored(warehouse)
    place.write("AAA", 0, scale=1000.0)
    refused = place.run(warehouse, run_id="again", mode="overwrite")
    assert set(refused.failed) == {"AAA"}
    assert "scale" in refused.failed["AAA"]
    assert stored(warehouse) == before
    with pytest.raises(BadInput, match="reason"):
        place.run(warehouse, run_id="restated", mode="restate", tickers=["AAA"])
    done = place.run(warehouse, run_id="restated", mode="restate", tickers=["AAA"], reason="quoted in units")
    assert done.failed == {}
    assert done.plan.figures["window"][0] == "2010-07-17T00:00:00+00:00"
    assert done.counts["updated"] == DAYS
    with connect(warehouse) as connection:
        assert query(connection, "select distinct reason from load where run_id = 'restated'") == [
            ("quoted in units",)
        ]


def test_one_bad_ticker_costs_one_ticker_until_it_is_mended(warehouse, place):
    (place.tree / "BBB" / "1D.csv").rename(place.tree / "away")
    done = place.run(warehouse)
    assert set(done.failed) == {"BBB"}
    assert done.error is not None
    assert {ticker: rows for ticker, (rows, _) in stored(warehouse).items()} == {"AAA": DAYS, "CCC": DAYS}
    with connect(warehouse) as connection:
        assert query(
            connection, "select distinct open_tickers from backfill_unit where state = 'failed'"
        ) == [(["BBB"],)]
    (place.tree / "away").rename(place.tree / "BBB" / "1D.csv")
    mended = place.run(warehouse, run_id="another", now=NOW + timedelta(hours=1))
    assert mended.plan.resumed
    assert mended.plan.run_id == "run", "it is the same backfill"
    assert {unit.tickers for unit in mended.plan.batches} == {("BBB",)}
    assert mended.error is None
    assert {rows for rows, _ in stored(warehouse).values()} == {DAYS}
    with connect(warehouse) as connection:
        assert query(connection, "select state, count(*) from backfill_unit group by state") == [("done", 12)]


def test_the_same_run_again_skips_what_is_done_and_others_plan_anew(warehouse, place):
    place.run(warehouse, mode="overwrite")
    cleared = place.plan(warehouse, mode="overwrite", dry_run=False)
    assert (cleared.resumed, cleared.batches) == (True, ())
    other = place.plan(warehouse, run_id="another", mode="overwrite", dry_run=False)
    assert (other.resumed, len(other.batches)) == (False, 12)
    later = NOW + backfills.CONTINUED_FOR + timedelta(hours=1)
    late = place.plan(warehouse, run_id="late", now=later, mode="overwrite", dry_run=False)
    assert not late.resumed, "what was left open so long ago is planned anew"


_KILLED = """
import json, os, signal, sys
from hypertape.steps import backfill as steps
from hypertape.model import utc
from hypertape.settings import Settings
dsn, state, tree, units = sys.argv[1:]
loaded, ended = [], steps.backfills.unit_ended
def end(*arguments):
    loaded.append(1)
    if len(loaded) > int(units):
        os.kill(os.getpid(), signal.SIGKILL)  # its bars are committed, and nobody was told
    ended(*arguments)
steps.backfills.unit_ended = end
asked = steps.BackfillRequest(mode="overwrite", tickers=["AAA", "BBB", "CCC"], start=utc(2024, 1, 1),
    end=utc(2024, 7, 1), source={"name": "csv_tree", "directory": tree})
steps.backfill(dsn, "crypto", "1d", asked, run_id="killed", now=utc(2024, 7, 1, 1), dry_run=False,
    settings=Settings(state_dir=state, batch_size=2, backfill_bars=62))
"""


@pytest.mark.parametrize("units", [0, 5, 11])
def test_a_killed_backfill_goes_on_where_it_was(warehouse, place, units):
    """The same bars as one that was left alone, and no unit that was done is asked for again."""
    arguments = [warehouse, str(place.settings.state_dir), str(place.tree), str(units)]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, *arguments], capture_output=True, text=True, env=dict(os.environ), check=False
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    with connect(warehouse) as connection:
        assert value(connection, "select count(*) from backfill_unit where state = 'done'") == units
    resumed = place.run(warehouse, run_id="again", mode="overwrite")
    assert resumed.plan.resumed
    assert len(resumed.plan.batches) == 12 - units
    assert resumed.error is None
    assert {rows for rows, _ in stored(warehouse).values()} == {DAYS}
    with connect(warehouse) as connection:
        assert value(connection, "select count(*) from bar_revision") == 0
        assert value(connection, "select count(*) from rollup_pending") == 0
        assert query(connection, "select state from backfill") == [("done",)]


@pytest.mark.parametrize(
    ("wishes", "told", "reason"),
    [
        ({"mode": "replace"}, "Modes: missing, overwrite, restate", "there is no such mode"),
        ({"mode": "restate", "reason": "x", "start": START}, "Leave start and end empty", "restates all"),
        ({"start": END, "end": START}, "Swap them", "a window that ends first"),
        ({"start": NOW + timedelta(days=1), "end": None}, "in the future", "nothing can be there"),
        ({"start": None, "end": utc(1990)}, "before the first bar", "nothing would be asked for"),
        ({"groups": ["BANKS"]}, "CRYPTO_TOP_100", "there is no such group"),
        ({"tickers": None, "source": {"name": "nasdaq"}}, "csv_tree", "there is no such source"),
        ({"source": {"name": "nasdaq"}}, "csv_tree", "the same, with tickers nobody has to list"),
    ],
)
def test_wishes_that_cannot_be_are_refused(warehouse, place, wishes, told, reason):
    with pytest.raises(BadInput, match=told):
        place.plan(warehouse, **wishes)


def test_a_group_is_its_tickers_beside_those_that_are_named(warehouse, place):
    planned = place.plan(warehouse, tickers=["AAA"], groups=["CRYPTO_TOP_100"])
    with connect(warehouse) as connection:
        tickers = value(connection, "select tickers from backfill")
    members = [entry.ticker for entry in CRYPTO.tickers if entry.group == "CRYPTO_TOP_100"]
    assert tickers == ["AAA", *members]
    assert planned.figures["tickers"] == len(tickers) > 1


def test_sessions_the_ledger_explains_are_not_missing(warehouse, place):
    place.write("BBB", 1, without=range(31))  # no January
    place.run(warehouse)
    with connect(warehouse) as connection:
        connection.execute("delete from gap")  # the runs' own entry, whatever its reason
        connection.execute(
            "insert into gap (market, interval, ticker, start_time, end_time, bars, reason, found_run) "
            "values ('crypto', '1d', 'BBB', '2024-01-01', '2024-01-31', 30, 'not listed', 'run')"
        )
        connection.commit()
    planned = place.plan(warehouse, run_id="again")
    assert (planned.figures["explained"], planned.figures["missing"]) == (30, 1), (
        "the 31st has no explanation"
    )


def test_a_bar_belongs_to_the_session_of_its_day_in_the_markets_zone(warehouse):
    # New York's clocks go forward on the second of four sessions; a Saturday's bar belongs to none
    days = [date(2024, 3, 8), date(2024, 3, 11), date(2024, 3, 12), date(2024, 3, 14)]
    new_york = ZoneInfo("America/New_York")
    around = {
        datetime(day.year, day.month, day.day, hour, minute, tzinfo=new_york): day
        for day in (*days, date(2024, 3, 9), date(2024, 3, 10), date(2024, 3, 13))
        for hour, minute in ((0, 0), (9, 30), (15, 30), (23, 59))
    }
    window = Window(utc(2024, 3, 1), utc(2024, 4, 1))
    with connect(warehouse) as connection:
        for ticker in ("AAPL", "MSFT"):
            for at in around:
                connection.execute(
                    "insert into bars.us_data_1h (ticker, time, open, high, low, close, volume, load_id) "
                    "values (%s, %s, 1, 1, 1, 1, 1, 0)",
                    (ticker, at),
                )
        found = backfills.present(
            connection, get_market("us"), H1, ["AAPL", "MSFT", "NONE"], window, days, [0, 0, 1, 1]
        )
        connection.rollback()
    two_sessions = backfills.Present(bars=8, sessions=2)
    assert found == {(ticker, part): two_sessions for ticker in ("AAPL", "MSFT") for part in (0, 1)}


def test_hours_are_judged_by_session_and_by_the_tickers_own_density(warehouse, tmp_path):
    """A ticker that trades two hours a day misses nothing; one whose feed died on a morning does."""
    hours = {"THIN": (2, 3), "FULL": (2, 3, 4, 6, 7), "DEAD": (2, 3, 4, 6, 7)}
    days = [utc(2024, 3, day) for day in (4, 5, 6, 7, 8)]
    series = {}
    for ticker, of_day in hours.items():
        times = [day + timedelta(hours=hour) for day in days for hour in of_day]
        if ticker == "DEAD":
            times = [time for time in times if time.day != 6 or time.hour < 4][
                :-5
            ]  # half the 6th, none of the 8th
        bars = walk(len(times), interval=H1)
        bars.time[:] = [int(time.timestamp()) * 1_000_000 for time in times]
        series[ticker] = bars
    with connect(warehouse) as connection:
        window = Window(days[0], utc(2024, 3, 9))
        load_bars(
            connection, to_frame(series), LoadRequest(VN, H1, "run", "csv_tree", window, utc(2024, 3, 9))
        )
        connection.commit()
    asked = BackfillRequest(
        tickers=list(hours), start=window.start, end=window.end, source={"name": "sample"}
    )
    planned = plan_backfill(
        warehouse, "vn", "1h", asked, run_id="hours", now=utc(2024, 3, 9), dry_run=False,
        settings=Settings(state_dir=tmp_path),
    )  # fmt: skip
    assert planned.batches[0].tickers == ("DEAD",)
    assert (planned.figures["sessions_missing"], planned.figures["sessions_thin"]) == (1, 1)
    assert planned.figures["present"] == 10 + 25 + 17
    with connect(warehouse) as connection:
        assert Interval(value(connection, "select interval from backfill")) is H1
