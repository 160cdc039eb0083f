"""Known halts: a source each, and the real files show what the table says."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hypertape.calendars import sessions
from hypertape.calendars.halts import HALTS, Halt, halts_of
from hypertape.markets import all_markets, get_market

CALENDARS = {market.calendar: market for market in all_markets().values()}


@pytest.mark.parametrize("halt", HALTS, ids=lambda halt: f"{halt.calendar} {halt.first}")
def test_a_halt_has_a_source_a_known_calendar_and_sessions(halt: Halt) -> None:
    assert halt.source.startswith("https://")
    assert halt.reason
    market = CALENDARS[halt.calendar]
    dates = [session.date for session in sessions(market, halt.first, halt.last)] + [halt.last]
    assert dates[0] == halt.first <= halt.last, "a halt lies on sessions: a closed day is no halt"


def test_halts_come_by_calendar_oldest_first() -> None:
    assert [halt.first.year for halt in halts_of("HOSE")] == [2018]
    assert halts_of("XNYS") == ()


def test_hose_stood_still_on_the_days_of_its_halt_and_upcom_traded(shared_data: Path) -> None:
    (halt,) = halts_of("HOSE")
    days = [str(halt.first), str(halt.last)]

    def volumes(ticker: str) -> list[float]:
        with (shared_data / "csv/market_data" / ticker / "1D.csv").open(
            encoding="utf-8", newline=""
        ) as lines:
            return [float(row["volume"]) for row in csv.DictReader(lines) if row["time"] in days]

    for ticker in ("VIC", "VNM", "HPG", "FPT", "SSI", "MWG", "VCB", "VNINDEX"):
        assert volumes(ticker) == [0, 0], "on HOSE: bars without volume"
    assert all(volume > 0 for ticker in ("VRG", "ACB") for volume in volumes(ticker)), "on UPCOM and HNX"


def test_no_other_session_stands_still_on_hose(shared_data: Path) -> None:
    """A new day on which nobody on HOSE traded is a halt that the table lacks."""
    still: dict[str, int] = {}
    on_hose = ("VIC", "VNM", "HPG", "FPT", "SSI", "MWG", "VCB")
    for ticker in on_hose:
        with (shared_data / "csv/market_data" / ticker / "1D.csv").open(
            encoding="utf-8", newline=""
        ) as lines:
            for row in csv.DictReader(lines):
                still[row["time"]] = still.get(row["time"], 0) + (float(row["volume"]) == 0)
    assert [day for day, count in sorted(still.items()) if count == len(on_hose)] == [
        "2018-01-23",
        "2018-01-24",
    ]
    assert get_market("vn").calendar == "HOSE"
