"""A pin reads the same bits for ever, whatever is loaded, or fails and says what is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import CRYPTO, D1, Connection, changed, new_ticker, put, query, value, walk
from test_as_of import random_load
from typer.testing import CliRunner

from hypertape.cli import app
from hypertape.errors import BadInput, PinBroken
from hypertape.warehouse.connect import connect
from hypertape.warehouse.pins import create_pin, drop_pin, lost_of, pinned_bars, pinned_digests, pins
from hypertape.warehouse.read import digests

READ = "select * from bars_pinned(%s, '1d') order by ticker, time"


def test_a_hundred_pins_among_random_loads(common_warehouse: str) -> None:
    random = np.random.default_rng(11)
    tickers = [f"{new_ticker('PI')}{seed}" for seed in range(4)]
    read: dict[str, list[Any]] = {}
    with connect(common_warehouse, autocommit=True) as connection:
        for ticker in tickers:
            put(connection, {ticker: walk(60, seed=int(ticker[-1])).take(slice(0, 5))})
        for number in range(100):
            random_load(connection, tickers, random, f"pins {number}")
            name = f"pin-{tickers[0]}-{number}"
            create_pin(connection, name, CRYPTO, [D1], tickers)
            read[name] = query(connection, READ, name)
        assert len({len(rows) for rows in read.values()}) > 5
        for name, rows in read.items():
            assert query(connection, READ, name) == rows
            assert lost_of(connection, name) == []
            drop_pin(connection, name)
        assert not [pin for pin in pins(connection) if pin.name in read]


LOSSES = [
    ("delete from bars.crypto_data_1d where ticker = 'AAA' and time < '2020-02-01'", "dropped"),
    (
        "update bars.crypto_data_1d set close = low where ticker = 'AAA' and time = '2020-03-01'",
        "written over",
    ),
    (
        "insert into bars.crypto_data_1d select 'AAA', '2019-12-31', open, high, low, close, volume, null, null, null, "
        "null, null, null, null, null, 0 from bars.crypto_data_1d where ticker = 'AAA' and time = '2020-03-01'",
        "added by another program",
    ),
    ("delete from bar_revision where ticker = 'AAA'", "revisions gone"),
]


@pytest.mark.parametrize(("statement", "reason"), LOSSES, ids=[reason for _, reason in LOSSES])
def test_what_is_gone_is_told_and_never_read(connection: Connection, statement: str, reason: str) -> None:
    bars = {"AAA": walk(200), "BBB": walk(200, seed=2)}
    put(connection, bars)
    create_pin(connection, "paper", CRYPTO, [D1])
    put(connection, {"AAA": changed(bars["AAA"], 150, volume=1.0)})
    assert lost_of(connection, "paper") == []
    connection.execute(statement)
    with pytest.raises(PinBroken, match="AAA 1d from 20"):
        pinned_bars(connection, "paper", D1, "AAA")
    assert {lost.ticker for lost in lost_of(connection, "paper")} == {"AAA"}
    assert pinned_bars(connection, "paper", D1, "BBB") is not None, "the other series is whole"


def test_a_pin_is_made_once_and_of_what_there_is(connection: Connection) -> None:
    put(connection, {"AAA": walk(50)})
    made = create_pin(connection, "one", CRYPTO, [D1])
    assert (made.tickers, made.bars, made.intervals) == (("AAA",), 50, ("1d",))
    for name, more, said in (
        ("one", {}, "already"),
        ("no good", {}, "no name"),
        ("two", {"tickers": ["ZZZ"]}, "ZZZ"),
    ):
        with pytest.raises(BadInput, match=said):
            create_pin(connection, name, CRYPTO, [D1], **more)
    with pytest.raises(BadInput, match="There is no pin two"):
        lost_of(connection, "two")
    with pytest.raises(BadInput, match="there is no pin two"):
        pinned_bars(connection, "two", D1, "AAA")
    assert value(connection, "select count(*) from bars_pinned('one', '1d', array['ZZZ'])") == 0


def test_the_verbs(
    connection: Connection, warehouse: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    bars = walk(120)
    put(connection, {"AAA": bars})
    stored = [line.sha256 for line in digests(connection, CRYPTO, D1)]

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [*words])
        assert done.exit_code == 0, done.output
        return done.output

    assert run("pin", "list", "--json") == "[]\n"
    run("pin", "create", "paper", "--market", "crypto", "--intervals", "1d")
    put(
        connection,
        {"AAA": changed(bars, slice(0, 50), close=lambda was: was * 1.001, high=lambda was: was * 1.01)},
    )
    assert '"name": "paper"' in run("pin", "list", "--json")
    assert stored[0] in run("digest", "--market", "crypto", "--interval", "1d", "--pin", "paper")
    assert [line.sha256 for line in pinned_digests(connection, "paper", D1)] == stored
    run("export", "--output", str(tmp_path / "tree"), "--market", "crypto", "--pin", "paper", "--verify")
    run("copy", "pin:paper", f"sqlite:{tmp_path / 'files'}", "--verify")
    assert run("pin", "verify", "paper", "--json") == "[]\n"
    connection.execute("delete from bars.crypto_data_1d where time >= '2020-04-01'")
    assert CliRunner().invoke(app, ["pin", "verify", "paper"]).exit_code != 0
    run("pin", "drop", "paper")
    assert run("pin", "list", "--json") == "[]\n"
