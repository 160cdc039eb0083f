"""An action that its vendor moved or took back counts no longer: it is marked, told of, and may come back."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from lab import US, query, value
from typer.testing import CliRunner

from hypertape.calendars import sessions
from hypertape.cli import app
from hypertape.model import midnight
from hypertape.settings import Settings
from hypertape.steps.actions import finish, plan_actions, sync_actions
from hypertape.steps.sync import sync
from hypertape.warehouse.actions import adjusted, list_actions
from hypertape.warehouse.connect import connect
from yahoo_replay import Stock, YahooReplay, chart_error

DAYS = [session.date for session in sessions(US, date(2025, 1, 2), date(2025, 3, 1))]
EX, MOVED = DAYS[20], DAYS[21]
NOW = midnight(DAYS[-1]) + timedelta(hours=23)


def opening(day):
    return midnight(day) + timedelta(hours=14, minutes=30)


def stock(dividends=(), splits=(), days=DAYS):
    """A flat series of 46.25 a share, stated with these actions."""
    bars = [(opening(day), 46.0, 47.0, 45.0, 46.25, 46.25, 1000 + at) for at, day in enumerate(days)]
    return Stock(
        "America/New_York", bars, dividends={opening(day): amount for day, amount in dividends},
        splits={opening(day): ratio for day, ratio in splits},
    )  # fmt: skip


@pytest.fixture
def vendor(new_warehouse, tmp_path, monkeypatch):
    """The warehouse, the replay server, and a run of `actions sync` at an hour: its counts."""
    monkeypatch.setenv("HYPERTAPE_SOURCE_RATES", "yahoo=0")
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path))
    monkeypatch.setattr("hypertape.sources.yahoo.Yahoo.attempts", 1, raising=False)
    replay, settings = YahooReplay(), Settings(state_dir=tmp_path)
    source = {"name": "yahoo", "endpoint": replay.url}
    with new_warehouse() as dsn, connect(dsn, autocommit=True) as connection:
        monkeypatch.setenv("HYPERTAPE_DATABASE_URL", dsn)

        def run(run_id, **others):
            wished = {"tickers": ["AAPL"], "source": source, "start": midnight(DAYS[0]), **others}
            batches = plan_actions(dsn, "us", run_id=run_id, now=NOW, settings=settings, **wished)
            synced = [sync_actions(dsn, batch, now=NOW, settings=settings) for batch in batches]
            return finish(dsn, synced, run_id=run_id, now=NOW).counts

        def load(day=DAYS[-1]):
            now = midnight(day) + timedelta(hours=23)
            return sync(
                dsn, "us", "1d", now=now, tickers=["AAPL"], source=source, settings=settings, check=False,
                start=midnight(DAYS[0]),
            )  # fmt: skip

        yield connection, replay, run, load
    replay.stop()


def first_factor(connection):
    return float(adjusted(connection, US, "AAPL").factor[0])


def state(connection):
    rows = query(connection, "select time::date, withdrawn_run from dividends order by time")
    return dict(rows)


def test_a_moved_dividend_counts_once(vendor):
    connection, replay, run, load = vendor
    replay.stocks["AAPL"] = stock([(EX, 5.0)])
    load()
    assert first_factor(connection) == pytest.approx(1 - 5 / 46.25)
    replay.stocks["AAPL"] = stock([(MOVED, 5.0)])
    done = run("moved")
    assert (done["dividends_new"], done["dividends_withdrawn"]) == (1, 1)
    assert state(connection) == {EX: "moved", MOVED: None}
    assert first_factor(connection) == pytest.approx(1 - 5 / 46.25)
    ledger = query(
        connection, "select kind, time::date, change, value, source, run_id, changed_at from action_change"
    )
    assert ledger == [("dividend", EX, "withdrawn", 5.0, "yahoo", "moved", NOW)]


def test_a_bar_run_withdraws_too_and_a_later_answer_restores(vendor):
    connection, replay, run, load = vendor
    replay.stocks["AAPL"] = stock([(EX, 5.0)], [(DAYS[10], (2, 1))])
    run("first")
    replay.stocks["AAPL"] = stock()
    load()
    assert first_factor(connection) == 1.0
    assert value(connection, "select count(*) from splits where withdrawn_at is null") == 0
    replay.stocks["AAPL"] = stock([(EX, 5.0)])
    done = run("again")
    assert (done["dividends_restored"], done["dividends_new"], done["splits_restored"]) == (1, 0, 0)
    assert state(connection) == {EX: None}
    changes = query(connection, "select change from action_change where kind = 'dividend' order by change_id")
    assert changes == [("withdrawn",), ("restored",)]
    assert run("once more")["dividends_unchanged"] == 1


def down(_query):
    return chart_error(500, "Internal Server Error", "")


def unknown(_query):
    return chart_error(404, "Not Found", "No data found, symbol may be delisted")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda replay: replay.faults.update(AAPL=down), "the vendor is down"),
        (lambda replay: replay.faults.update(AAPL=unknown), "the vendor forgot the ticker"),
        (lambda replay: replay.stocks.update(AAPL=stock(days=[])), "it has no bars"),
        (lambda replay: replay.stocks.update(AAPL=stock(days=DAYS[:3] + DAYS[-3:])), "it came short"),
        (lambda replay: replay.stocks.update(AAPL=stock(days=DAYS[:20])), "its bars end before the ex-date"),
    ],
)
def test_an_answer_that_is_not_whole_withdraws_nothing(vendor, monkeypatch, spoil, reason):
    from hypertape.sources import _http

    connection, replay, run, load = vendor
    monkeypatch.setattr(_http.VendorClient, "persist", lambda self, call: call())  # waiting is another test's
    replay.stocks["AAPL"] = stock([(EX, 5.0)])
    load()
    spoil(replay)
    assert run("spoilt")["dividends_withdrawn"] == 0, reason
    assert state(connection) == {EX: None}, reason


def test_a_window_and_another_source_withdraw_nothing_of_the_rest(vendor):
    connection, replay, run, load = vendor
    replay.stocks["AAPL"] = stock([(EX, 5.0)])
    load()
    connection.execute("insert into dividends (market, ticker, time, amount, source) values "
                       "('us', 'AAPL', %s, 1.0, 'other'), ('us', 'AAPL', %s, 1.0, null)",
                       (midnight(DAYS[22]), midnight(DAYS[23])))  # fmt: skip
    replay.stocks["AAPL"] = stock()
    assert run("later", start=midnight(DAYS[25]))["dividends_withdrawn"] == 0
    assert run("whole")["dividends_withdrawn"] == 1
    assert state(connection) == {EX: "whole", DAYS[22]: None, DAYS[23]: None}


def test_a_replayed_answer_is_old_and_neither_withdraws_nor_restores(vendor):
    connection, replay, run, _ = vendor
    replay.stocks["AAPL"] = stock([(EX, 5.0)])
    run("old")
    replay.stocks["AAPL"] = stock([(MOVED, 5.0)])
    run("new")
    done = run("replay", source={"replay": "old"})
    assert (done["dividends_withdrawn"], done["dividends_restored"]) == (0, 0)
    assert state(connection) == {EX: "new", MOVED: None}


def test_the_verb_shows_it_and_the_checks_pass_over_it(vendor, monkeypatch):
    connection, replay, run, load = vendor
    replay.stocks["AAPL"] = stock([(EX, 5.0)])
    load()
    replay.stocks["AAPL"] = stock()
    run("gone")
    (row,) = list_actions(connection, US, tickers=["AAPL"])
    assert (row["source"], row["withdrawn_at"], row["withdrawn_run"]) == ("yahoo", NOW, "gone")
    monkeypatch.setenv("COLUMNS", "200")
    listed = CliRunner().invoke(app, ["actions", "list", "-m", "us"]).output
    assert "withdrawn 2025-02-28" in listed
    assert "by gone" in listed
    as_json = CliRunner().invoke(app, ["actions", "list", "-m", "us", "--json"]).output
    assert json.loads(as_json)[0]["withdrawn_run"] == "gone"


def events_of(replay, **events):
    """Let AAPL answer with its bars and these events, as Yahoo words them."""
    from yahoo_replay import _chart_of

    def answer(query):
        chart = _chart_of("AAPL", stock(), query)
        chart["chart"]["result"][0]["events"] = {
            name: {str(n): event for n, event in enumerate(found)} for name, found in events.items()
        }
        return 200, json.dumps(chart)

    replay.faults["AAPL"] = answer


def at_opening(day):
    return int(opening(day).timestamp())


def test_capital_gains_are_kept_adjust_and_are_listed(vendor):
    connection, replay, run, load = vendor
    gain = {"amount": 4.625, "date": at_opening(EX), "currency": "USD"}
    events_of(replay, capitalGains=[gain], dividends=[{"amount": 0.0001, "date": at_opening(MOVED)}])
    load()

    result = run("again")

    assert (result["capital_gains_new"], result["capital_gains_unchanged"]) == (0, 1)
    kinds = {row["kind"]: row["value"] for row in list_actions(connection, US)}
    assert kinds == {"capital_gain": 4.625, "dividend": 0.0001}
    assert first_factor(connection) == pytest.approx(0.9, rel=1e-4)

    events_of(replay)
    assert run("gone")["capital_gains_withdrawn"] == 1
    assert first_factor(connection) == 1.0


def test_a_dividend_in_another_currency_is_refused_told_and_noted_once(vendor, caplog):
    connection, replay, run, load = vendor
    replay.stocks["AAPL"] = stock([(EX, 5.0)])
    load()
    events_of(replay, dividends=[{"amount": 5000.0, "date": at_opening(EX), "currency": "KRW"}])

    first, second = run("once"), run("twice")

    assert (first["actions_refused"], second["actions_refused"]) == (1, 1)
    assert "5000 KRW where prices are in USD" in caplog.text
    assert value(connection, "select count(*) from action_change where change = 'refused'") == 1
    assert state(connection) == {EX: None}, "what the vendor still reports is not withdrawn"
    (refused,) = [row for row in list_actions(connection, US) if row["refused_because"]]
    assert (refused["kind"], refused["value"], refused["source"]) == ("dividend", 5000.0, "yahoo")
    listed = CliRunner().invoke(app, ["actions", "list", "--market", "us"])
    assert listed.exit_code == 0
    assert "not kept" in listed.output
