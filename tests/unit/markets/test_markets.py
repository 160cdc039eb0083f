"""The registry, the markets' promises, and their ticker files."""

from __future__ import annotations

import ast
import csv
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from croniter import croniter

from hypertape import calendars, markets
from hypertape.errors import UnknownMarket
from hypertape.frame import instant
from hypertape.markets import all_markets, forget_markets, get_market, misspelled
from hypertape.model import STORED_INTERVALS, Interval, Market, Window, utc

REPOSITORY = Path(__file__).resolve().parents[3]
KINDS = {"stock", "index", "etf", "crypto"}
EVERY = [pytest.param(market, id=code) for code, market in all_markets().items()]


def test_the_registry_is_in_the_order_of_the_codes_and_named_by_its_modules() -> None:
    assert list(all_markets()) == ["crypto", "us", "vn"]
    assert get_market("vn").table == "market_data"


def test_an_unknown_market_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(UnknownMarket, match=r"There is no market 'VN'. Markets: crypto, us, vn\."):
        get_market("VN")


def test_tables_of_markets_do_not_meet() -> None:
    relations = [market.relation(interval) for market in all_markets().values() for interval in Interval]
    assert len(set(relations)) == len(relations)


@pytest.mark.parametrize("market", EVERY)
def test_a_market_says_everything_for_each_stored_interval(market: Market) -> None:
    assert set(market.history_start) == set(STORED_INTERVALS) == set(market.schedule)
    assert market.sources
    assert 0 < market.daily_move_limit < 1
    assert market.tickers
    assert calendars.sessions(market, market.history_start[Interval.D1], market.history_start[Interval.H1])


@pytest.mark.parametrize("market", EVERY)
def test_ticker_lines_are_whole_and_unique(market: Market) -> None:
    repeated = [ticker for ticker, count in Counter(e.ticker for e in market.tickers).items() if count > 1]
    assert repeated == []
    for entry in market.tickers:
        assert entry.kind in KINDS, entry
        assert entry.name == entry.name.strip() != "", entry
        assert entry.group == entry.group.upper().strip() != "", entry
        assert entry.ticker == entry.ticker.upper().strip(), entry
        assert not set(entry.ticker) & set('/\\:*?"<>|. '), f"{entry} cannot name a directory"


@pytest.mark.parametrize("market", EVERY)
def test_ticker_files_have_the_columns_and_nothing_else(market: Market) -> None:
    path = Path(markets.__file__).parent / "tickers" / f"{market.code}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    assert rows[0] == ["ticker", "name", "group", "kind"]
    assert {len(row) for row in rows} == {4}
    assert len(rows) == len(market.tickers) + 1


@pytest.mark.parametrize("market", EVERY)
def test_names_for_yahoo_belong_to_listed_tickers(market: Market) -> None:
    assert set(market.symbols.get("yahoo", {})) <= set(market.by_ticker)
    symbols = [market.symbol_at("yahoo", entry.ticker) for entry in market.tickers]
    assert len(set(symbols)) == len(symbols)


@pytest.mark.parametrize(
    ("code", "ticker", "symbol", "reason"),
    [
        ("vn", "FPT", "FPT.VN", "Yahoo's suffix for Vietnam"),
        ("vn", "VNINDEX", "^VNINDEX.VN", "an index has a caret"),
        ("crypto", "BTC", "BTC-USD", "quoted in dollars"),
        ("crypto", "SUI", "SUI20947-USD", "SUI-USD is another coin"),
        ("us", "AAPL", "AAPL", "as it is"),
    ],
)
def test_yahoo_symbol(code: str, ticker: str, symbol: str, reason: str) -> None:
    assert get_market(code).symbol_at("yahoo", ticker) == symbol, reason


def test_vietnam_has_27_sectors_the_real_files_tickers_and_its_indices() -> None:
    vn = get_market("vn")
    sectors = {entry.group for entry in vn.tickers if entry.kind == "stock"}
    assert len(sectors) == 27
    assert {"NGAN_HANG", "CHUNG_KHOAN", "BAT_DONG_SAN"} <= sectors
    assert set(vn.groups) - sectors == {"INDEX", "ETF"}
    real_files = ["ACB", "FPT", "HPG", "MPC", "MWG", "SSI", "TCB", "VCB", "VIC", "VNINDEX", "VNM", "VRG"]
    assert set(real_files) <= set(vn.by_ticker)
    indices = {entry.ticker for entry in vn.tickers if entry.kind == "index"}
    assert {"VNINDEX", "VN30", "HNX30", "VN100"} <= indices
    assert {entry.group for entry in vn.tickers if entry.kind == "index"} == {"INDEX"}


def test_indices_are_told_from_the_stocks_whose_legacy_prices_are_in_thousands() -> None:
    vn = get_market("vn")
    assert vn.is_index("VNINDEX")
    assert not vn.is_index("VNM")
    assert not vn.is_index("NEVER_LISTED")


def test_crypto_has_a_hundred_coins_in_one_group() -> None:
    crypto = get_market("crypto")
    assert len(crypto.tickers) == 100
    assert crypto.groups == ("CRYPTO_TOP_100",)
    assert {entry.kind for entry in crypto.tickers} == {"crypto"}


def test_the_us_has_the_thirty_dow_stocks() -> None:
    dow = {entry.ticker for entry in get_market("us").tickers if entry.group == "DOW_30"}
    assert len(dow) == 30
    assert {"NVDA", "SHW"} <= dow
    assert not {"INTC", "DOW"} & dow


@pytest.mark.parametrize("market", EVERY)
@pytest.mark.parametrize("interval", STORED_INTERVALS)
def test_a_run_is_scheduled_soon_after_each_bar_is_final(market: Market, interval: Interval) -> None:
    patience = timedelta(hours=2) if interval is Interval.D1 else timedelta(hours=1)
    for friday in (utc(2025, 1, 17), utc(2025, 7, 18)):  # winter and summer time
        times = calendars.expected_times(market, interval, Window(friday, friday + timedelta(days=1)))
        for end in {instant(end) for end in calendars.bar_ends(market, interval, times)}:
            run = croniter(market.schedule[interval], end - timedelta(seconds=1)).get_next(type(end))
            assert run - end <= patience, f"the bar final at {end} waits until {run}"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A directory whose modules are markets too, for the length of a test."""
    monkeypatch.setattr(markets, "__path__", [*markets.__path__, str(tmp_path)])
    forget_markets()
    yield tmp_path
    forget_markets()


NEW_MARKET = """
from datetime import date
from hypertape.model import Interval, Market

MARKET = Market(
    code="jp", table="jp_data", title="Japanese stocks", timezone="Asia/Tokyo", calendar="XTKS",
    price_unit="JPY", sources=("yahoo",), history_start={Interval.D1: date(2000, 1, 4)},
    schedule={Interval.D1: "0 7 * * 1-5"}, daily_move_limit=0.5, suffixes={"yahoo": ".T"},
)
"""


def test_a_market_is_added_by_one_module_and_one_ticker_file(registry: Path) -> None:
    (registry / "jp.py").write_text(NEW_MARKET, encoding="utf-8")
    (registry / "tickers").mkdir()
    (registry / "tickers/jp.csv").write_text(
        "ticker,name,group,kind\n7203,Toyota,TOPIX_CORE_30,stock\n", encoding="utf-8"
    )
    assert list(all_markets()) == ["crypto", "jp", "us", "vn"]
    jp = get_market("jp")
    assert (jp.relation(Interval.D1), jp.groups, jp.symbol_at("yahoo", "7203")) == (
        "jp_data_1d",
        ("TOPIX_CORE_30",),
        "7203.T",
    )
    assert calendars.is_open(jp, utc(2025, 8, 25, 1))


def test_no_other_module_lists_the_markets() -> None:
    names = {*all_markets(), *(market.table for market in all_markets().values())}
    code = [*(REPOSITORY / "include/hypertape").rglob("*.py"), *(REPOSITORY / "dags").rglob("*.py")]
    elsewhere = [path for path in code if path.parent != Path(markets.__file__).parent]
    assert len(elsewhere) > 10
    lists = [
        f"{path.relative_to(REPOSITORY)}:{line}"
        for path in elsewhere
        for line, texts in literal_collections(path)
        if len(names & texts) > 1
    ]
    assert lists == []


def literal_collections(path: Path) -> Iterator[tuple[int, set[object]]]:
    """Line and own constants of every list, tuple, set, dict (its keys), `a or b` and match in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            parts = [*node.elts]
        elif isinstance(node, ast.Dict):
            parts = [*node.keys]
        elif isinstance(node, ast.BoolOp):
            parts = [
                leaf for side in node.values if isinstance(side, ast.Compare) for leaf in side.comparators
            ]
        elif isinstance(node, ast.Match):
            parts = [case.pattern.value for case in node.cases if isinstance(case.pattern, ast.MatchValue)]
        if parts:
            yield node.lineno, {part.value for part in parts if isinstance(part, ast.Constant)}


@pytest.mark.parametrize(
    "text",
    [
        'MARKETS = ("vn", "crypto")',
        'TABLES = {"vn": "market_data", "us": "us_data"}',
        'if code == "vn" or code == "us": pass',
        'match code:\n    case "vn": pass\n    case "us": pass',
    ],
)
def test_a_list_of_markets_would_be_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "module.py").write_text(text, encoding="utf-8")
    assert any({"vn"} < constants for _, constants in literal_collections(tmp_path / "module.py"))


def test_a_name_in_other_letters_than_a_ticker_is_misspelled() -> None:
    us = get_market("us")
    assert misspelled(us, ["aapl", "AAPL", "Msft", "NEW", "new", "nobody"]) == {
        "aapl": "AAPL", "Msft": "MSFT", "new": "NEW",
    }  # fmt: skip
    assert misspelled(us, ["held", "HELD", "Own"], known=["held", "OWN"]) == {"Own": "OWN"}
    assert misspelled(us, []) == {}
