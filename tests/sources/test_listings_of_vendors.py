"""Lists of symbols through the real clients, against replay servers: what is read, and every way they fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from binance_replay import BinanceReplay

from hypertape.errors import BadInput, RateLimited, SourceSchemaChanged, SourceUnavailable
from hypertape.markets import all_markets, get_market
from hypertape.settings import Settings
from hypertape.sources import Listed, SourceConfig, has_listing, listing_of, open_source, source_names
from hypertape.sources._vci_listing import PATH
from hypertape.sources.ccxt import Ccxt
from hypertape.sources.vci import Vci
from replay_server import Answer, ReplayServer

VN, CRYPTO, US = (get_market(code) for code in ("vn", "crypto", "us"))


def row(symbol: Any, board: str = "HSX", kind: str = "STOCK", name: str | None = None) -> dict[str, Any]:
    """A row as VCI writes it."""
    return {
        "id": 4711, "symbol": symbol, "board": board, "type": kind, "enOrganName": "in English",
        "enOrganShortName": None, "organShortName": symbol, "organName": name, "product_grp_id": "STO",
    }  # fmt: skip


class Board(ReplayServer):
    """Answers VCI's list."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        super().__init__()

    def answer(self, path: str, query: dict[str, str], body: str) -> Answer:
        if path != PATH:
            return Answer(404, "no such page")
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def board() -> Iterator[Board]:
    server = Board()
    yield server
    server.stop()


@pytest.fixture
def binance() -> Iterator[BinanceReplay]:
    server = BinanceReplay()
    yield server
    server.stop()


def vci(board: Board, naps: Callable[[float], None] = lambda seconds: None) -> Vci:
    return Vci(endpoint=board.url, sleep=naps)


def test_vci_lists_stocks_and_funds_and_counts_the_rest(board: Board) -> None:
    rows = [
        row("VIC", name="Tập đoàn Vingroup"), row("SHS", "HNX"), row("OLD", "DELISTED"), row("E1VFVN30", kind="ETF"),
        row("VN30F1M", kind="FU"), row("CVIC2501", kind="CW"), row("CVIC2502", kind="CW"), row(None), row(" "), "odd",
    ]  # fmt: skip
    board.answers = [Answer(200, json.dumps(rows))]
    found = listing_of(vci(board), VN)
    assert found.tickers == (
        Listed("E1VFVN30", "in English", "etf", "HSX"),
        Listed("OLD", "in English", "stock", None, True),
        Listed("SHS", "in English", "stock", "HNX"),
        Listed("VIC", "Tập đoàn Vingroup", "stock", "HSX"),
    )
    assert found.kinds == ("stock", "etf"), "it has no indices, so that a missing one says nothing"
    assert found.others == {"FU": 1, "CW": 2, "unreadable": 3}
    assert len(found.tickers) + sum(found.others.values()) == len(rows)
    assert [path for path, _, _ in board.asked] == [PATH]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(Answer(200, "[]"), SourceSchemaChanged, id="an empty list delists nobody"),
        pytest.param(Answer(200, '{"data": []}'), SourceSchemaChanged, id="another shape"),
        pytest.param(
            Answer(200, json.dumps([row("X", kind="BOND")])), SourceSchemaChanged, id="no stock in it"
        ),
        pytest.param(Answer(200, "<html>"), SourceUnavailable, id="a page"),
        pytest.param(Answer(200, '[{"symbol": "VI'), SourceUnavailable, id="cut short"),
        pytest.param(Answer(404, "<html>"), SourceUnavailable, id="404 with a page"),
        pytest.param(Answer(503, ""), SourceUnavailable, id="away"),
        pytest.param(Answer(200, None), SourceUnavailable, id="hung up"),
        pytest.param(Answer(429, "", {"Retry-After": "500"}), RateLimited, id="asked to wait for long"),
    ],
)
def test_what_is_no_list_is_an_error(board: Board, answer: Answer, error: type[Exception]) -> None:
    board.answers = [answer]
    with pytest.raises(error):
        listing_of(vci(board), VN)


def test_a_list_is_asked_for_again_while_the_error_may_pass(board: Board) -> None:
    naps: list[float] = []
    board.answers = [
        Answer(502, ""),
        Answer(429, "", {"Retry-After": "2"}),
        Answer(200, json.dumps([row("VIC")])),
    ]
    assert [each.ticker for each in listing_of(vci(board, naps.append), VN).tickers] == ["VIC"]
    assert len(naps) == 2
    assert naps[1] >= 2


def test_vci_has_no_list_of_another_market(board: Board) -> None:
    with pytest.raises(BadInput, match="Vietnamese"):
        listing_of(vci(board), US)
    assert board.asked == []


def test_an_exchange_lists_coins_that_trade_for_dollars(binance: BinanceReplay) -> None:
    binance.pairs = [("BTC", "USDT"), ("BTC", "EUR"), ("ETH", "USDC"), ("DOGE", "BTC")]
    found = listing_of(Ccxt(endpoint=binance.url, sleep=lambda seconds: None), CRYPTO)
    assert found.tickers == (
        Listed("BTC", None, "crypto", "binance"),
        Listed("ETH", None, "crypto", "binance"),
    )
    assert found.others == {"pairs against others": 2}


def test_a_coin_of_which_every_pair_rests_is_delisted(
    binance: BinanceReplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    import binance_replay

    listed = binance_replay._pair

    def pair(base: str, quote: str) -> dict[str, Any]:
        resting = (base, quote) in {("LUNA", "USDT"), ("BTC", "USDC")}
        return listed(base, quote) | ({"status": "BREAK"} if resting else {})

    monkeypatch.setattr(binance_replay, "_pair", pair)
    binance.pairs = [("BTC", "USDT"), ("BTC", "USDC"), ("LUNA", "USDT")]
    found = listing_of(Ccxt(endpoint=binance.url, sleep=lambda seconds: None), CRYPTO)
    assert {each.ticker: each.delisted for each in found.tickers} == {"BTC": False, "LUNA": True}


def test_an_exchange_without_a_coin_for_dollars_is_no_list(binance: BinanceReplay) -> None:
    binance.pairs = [("DOGE", "BTC")]
    with pytest.raises(SourceSchemaChanged):
        listing_of(Ccxt(endpoint=binance.url, sleep=lambda seconds: None), CRYPTO)


def test_a_tree_lists_its_directories(tmp_path: Any) -> None:
    for name, file in (("VIC", "1D.csv"), ("VCB", "1m.csv"), ("EMPTY", "notes.txt")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("ticker,time,open,high,low,close,volume\n")
    tree = open_source(SourceConfig("csv_tree", str(tmp_path)), Settings())
    assert [each.ticker for each in listing_of(tree, VN).tickers] == ["VCB", "VIC"]


def test_the_sample_lists_its_own() -> None:
    sample = open_source(SourceConfig("sample"), Settings())
    for market in all_markets().values():
        assert all(each.ticker.startswith("SYN") for each in listing_of(sample, market).tickers)
    assert listing_of(sample, VN).tickers


def test_who_publishes_a_list() -> None:
    lists = {name for name in source_names() if has_listing(open_source(_config(name), Settings()))}
    assert lists == {"vci", "ccxt", "csv_tree", "sample"}
    with pytest.raises(BadInput, match="yahoo publishes no list"):
        listing_of(open_source(SourceConfig("yahoo"), Settings()), US)


def _config(name: str) -> SourceConfig:
    return SourceConfig(name, "." if name == "csv_tree" else None)
