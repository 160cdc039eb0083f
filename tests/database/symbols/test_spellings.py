"""What vendors call a ticker is data: a rename leaves a vendor that keeps the old name asked by it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from hypertape.calendars import expected_times
from hypertape.errors import BadInput, UnknownSource, UnknownTicker
from hypertape.frame import instant
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.settings import Settings
from hypertape.sources import Listed, Listing
from hypertape.steps.rename import rename
from hypertape.steps.spelling import spell_from, spelled_as_listed
from hypertape.steps.sync import SyncResult, sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.listings import keep_listing
from hypertape.warehouse.schema import apply
from hypertape.warehouse.symbology import spelled, spellings
from vci_replay import VciReplay

VN, D1 = get_market("vn"), Interval.D1
WINDOW = Window(utc(2025, 6, 2), utc(2025, 6, 14))
BARS = len(expected_times(VN, D1, WINDOW))
NOW, ON, LATER = utc(2025, 6, 20), date(2025, 6, 10), date(2025, 6, 16)


@pytest.fixture
def vendor() -> Iterator[VciReplay]:
    """It knows OLD, and nobody else."""
    server = VciReplay()
    times = [instant(int(at)) for at in expected_times(VN, D1, WINDOW)]
    server.bars["OLD", "ONE_DAY"] = [
        (int(at.timestamp()), 23_500.0, 24_000.0, 23_000.0, 23_800.0 + n, 1000 + n)
        for n, at in enumerate(times)
    ]
    yield server
    server.stop()


@pytest.fixture
def ask(warehouse: str, vendor: VciReplay, tmp_path: Path) -> Callable[..., SyncResult]:
    """Asks the vendor for the window of some tickers, or replays a run."""

    def run(*tickers: str, now: Any = NOW, **source: str) -> SyncResult:
        chosen = source or {"name": "vci", "endpoint": vendor.url}
        return sync(
            warehouse, "vn", "1d", now=now, start=WINDOW.start, end=WINDOW.end, tickers=list(tickers) or None,
            source={"name": "vci", **chosen}, settings=Settings(state_dir=tmp_path), check=False,
        )  # fmt: skip

    return run


def asked(vendor: VciReplay) -> list[str]:
    """The symbols of what was asked since the last look."""
    found = [symbol for request in vendor.requests for symbol in request["symbols"]]
    vendor.asked.clear()
    return found


def test_a_vendor_that_keeps_the_old_name_is_asked_by_it(
    warehouse: str, vendor: VciReplay, ask: Callable[..., SyncResult]
) -> None:
    first = ask("OLD")
    assert first.counts["inserted"] == BARS
    assert asked(vendor) == ["OLD"]
    rename(warehouse, "vn", "OLD", "NEW", ON, run_id="rename", now=NOW, kept_by=["vci"])
    run = ask("NEW")
    assert (run.failed, run.counts["unchanged"], run.counts["inserted"]) == ({}, BARS, 0)
    assert asked(vendor) == ["OLD"]
    vendor.bars["NEW", "ONE_DAY"] = vendor.bars.pop(("OLD", "ONE_DAY"))
    assert "NEW" in ask("NEW").failed
    spell_from(warehouse, "vn", "NEW", "vci", "NEW", LATER)
    asked(vendor)
    assert ask("NEW").counts["unchanged"] == BARS
    assert asked(vendor) == ["NEW"]
    assert ask("NEW", now=utc(2025, 6, 15)).failed, "before that day it is asked by the old one"
    asked(vendor)
    for earlier, tickers in ((first, ["NEW"]), (first, []), (run, ["NEW"])):
        again = ask(*tickers, replay=earlier.run_id)
        assert (again.failed, again.counts["unchanged"]) == ({}, BARS), "a replay asks as it was asked"
    assert asked(vendor) == []


def test_a_list_says_who_keeps_the_name_and_who_gave_it_up(
    warehouse: str, vendor: VciReplay, ask: Callable[..., SyncResult]
) -> None:
    ask("OLD")
    with connect(warehouse) as connection:
        keep_listing(connection, VN, "vci", Listing((Listed("OLD"),), ("stock",)), now=NOW, run_id="list")
        connection.commit()
    rename(warehouse, "vn", "OLD", "NEW", ON, run_id="rename", now=NOW)
    with connect(warehouse) as connection:
        assert spelled(connection, VN, NOW.date()).symbol_at("vci", "NEW") == "OLD"
        both = Listing((Listed("OLD"), Listed("NEW")), ("stock",))
        assert spelled_as_listed(connection, VN, "vci", both, LATER).symbol_at("vci", "NEW") == "OLD"
        gone = Listing((Listed("OLD", delisted=True), Listed("NEW")), ("stock",))
        assert spelled_as_listed(connection, VN, "vci", gone, LATER).symbol_at("vci", "NEW") == "NEW"
        assert spelled(connection, VN, ON).symbol_at("vci", "NEW") == "OLD", "on that day it did"


def test_a_list_takes_back_no_spelling_but_that_of_a_former_name(
    warehouse: str, ask: Callable[..., SyncResult]
) -> None:
    ask("OLD")
    spell_from(warehouse, "vn", "OLD", "vci", "OLD/KRW", ON)  # a pair is in no list of coins
    spell_from(warehouse, "vn", "OLD", "yahoo", "NEXT", date(2030, 1, 1))  # nor what is to come
    with connect(warehouse) as connection:
        before = spellings(connection, "vn", None, ["OLD"])
        for source in ("vci", "yahoo"):
            spelled_as_listed(connection, VN, source, Listing((Listed("OLD"),), ("stock",)), LATER)
        assert spellings(connection, "vn", None, ["OLD"]) == before


def test_a_rename_done_again_leaves_what_was_noted(warehouse: str, ask: Callable[..., SyncResult]) -> None:
    ask("OLD")
    spell_from(warehouse, "vn", "OLD", "vci", "OLD.X", date(2025, 6, 1))
    for _ in range(2):
        rename(warehouse, "vn", "OLD", "NEW", ON, run_id="rename", now=NOW, kept_by=["vci"])
        with connect(warehouse) as connection:
            assert spelled(connection, VN, NOW.date()).symbol_at("vci", "NEW") == "OLD.X"


def test_a_directory_of_the_old_name_is_read(
    warehouse: str, vendor: VciReplay, ask: Callable[..., SyncResult], tmp_path: Path
) -> None:
    ask("OLD")
    (tmp_path / "tree" / "OLD").mkdir(parents=True)
    rows = [f"OLD,{instant(int(at)).date()},1000,2000,1000,2000,3" for at in expected_times(VN, D1, WINDOW)]
    (tmp_path / "tree" / "OLD" / "1D.csv").write_text(
        "\n".join(["ticker,time,open,high,low,close,volume", *rows, "OTHER,2025-06-02,1000,2000,1000,2000,3"])
    )
    rename(warehouse, "vn", "OLD", "NEW", ON, run_id="rename", now=NOW, kept_by=["csv_tree"])
    run = sync(
        warehouse, "vn", "1d", now=NOW, start=WINDOW.start, end=WINDOW.end, tickers=["NEW"],
        source={"name": "csv_tree", "directory": str(tmp_path / "tree")},
        settings=Settings(state_dir=tmp_path), check=False,
    )  # fmt: skip
    assert run.failed == {}
    with connect(warehouse) as connection:
        held = connection.execute("select ticker, rule from quarantine").fetchall()
        assert {ticker for ticker, _ in held} == {"NEW"}


def test_the_markets_file_and_the_ledger_agree(warehouse: str) -> None:
    crypto = get_market("crypto")
    with connect(warehouse, autocommit=True) as connection:
        connection.execute(
            "insert into symbol_alias values ('crypto', 'MATIC', 'hypertape', 'POL', '-infinity', '2025-01-01')"
        )
        apply(connection, [crypto])
        now = {row["ticker"]: row["symbol"] for row in spellings(connection, "crypto", "yahoo", None)}
        assert now["MATIC"] == "POL28321-USD", "the file's name is a former one"
        assert "POL" not in now
        connection.execute(
            "insert into series (market, interval, ticker, first_time, last_time) "
            "values ('crypto', '1d', 'POL', '2025-06-01', '2025-06-02')"
        )
        apply(connection, [crypto])
        now = {row["ticker"]: row["symbol"] for row in spellings(connection, "crypto", "yahoo", None)}
        assert now["POL"] == "POL28321-USD", "another series bears the name by now"
        fewer = {ticker: symbol for ticker, symbol in crypto.symbols["yahoo"].items() if ticker != "SUI"}
        apply(connection, [replace(crypto, symbols={"yahoo": fewer})])
        now = {row["ticker"]: row["symbol"] for row in spellings(connection, "crypto", "yahoo", None)}
        assert "SUI" not in now, "what the file says no more is not so"


def test_spellings_from_the_command_line(
    warehouse: str, hypertape_here: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    assert hypertape_here("symbols", "spellings", "-m", "us", "--json")[:2] == (0, "[]\n")
    for symbol, on in (("FB", "2012-05-18"), ("META", "2022-06-09"), ("FB2", "2022-06-09")):
        code, _, err = hypertape_here(
            "symbols", "spell", "us", "AAPL", symbol, "--source", "yahoo", "--on", on
        )
        assert code == 0, err
    code, out, _ = hypertape_here("symbols", "spellings", "-m", "us", "--json")
    assert [(row["symbol"], row["since"], row["until"]) for row in json.loads(out)] == [
        ("FB", "2012-05-18", "2022-06-09"),
        ("FB2", "2022-06-09", None),
    ]


@pytest.mark.parametrize(
    ("ticker", "vendor", "symbol", "error", "says"),
    [
        ("AAPLE", "yahoo", "X", UnknownTicker, "AAPL"),
        ("AAPL", "yaho", "X", UnknownSource, "yahoo"),
        ("AAPL", "yahoo", "", BadInput, "Printable"),
        ("AAPL", "yahoo", "A\nB", BadInput, "Printable"),
        ("AAPL", "yahoo", " A", BadInput, "Printable"),
        ("AAPL", "yahoo", "A" * 65, BadInput, "64"),
    ],
)
def test_what_cannot_be_spelt_is_told(
    warehouse: str, ticker: str, vendor: str, symbol: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        spell_from(warehouse, "us", ticker, vendor, symbol, ON)
