"""Every file of the real data, and made-up ones with the same defects, through the whole chain: the report is right.

What is wrong with the files is counted by `count_defects`, which knows nothing of the product. Without the real files
the made-up ones stand alone.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pytest
from count_defects import Defects, count
from defect_files import LAST, write_defect_files, write_index
from lab import VN

from hypertape.calendars import sessions
from hypertape.model import utc
from hypertape.reports.pages import run_report
from hypertape.settings import Settings
from hypertape.steps.sync import SyncResult, sync
from hypertape.warehouse.connect import connect

NOW = utc(2025, 8, 25, 12)
INTERVALS = ("1d", "1h", "1m")
every_interval = pytest.mark.parametrize("interval", INTERVALS)


@dataclass
class Chain:
    """What came of the three runs, and what the files are known to hold."""

    dsn: str
    runs: dict[str, SyncResult]
    counted: dict[str, dict[str, Defects]]


@pytest.fixture(scope="module")
def chain(new_warehouse, shared_data_if_any, tmp_path_factory):
    root = tmp_path_factory.mktemp("defects")
    tree = root / "csv" / VN.table
    tree.mkdir(parents=True)
    real = shared_data_if_any and shared_data_if_any / "csv" / VN.table
    for directory in real.iterdir() if real else ():
        shutil.copytree(directory, tree / directory.name)  # a link out of the tree is left alone
    days = [session.date for session in sessions(VN, date(2024, 1, 1), LAST)] + [LAST]
    write_defect_files(tree, days)
    if real is None:
        write_index(tree, days)
    source = {"name": "csv_tree", "directory": str(root / "csv"), "legacy_scale": True}
    settings = Settings(state_dir=root / "state")
    with new_warehouse() as dsn:
        runs = {
            interval: sync(
                dsn, "vn", interval, now=NOW, start=utc(2015), source=source, settings=settings,
                run_id=f"bars_vn_{interval}",
            )
            for interval in INTERVALS
        }  # fmt: skip
        yield Chain(dsn, runs, count(tree))


@pytest.fixture
def connection(chain):
    with connect(chain.dsn, autocommit=True) as connection:
        yield connection


def found_by(connection: Any, chain: Chain, interval: str, rule: str) -> int:
    """How many offenders the run's check of that name counted."""
    ((count,),) = connection.execute(
        "select unexpected from quality_result where run_id = %s and interval = %s and expectation = %s",
        (chain.runs[interval].run_id, interval, rule),
    ).fetchall()
    return int(count or 0)


@every_interval
def test_every_row_is_a_bar_or_told_of(connection, chain, interval):
    """No file is left out, and no row is lost: each is stored, in quarantine, or counted as repeated."""
    stored = connection.execute(
        f"select ticker, count(*) from market_data_{interval} group by ticker"
    ).fetchall()
    assert dict(stored) == {ticker: file.good for ticker, file in chain.counted[interval].items()}
    repeated = connection.execute(
        "select ticker, duplicates from load where run_id = %s and duplicates > 0",
        (chain.runs[interval].run_id,),
    ).fetchall()
    assert dict(repeated) == {
        ticker: len(file.repeated) for ticker, file in chain.counted[interval].items() if file.repeated
    }


@every_interval
def test_every_impossible_row_is_in_quarantine_with_its_fault(connection, chain, interval):
    kept = connection.execute("select ticker, time, rule from quarantine where interval = %s", (interval,))
    rules = {"no price": "non_positive_price", "high below low": "high_below_low"}
    assert {(ticker, time): rule for ticker, time, rule in kept.fetchall()} == {
        (ticker, _instant(time)): rules[fault]
        for ticker, file in chain.counted[interval].items()
        for time, fault in file.refused.items()
    }


@every_interval
def test_every_bar_outside_its_range_is_stored_and_flagged(connection, chain, interval):
    kept = connection.execute("select ticker, time, rule from bar_flag where interval = %s", (interval,))
    assert set(kept.fetchall()) == {
        (ticker, _instant(time), "ohlc_order")
        for ticker, file in chain.counted[interval].items()
        for time in file.flagged
    }
    assert found_by(connection, chain, interval, "ohlc_order") == total(chain, interval, "flagged")
    html = run_report(connection, chain.runs[interval].run_id)
    assert ("stored as delivered although" in html) == (total(chain, interval, "flagged") > 0)


@every_interval
def test_every_missing_session_is_counted(connection, chain, interval):
    rule = "sessions_complete" if interval == "1d" else "sessions_covered"
    assert found_by(connection, chain, interval, rule) == total(chain, interval, "missing")


@every_interval
def test_every_jump_is_counted(connection, chain, interval):
    assert found_by(connection, chain, interval, "close_jump") == total(chain, interval, "jumps")


def test_every_session_without_a_trade_is_counted(connection, chain):
    """An index is not traded itself: its days without volume are none of these."""
    assert found_by(connection, chain, "1d", "volume_not_zero") == total(chain, "1d", "untraded", "VNINDEX")


@every_interval
def test_nothing_that_is_stored_contradicts_itself(chain, interval):
    """What is left is warnings: the impossible rows are not among the bars."""
    quality = chain.runs[interval].quality
    assert quality.critical == quality.broken == []
    assert chain.runs[interval].error is None


@every_interval
def test_the_report_says_so(connection, chain, interval):
    html = run_report(connection, chain.runs[interval].run_id)
    told = {"jumps": "close_jump", "missing": "sessions_complete" if interval == "1d" else "sessions_covered"}
    if interval == "1d":
        told["untraded"] = "volume_not_zero"
    for name, rule in told.items():
        expected = total(chain, interval, name, *(["VNINDEX"] if name == "untraded" else []))
        article = re.search(rf'<article [^>]*id="check-[^"]*-{rule}">.*?</article>', html, re.DOTALL)
        assert article is not None, rule
        assert re.search(rf"\s{expected:,} of ".replace(",", "."), article[0]), f"{expected} {rule}"
    refused = total(chain, interval, "refused")
    assert (f"<p>{refused} rows in this run's windows could not be bars" in html) == (refused > 1)


@every_interval
def test_the_report_names_who_misses_sessions(connection, chain, interval):
    """MPC's and VRG's are the longest lists of the real files."""
    html = run_report(connection, chain.runs[interval].run_id)
    rule = "sessions_complete" if interval == "1d" else "sessions_covered"
    table = html.partition(f" by {rule}</h3>")[2].partition("</table>")[0]
    listed = re.findall(r'<th scope="row"[^>]*>(\w+)</th><td class="n"[^>]*>(\d+)</td>', table)
    files = chain.counted[interval].items()
    assert {ticker: int(count) for ticker, count in listed} == {
        ticker: len(file.missing) for ticker, file in files if file.missing
    }


def total(chain: Chain, interval: str, name: str, *without: str) -> int:
    """How many defects of a kind the files of an interval have."""
    files = chain.counted[interval].items()
    return sum(len(getattr(file, name)) for ticker, file in files if ticker not in without)


def _instant(written: str) -> datetime:
    return datetime.fromisoformat(f"{written}+00:00" if len(written) > 10 else f"{written}T00:00+00:00")


def test_the_real_files_are_known_for_these(chain, shared_data):
    """The counts a person has seen, so that a broken count does not pass for a clean file."""
    days, hours = chain.counted["1d"], chain.counted["1h"]
    assert {t: len(file.refused) for t, file in days.items() if file.refused and not t.startswith("MADE")} == {
        "MPC": 1, "VRG": 39,
    }  # fmt: skip
    assert {t: len(file.flagged) for t, file in days.items() if file.flagged and not t.startswith("MADE")} == {
        "MPC": 5, "VNINDEX": 8, "VRG": 5,
    }  # fmt: skip
    assert (len(days["MPC"].missing), len(days["ACB"].missing), len(hours["VRG"].missing)) == (640, 5, 4)
    assert (len(days["MPC"].untraded), len(days["VRG"].untraded)) == (28, 549)
    assert (len(days["MPC"].jumps), len(days["VRG"].jumps)) == (2, 24)


@pytest.mark.parametrize(
    ("ticker", "interval", "name", "count"),
    [
        ("MADEORDER", "1d", "refused", 8),
        ("MADEORDER", "1d", "flagged", 1),
        ("MADEHOLES", "1d", "missing", 4),
        ("MADEHOLES", "1h", "missing", 4),
        ("MADEZERO", "1d", "untraded", 15),
        ("MADEJUMPS", "1d", "jumps", 3),
        ("MADETWICE", "1d", "repeated", 1),
    ],
)
def test_the_made_up_files_have_what_they_are_named_after(chain, ticker, interval, name, count):
    assert len(getattr(chain.counted[interval][ticker], name)) == count
    sound = chain.counted[interval]["MADESOUND"]
    assert (sound.good, sound.missing, sound.untraded, sound.jumps) == (sound.rows, [], [], [])
