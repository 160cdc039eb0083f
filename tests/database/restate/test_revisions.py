"""Who changed what in which run: the ledger of revisions, in code and on the command line."""

from __future__ import annotations

import csv
import io
import json

import pytest
from lab import CRYPTO, D1, changed, new_ticker, put, scaled, times, value, walk
from typer.testing import CliRunner

from hypertape.cli import app
from hypertape.warehouse.revisions import restatements, revisions


@pytest.fixture(scope="module")
def changes(new_warehouse):
    """A series whose bar 5 two runs changed, one after the other, and another that a third one halved."""
    from hypertape.warehouse.connect import connect

    one, two = new_ticker("ONE"), new_ticker("TWO")
    bars = walk(20)
    with new_warehouse() as dsn, connect(dsn, autocommit=True) as connection:
        put(connection, {one: bars, two: bars}, run_id="first")
        second = changed(bars, 5, close=lambda close: close * 1.001)
        put(connection, {one: second}, run_id="second", reason="asked for", watch=True)
        third = changed(bars, [5, 6], volume=1.0)
        put(connection, {one: third}, run_id="third", watch=True)
        put(connection, {two: scaled(bars, 0.5)}, run_id="halved", watch=True)
        yield dsn, connection, one, two, bars, second, third


def test_each_change_shows_both_sides_of_it(changes):
    _, connection, one, _, bars, second, third = changes
    found = list(revisions(connection, CRYPTO, D1, tickers=[one]))
    assert [(r["time"], r["run_id"], r["reason"]) for r in found] == [
        (times(bars, [5])[0], "second", "asked for"),
        *((instant, "third", None) for instant in times(bars, [5, 6])),
    ]
    assert [(r["former_close"], r["new_close"]) for r in found] == [
        (bars.close[5], second.close[5]),
        (second.close[5], third.close[5]),
        (bars.close[6], third.close[6]),
    ]
    assert [(r["former_volume"], r["new_volume"]) for r in found][1:] == [
        (second.volume[5], 1.0),
        (bars.volume[6], 1.0),
    ]
    assert [r["new_load"] for r in found][:1] == [found[1]["former_load"]]
    assert found[0]["valid_to"] == found[1]["valid_from"]
    assert found[0]["source"] == "csv_tree"


def test_choosing(changes):
    _, connection, one, two, *_ = changes
    assert len(list(revisions(connection, CRYPTO, D1))) == 23
    assert {r["ticker"] for r in revisions(connection, CRYPTO, D1, run_id="halved")} == {two}
    third = value(connection, "select loaded_at from load where ticker = %s and run_id = 'third'", one)
    assert len(list(revisions(connection, CRYPTO, D1, since=third))) == 22
    assert len(list(revisions(connection, CRYPTO, D1, limit=4))) == 4
    assert [r["ticker"] for r in restatements(connection, market=CRYPTO)] == [two, one]
    assert restatements(connection, state="local") == []


def test_a_value_no_load_left_is_no_obstacle(common):
    ticker, bars = new_ticker("FOREIGN"), walk(3)
    put(common, {ticker: bars})
    common.execute("update bars.crypto_data_1d set load_id = -1 where ticker = %s", (ticker,))
    put(common, {ticker: scaled(bars, 1.5)})
    assert [r["valid_from"] for r in revisions(common, CRYPTO, D1, tickers=[ticker])] == [None] * 3


@pytest.fixture
def run(changes, monkeypatch):
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", changes[0])
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_the_verb_tells_people_scripts_and_spreadsheets(changes, run):
    _, _, one, _, bars, second, _ = changes
    series = ("--market", "crypto", "--interval", "1d", "--ticker", one)
    people = run("revisions", *series)
    assert people.exit_code == 0
    assert "asked for" in people.output
    lines = json.loads(run("revisions", *series, "--json").output)
    assert lines[0]["new_close"] == second.close[5]
    rows = list(csv.DictReader(io.StringIO(run("revisions", *series, "--csv", "--run", "second").output)))
    assert [(row["run_id"], float(row["former_close"])) for row in rows] == [("second", bars.close[5])]


def test_the_verb_for_restatements(changes, run):
    two = changes[3]
    assert two in run("restatements").output
    (row,) = json.loads(run("restatements", "--ticker", two, "--json").output)
    assert {"state": "suspected", "direction": "down", "ratio": 0.5, "bars": 20}.items() <= row.items()
    assert run("restatements", "--state", "local", "--csv").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("revisions", "-m", "crypto", "-i", "1w"), "rolled up from 1d"),
        (("revisions", "-m", "crypto", "-i", "1d", "--json", "--csv"), "exclude each other"),
        (("restatements", "--state", "odd"), "no state 'odd'"),
    ],
    ids=["a rollup", "two forms", "an unknown state"],
)
def test_wrong_questions(run, arguments, message):
    result = run(*arguments)
    assert message in str(result.exception)
