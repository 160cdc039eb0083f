"""`hypertape symbols`: lists of a vendor day by day, through the verbs; what is gone stays and excuses its gaps."""

from __future__ import annotations

import json

import pytest
from lab import D1, VN, put, query, value, walk

from hypertape.model import Window, utc
from hypertape.sources._vci_listing import PATH
from hypertape.warehouse.gaps.ledger import note_gaps
from hypertape.warehouse.ledger import register_symbols
from replay_server import Answer, ReplayServer


class Board(ReplayServer):
    """VCI's list of symbols, as the test says it is today."""

    def __init__(self):
        self.today = {}
        super().__init__()

    def answer(self, path, query, body):
        if path != PATH:
            return Answer(404, "")
        rows = [
            {"symbol": symbol, "board": board, "type": "STOCK", "organName": name}
            for symbol, (board, name) in self.today.items()
        ]
        return Answer(200, json.dumps(rows))


@pytest.fixture
def board(monkeypatch):
    server = Board()
    monkeypatch.setenv("HYPERTAPE_SOURCE_ENDPOINTS", f"vci={server.url}")
    monkeypatch.setenv("HYPERTAPE_SOURCE_RATES", "vci=0")
    server.today = {"VIC": ("HSX", "Vingroup"), "AAA": ("HSX", "An Phat"), "OLD": ("DELISTED", "Old")}
    server.today |= {f"T{n:02d}": ("UPCOM", f"Company {n}") for n in range(20)}
    yield server
    server.stop()


@pytest.fixture
def follow(command_line, board):
    """`symbols sync -m vn`; returns the one answer."""

    def call(*more):
        code, out, err = command_line("symbols", "sync", "-m", "vn", "--json", *more)
        assert code == 0, err
        (found,) = json.loads(out)
        return found

    return call


def history(command_line, *more):
    code, out, _ = command_line("symbols", "list", "--history", "--json", *more)
    assert code == 0
    return {(row["event"], row["ticker"], row["former"], row["present"]) for row in json.loads(out)}


def test_the_first_list_changes_nothing_and_tells_what_is_not_in_it(follow, command_line):
    found = follow()
    assert (found["first"], found["events"], found["listed"], found["delisted"]) == (True, [], 22, 1)
    assert "VCB" in found["missing"], "of the market's file, and this list does not have it"
    assert "VNINDEX" not in found["missing"], "the list has no indices"
    assert found["unknown"] > 0
    assert history(command_line) == set()


def test_new_renamed_gone_and_back_are_told_once_and_kept(follow, board, command_line, connection):
    follow()
    del board.today["AAA"], board.today["T00"], board.today["T01"]
    board.today |= {"APH": ("HSX", "An Phat"), "NEW": ("HSX", "New"), "VIC": ("HNX", "Vingroup")}
    events = {(e["event"], e["ticker"]) for e in follow()["events"]}
    assert events == {
        ("renamed", "APH"), ("delisted", "T00"), ("delisted", "T01"), ("listed", "NEW"), ("other exchange", "VIC"),
    }  # fmt: skip
    assert follow()["events"] == [], "told once"
    board.today["T01"] = ("UPCOM", "Company 1")
    assert [(e["event"], e["ticker"]) for e in follow()["events"]] == [("relisted", "T01")]
    assert history(command_line) == {
        ("renamed", "APH", "AAA", "APH"), ("delisted", "T00", None, None), ("delisted", "T01", None, None),
        ("listed", "NEW", None, None), ("other exchange", "VIC", "HSX", "HNX"), ("relisted", "T01", None, None),
    }  # fmt: skip
    assert ("renamed", "APH", "AAA", "APH") in history(command_line, "--tickers", "AAA"), (
        "found by its old name"
    )
    kept = query(
        connection,
        "select ticker, delisted_at is not null, became from listing where delisted_at is not null",
    )
    assert set(kept) == {("OLD", True, None), ("AAA", True, "APH"), ("T00", True, None)}
    assert value(connection, "select count(*) from listing") == 25, "nothing is removed"


def test_a_list_that_lacks_too_much_is_not_believed(follow, board, command_line, connection):
    follow()
    whole = dict(board.today)
    board.today = {name: whole[name] for name in ("VIC", "AAA")}
    code, _, err = command_line("symbols", "sync", "-m", "vn")
    assert code == 1
    assert "lacks 20 of the 22 tickers" in err
    assert "--accept" in err
    assert value(connection, "select count(*) from listing where delisted_at is null") == 22, (
        "nothing was kept"
    )
    assert len(follow("--accept")["events"]) == 20


def test_gaps_after_a_delisting_are_excused_and_the_finding_tells_of_it(
    follow, board, command_line, connection
):
    """Without the list they would be `unknown` or `provider empty` for a month of sessions."""
    follow()
    put(connection, {"AAA": walk(30, start=utc(2025, 3, 3))}, VN)
    register_symbols(connection, VN, ["AAA"])
    connection.execute("update listing set last_seen = '2025-04-10' where ticker = 'AAA'")
    del board.today["AAA"]
    follow()
    window = Window(utc(2025, 3, 3), utc(2025, 4, 19))
    note_gaps(connection, VN, D1, window, utc(2025, 4, 19), "look", tickers=["AAA"])
    tail = dict(query(
        connection,
        "select reason, min(start_time) from gap where ticker = 'AAA' and start_time >= '2025-04-02' group by reason",
    ))  # fmt: skip
    assert tail["delisted"] == utc(2025, 4, 10)
    assert min(at for reason, at in tail.items() if reason != "delisted") < utc(2025, 4, 10), (
        "before, it was listed"
    )
    _, out, _ = command_line("findings", "list", "--json")
    (found,) = [row for row in json.loads(out) if row["kind"] == "listing"]
    assert "AAA" in found["title"]
    board.today["AAA"] = ("HSX", "An Phat")
    follow()
    _, out, _ = command_line("findings", "list", "--json")
    assert [row for row in json.loads(out) if row["kind"] == "listing"] == [], "it is over when it is back"
    note_gaps(connection, VN, D1, window, utc(2025, 4, 19), "look-again", tickers=["AAA"])
    assert value(connection, "select count(*) from gap where ticker = 'AAA' and reason = 'delisted'") == 0


def test_a_market_without_a_list_says_so(command_line, board):
    code, _, err = command_line("symbols", "sync", "-m", "us")
    assert (code, "No source of us publishes a list of symbols: yahoo" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("symbols", "list", "--state", "gone"), 2, "Valid: listed, delisted"),
        (("symbols", "list", "--since", "2025-01-01"), 2, "--history"),
        (("symbols", "sync", "-m", "mars"), 2, "vn"),
    ],
)
def test_odd_words_are_refused(command_line, words, code, told):
    found, _, err = command_line(*words)
    assert (found, told in err) == (code, True)


def test_nothing_is_an_empty_list(command_line):
    assert command_line("symbols", "list", "--json")[:2] == (0, "[]\n")
    code, out, err = command_line("symbols", "list")
    assert (code, out, "symbols sync" in err) == (0, "", True)
