"""The ledger over whole files, real ones and generated ones, against a count that knows nothing of calendars or rules.

The session of an interval is a day on which the index has a bar; a ticker misses those of them, between its first and
its last bar, on which it has none. That needs the files and a set difference only.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from hypertape.calendars import sessions
from hypertape.markets import get_market
from hypertape.model import Interval, utc
from hypertape.settings import Settings
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.gaps.ledger import note_gaps

VN = get_market("vn")
INDEX = "VNINDEX"
FILES = {"1d": "1D.csv", "1h": "1h.csv"}
NOW = utc(2025, 8, 26)
REAL = {("1d", "MPC"): 639, ("1d", "ACB"): 5, ("1h", "VRG"): 4}
"""Sessions that the real files miss inside a ticker's span; every other ticker misses none."""


@pytest.fixture(scope="module", params=["real", "generated"])
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "real":
        return request.getfixturevalue("shared_data") / "csv" / VN.table
    return generated(tmp_path_factory.mktemp("tree"))


def generated(root: Path) -> Path:
    """Like the real files: an index, a ticker with a long hole and single days, one listed late, one of hours."""
    days = [session.date for session in sessions(VN, date(2023, 9, 1), date(2025, 8, 26))]
    write(root / INDEX / "1D.csv", days)
    write(root / "MPC" / "1D.csv", [*days[:40], *days[140:200], *days[201:]])
    write(root / "ACB" / "1D.csv", [*days[:300], *days[305:]])
    write(root / "TCB" / "1D.csv", days[170:])
    write(root / "VCB" / "1D.csv", days)
    for ticker, without in ((INDEX, ()), ("VRG", (20, 33, 34, 90)), ("VCB", ()), ("HPG", (5,))):
        write(
            root / ticker / "1h.csv",
            [day for k, day in enumerate(days[5:]) if k not in without],
            hours=(2, 3, 7),
        )
    return root


def write(path: Path, days: list[date], hours: tuple[int, ...] = ()) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = (
        [f"{day}T{hour:02}:00:00" for day in days for hour in hours] if hours else [str(day) for day in days]
    )
    rows = [f"{path.parent.name},{time},10,11,9,{10 + k % 3 / 10},100" for k, time in enumerate(times)]
    path.write_text("\n".join(["ticker,time,open,high,low,close,volume", *rows]) + "\n")


def days_of(tree: Path, ticker: str, interval: str) -> list[str]:
    with (tree / ticker / FILES[interval]).open(encoding="utf-8", newline="") as lines:
        return sorted({row["time"][:10] for row in csv.DictReader(lines)})


def counted(tree: Path, ticker: str, interval: str) -> set[str]:
    """The days on which the index has a bar and the ticker has none, between the ticker's first and last bar."""
    mine = days_of(tree, ticker, interval)
    return {day for day in days_of(tree, INDEX, interval) if mine[0] < day < mine[-1]} - set(mine)


@pytest.fixture(scope="module")
def ledger(new_warehouse: Any, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The warehouse after the files were loaded and noted twice, as the daily healing would."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("state"), batch_size=5)
    source = {"name": "csv_tree", "directory": str(tree), "legacy_scale": True}
    with new_warehouse() as dsn, connect(dsn, autocommit=True) as connection:
        for _ in range(2):
            for interval in FILES:
                sync(
                    dsn,
                    "vn",
                    interval,
                    now=NOW,
                    start=utc(2015),
                    source=source,
                    settings=settings,
                    check=False,
                )
        for interval in FILES:
            note_gaps(connection, VN, Interval(interval), None, NOW, "find")
        yield connection


def noted(connection: Any, tree: Path, ticker: str, interval: str) -> dict[str, str]:
    """Day → reason inside the ticker's span, rows in quarantine left out: their days are in the files."""
    mine = days_of(tree, ticker, interval)
    rows = connection.execute(
        "select start_time, end_time, reason from gap where interval = %s and ticker = %s and closed_at is null "
        "and not inside "
        "and coalesce(detail, '') not like 'refused%%'",
        (interval, ticker),
    ).fetchall()
    found = {}
    for start, end, reason in rows:
        day = start.date()
        while day < end.date() or (interval != "1d" and day == end.date()):
            if mine[0] < str(day) < mine[-1] and str(day) in days_of(tree, INDEX, interval):
                found[str(day)] = reason
            day += timedelta(days=1)
    return found


@pytest.mark.parametrize("interval", list(FILES))
def test_the_ledger_has_exactly_the_sessions_that_the_files_lack(
    ledger: Any, tree: Path, interval: str
) -> None:
    tickers = sorted(path.parent.name for path in tree.glob(f"*/{FILES[interval]}"))
    assert len(tickers) >= 4
    for ticker in tickers:
        missing = counted(tree, ticker, interval)
        assert set(noted(ledger, tree, ticker, interval)) == missing, ticker
        if "shared" in tree.parts:
            assert len(missing) == REAL.get((interval, ticker), 0), ticker


def test_a_long_suspension_is_a_halt_and_single_days_are_omissions(ledger: Any, tree: Path) -> None:
    assert set(noted(ledger, tree, "ACB", "1d").values()) == {"halted"}
    reasons = list(noted(ledger, tree, "MPC", "1d").values())
    assert reasons.count("halted") >= 100
    assert len(reasons) - reasons.count("halted") <= 1
    assert set(noted(ledger, tree, "VRG", "1h").values()) == {"provider empty"}


def test_a_late_listing_is_one_entry(ledger: Any, tree: Path) -> None:
    first = days_of(tree, "TCB", "1d")[0]
    rows = ledger.execute(
        "select start_time, end_time, sessions from gap "
        "where ticker = 'TCB' and interval = '1d' and reason = 'not listed'"
    ).fetchall()
    ((start, end, count),) = rows
    expected = sessions(VN, start.date(), date.fromisoformat(first))
    assert (count, str(start.date())) == (len(expected), "2015-01-05")
    assert str(end.date()) <= first


def test_no_bar_of_the_files_is_in_the_ledger(ledger: Any) -> None:
    for interval in FILES:
        both = ledger.execute(
            f"select count(*) from gap join bars.market_data_{interval} as bar using (ticker) "
            "where gap.interval = %s and closed_at is null and bar.time >= start_time and bar.time < end_time",
            (interval,),
        ).fetchone()
        assert both == (0,)
