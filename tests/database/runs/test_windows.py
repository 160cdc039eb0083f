"""Which window a run owns: what is delivered late, what lies in the future, clocks that go wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lab import D1, H1, VN, query, value

from hypertape.calendars import expected_times
from hypertape.errors import UnknownTicker
from hypertape.frame import instant
from hypertape.markets import get_market
from hypertape.model import Window, midnight, utc
from hypertape.settings import Settings
from hypertape.steps.backfill import BackfillRequest, plan_backfill
from hypertape.steps.sync import SyncResult, sync
from hypertape.warehouse.doctor import examine
from hypertape.warehouse.findings import Look, look
from hypertape.warehouse.ledger import resume_points

BEGIN = utc(2025, 1, 2)


class Directory:
    """A directory that delivers daily bars up to a date, and the scheduled runs that read it."""

    def __init__(self, dsn: str, root: Path) -> None:
        self.dsn, self.tree = dsn, root / "tree"
        self.settings = Settings(state_dir=root / "state")

    def delivers(self, ticker: str, until: datetime, start: datetime = BEGIN) -> int:
        """Write the file anew with every session before `until`; return how many there are."""
        times = expected_times(VN, D1, Window(start, until))
        (self.tree / ticker).mkdir(parents=True, exist_ok=True)
        lines = [
            f"{ticker},{instant(int(t)):%Y-%m-%d},10000,11000,9000,{10_000 + 100 * (n % 2)},100"
            for n, t in enumerate(times)
        ]
        path = self.tree / ticker / "1D.csv"
        path.write_text("\n".join(["ticker,time,open,high,low,close,volume", *lines]) + "\n")
        return len(times)

    def sync(self, now: datetime, **others: Any) -> SyncResult:
        source = {"name": "csv_tree", "directory": str(self.tree)}
        return sync(self.dsn, "vn", "1d", now=now, source=source, settings=self.settings, **others)


@pytest.fixture
def directory(warehouse: str, tmp_path: Path) -> Directory:
    return Directory(warehouse, tmp_path)


def watermark(connection: Any, ticker: str = "AAA") -> datetime:
    return value(connection, "select watermark from series where ticker = %s", ticker)  # type: ignore[no-any-return]


def test_what_a_directory_delivers_weeks_late_is_loaded_by_the_next_ordinary_run(
    directory: Directory, connection: Any
) -> None:
    """The first run asked for much more than the file had."""
    first = directory.delivers("AAA", utc(2025, 6, 4))
    assert directory.sync(utc(2025, 8, 26, 12)).counts["inserted"] == first
    assert watermark(connection) == utc(2025, 6, 4), "no further than the file had answered"
    whole = directory.delivers("AAA", utc(2025, 8, 26))
    late = directory.sync(utc(2025, 8, 27, 12))
    assert late.counts["inserted"] == whole - first
    assert late.quality is not None
    assert any(line.startswith("sessions_after_last (2") for line in late.quality.warnings)
    assert directory.sync(utc(2025, 8, 27, 13)).plan.spec.window.start > utc(2025, 8, 1)


def test_what_the_ledger_excuses_is_not_asked_for_again(directory: Directory, connection: Any) -> None:
    """A delisted ticker is asked for with everybody else, and not from its last bar on for ever."""
    for ticker in ("AAA", "BBB", "DEAD"):
        directory.delivers(ticker, utc(2025, 3, 1) if ticker == "DEAD" else utc(2025, 5, 1))
    directory.sync(utc(2025, 5, 1, 12))
    assert query(
        connection, "select distinct reason from gap where ticker = 'DEAD' and start_time > '2025-03-01'"
    ) == [("delisted",)]
    points = resume_points(connection, VN, D1, utc(2025, 5, 2))
    assert points["DEAD"] >= utc(2025, 4, 29)
    (batch,) = directory.sync(utc(2025, 5, 2, 12)).plan.batches
    assert set(batch.tickers) == {"AAA", "BBB", "DEAD"}


def test_a_window_that_ends_in_the_future_stops_no_series(directory: Directory, connection: Any) -> None:
    first = directory.delivers("AAA", utc(2025, 6, 5))
    done = directory.sync(utc(2025, 6, 4, 12), end=utc(2027, 6, 1))
    assert (done.plan.spec.window.end, watermark(connection)) == (utc(2025, 6, 4, 12), utc(2025, 6, 4, 12))
    exact = directory.sync(utc(2025, 6, 4, 12), start=BEGIN, end=utc(2027, 6, 1))
    assert exact.plan.spec.window == Window(BEGIN, utc(2025, 6, 4, 12))
    whole = directory.delivers("AAA", utc(2025, 6, 6))
    assert directory.sync(utc(2025, 6, 6, 12)).counts["inserted"] == whole - first


def test_a_host_whose_clock_is_ahead_moves_no_watermark_beyond_the_databases(
    directory: Directory, connection: Any
) -> None:
    """The run believes that it is thirty days later than the database knows."""
    there = value(connection, "select now()")
    directory.delivers("AAA", midnight(there.date()), start=there - timedelta(days=40))
    done = directory.sync(there + timedelta(days=30))
    there = value(connection, "select now()")
    assert done.plan.spec.window.end <= there
    assert watermark(connection) <= there
    assert value(connection, "select count(*) from gap where end_time > now() + interval '1 day'") == 0


def test_a_watermark_in_the_future_is_named_and_moves_back(directory: Directory, connection: Any) -> None:
    there = value(connection, "select now()")
    days = midnight(there.date())
    directory.delivers("AAA", days, start=days - timedelta(days=40))
    directory.sync(there, check=False)
    connection.execute("update series set watermark = now() + interval '200 days'")

    def told() -> list[str]:
        with connection.transaction():
            look(connection, Look(there, "watch"))
        found = examine(connection, (get_market("vn"),), directory.settings, now=there)
        return [each.finding for each in found if each.subject == "watermarks" and each.level == "bad"]

    (text,) = told()
    assert text.startswith("1 series of vn 1d (AAA) marked as loaded up to ")
    directory.sync(there)
    assert watermark(connection) <= value(connection, "select now()")
    assert told() == []


def test_a_file_that_lags_after_the_watermark_was_set_is_still_caught_up(
    directory: Directory, connection: Any
) -> None:
    """A watermark of an older version, at the end of the window it asked for."""
    first = directory.delivers("AAA", utc(2025, 6, 4))
    directory.sync(utc(2025, 6, 4, 12))
    connection.execute("update series set watermark = '2025-08-26 12:00+00'")
    whole = directory.delivers("AAA", utc(2025, 8, 26))
    assert directory.sync(utc(2025, 8, 27, 12)).counts["inserted"] == whole - first


def test_hours_that_lag_a_little_share_their_requests(warehouse: str, connection: Any) -> None:
    """The last bars of thin tickers lie anywhere: they resume at full hours, long ago at days."""
    insert = (
        "insert into series (market, interval, ticker, first_time, last_time, watermark) "
        "values ('vn', '1h', %s, '2025-05-05', %s, '2025-05-08 09:00+00')"
    )
    for ticker, last in (
        ("A", "2025-05-08 07:00+00"),
        ("B", "2025-05-08 03:00+00"),
        ("C", "2025-05-05 03:00+00"),
    ):
        connection.execute(insert, (ticker, last))
    points = resume_points(connection, VN, H1, utc(2025, 5, 8, 10))
    assert points == {"A": utc(2025, 5, 8, 9), "B": utc(2025, 5, 8, 4), "C": utc(2025, 5, 5)}


# names


@pytest.mark.parametrize("asked", ["aaa", "Aaa"])
def test_a_known_name_in_other_letters_is_refused(directory: Directory, connection: Any, asked: str) -> None:
    directory.delivers("AAA", utc(2025, 2, 1))
    directory.sync(utc(2025, 2, 1, 12), check=False)
    with pytest.raises(UnknownTicker, match=f"{asked} is no ticker of vn. Write AAA"):
        directory.sync(utc(2025, 2, 2), tickers=[asked])
    request = BackfillRequest(tickers=[asked], source={"name": "sample"})
    with pytest.raises(UnknownTicker, match="Write AAA"):
        plan_backfill(
            directory.dsn, "vn", "1d", request, run_id="r", now=utc(2025, 2, 2), settings=directory.settings
        )
    with pytest.raises(UnknownTicker, match="Write VIC"):
        directory.sync(utc(2025, 2, 2), tickers=["vic"])
    assert query(connection, "select ticker from series") == [("AAA",)]


def test_a_typo_opens_no_gap_and_no_series(warehouse: str, connection: Any, tmp_path: Path) -> None:
    """Nobody knows SYNCORPX: not the list, not the source, not the warehouse."""
    settings = Settings(state_dir=tmp_path)
    done = sync(
        warehouse, "us", "1d", now=utc(2025, 6, 20), start=utc(2025, 6, 1), source={"name": "sample"},
        settings=settings, tickers=["SYNCORP", "SYNCORPX"],
    )  # fmt: skip
    assert set(done.failed) == {"SYNCORPX"}
    assert query(connection, "select distinct ticker from gap") == []
    assert query(connection, "select ticker from gap_judged") == [("SYNCORP",)]
    assert query(connection, "select ticker from series") == [("SYNCORP",)]
