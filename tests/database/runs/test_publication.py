"""Readers of `published` get what checks have passed, ticker by ticker, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab import CRYPTO, D1, Connection, changed, query, to_frame, value, walk, watermarks

from hypertape.errors import CheckFailed
from hypertape.frame import Bars
from hypertape.model import Window, utc
from hypertape.settings import Settings
from hypertape.steps.after_load import AfterLoad, after_run
from hypertape.steps.run_spec import run_name
from hypertape.warehouse.loading.load import LoadRequest, load_bars

FIVE = ("AAA", "BBB", "CCC", "DDD", "EEE")
BARS = 260
NOW = utc(2024, 6, 1, 12)
START = utc(2023, 9, 1)


class Desk:
    """A warehouse with five series, all published up to yesterday, and the runs that follow."""

    def __init__(self, dsn: str, connection: Connection, root: Path) -> None:
        self.dsn, self.connection, self.settings = dsn, connection, Settings(state_dir=root / "state")
        self.whole = {ticker: walk(BARS, seed=seed, start=START) for seed, ticker in enumerate(FIVE)}
        self.load("yesterday", {ticker: bars.take(slice(0, BARS - 1)) for ticker, bars in self.whole.items()})
        assert self.tail("yesterday").error is None

    def load(self, run_id: str, series: dict[str, Bars]) -> None:
        request = LoadRequest(CRYPTO, D1, run_id, "csv_tree", Window(START, NOW), NOW)
        load_bars(self.connection, to_frame(series), request)

    def tail(self, run_id: str) -> AfterLoad:
        (done,) = after_run(self.dsn, run_id, now=NOW, settings=self.settings)
        return done

    def today(self, run_id: str = "today") -> AfterLoad:
        self.load(run_id, {ticker: bars.take(slice(BARS - 30, BARS)) for ticker, bars in self.whole.items()})
        return self.tail(run_id)

    def rows(self, ticker: str, schema: str = "published", width: str = "1d") -> list[tuple[Any, ...]]:
        return query(
            self.connection,
            f"select * from {schema}.crypto_data_{width} where ticker = %s order by time",
            ticker,
        )


@pytest.fixture
def desk(warehouse: str, connection: Connection, tmp_path: Path) -> Desk:
    return Desk(warehouse, connection, tmp_path)


def plant(connection: Connection, ticker: str) -> None:
    """Whatever is written of a ticker from now on gets a negative low, past the gate."""
    connection.execute(
        "create function spoil() returns trigger language plpgsql as $$ begin new.low = -1; return new; end $$"
    )
    connection.execute(
        "create trigger spoil before insert or update on bars.crypto_data_1d for each row "
        f"when (new.ticker = '{ticker}' and new.time > '2024-05-15') execute function spoil()"
    )


def mend(connection: Connection) -> None:
    connection.execute("drop trigger spoil on bars.crypto_data_1d")


def test_a_defect_holds_the_ticker_that_has_it_and_no_other(desk: Desk) -> None:
    before = {ticker: desk.rows(ticker) for ticker in FIVE}
    weeks = desk.rows("CCC", width="1w")
    marks = watermarks(desk.connection, CRYPTO, D1)
    plant(desk.connection, "CCC")

    done = desk.today()

    assert isinstance(done.error, CheckFailed)
    assert set(done.published.series.held) == {"CCC"}
    assert "prices_positive" in done.published.series.held["CCC"]
    assert desk.rows("CCC") == before["CCC"]
    assert desk.rows("CCC", width="1w") == weeks
    for ticker in set(FIVE) - {"CCC"}:
        assert desk.rows(ticker) == desk.rows(ticker, "public")
        assert len(desk.rows(ticker)) == BARS
    assert desk.rows("CCC", "public")[-1][4] == -1
    assert value(desk.connection, "select held_by from published where ticker = 'CCC'")
    assert done.published.series.sessions == ()

    mend(desk.connection)
    again = desk.today("mended")

    assert again.error is None
    assert again.published.series.held == {}
    assert desk.rows("CCC") == desk.rows("CCC", "public")
    assert desk.rows("CCC", width="1w") == desk.rows("CCC", "public", "1w")
    assert value(desk.connection, "select count(*) from published where held_at is not null") == 0
    assert watermarks(desk.connection, CRYPTO, D1).keys() == marks.keys()
    assert len(again.published.series.sessions) >= 1


def test_a_run_over_another_ticker_does_not_publish_a_held_one(desk: Desk) -> None:
    plant(desk.connection, "CCC")
    desk.today()
    before = desk.rows("CCC")
    desk.load("others", {"AAA": desk.whole["AAA"]})
    desk.tail("others")
    assert desk.rows("CCC") == before


def test_a_restatement_in_progress_is_invisible_and_then_whole(desk: Desk) -> None:
    bars = desk.whole["BBB"]
    halved = changed(
        bars, slice(0, BARS), **{name: lambda was: was / 2 for name in ("open", "high", "low", "close")}
    )
    before = desk.rows("BBB")

    desk.load("restate", {"BBB": halved.take(slice(0, 100))})
    assert desk.rows("BBB") == before
    done = desk.today()  # meanwhile the ordinary run brings the new bar, and checks what it sees
    assert done.published.series.waiting == {"BBB": "restate"}
    assert desk.rows("BBB") == before
    assert len(desk.rows("AAA")) == BARS

    desk.load("restate", {"BBB": halved.take(slice(100, BARS))})
    assert desk.rows("BBB") == before
    assert desk.tail("restate").error is None
    assert desk.rows("BBB") == desk.rows("BBB", "public")
    assert [row[5] for row in desk.rows("BBB")] == list(halved.close)


def test_what_nobody_checked_is_checked_by_the_next_run_before_it_is_published(desk: Desk) -> None:
    """A run died after loading, long ago; what it left lies outside the window of the next one."""
    desk.connection.execute(
        "create function spoil() returns trigger language plpgsql as $$ begin new.low = -1; return new; end $$"
    )
    desk.connection.execute(
        "create trigger spoil before update on bars.crypto_data_1d for each row "
        "when (new.ticker = 'DDD' and new.close <> old.close) execute function spoil()"
    )
    bars = desk.whole["DDD"]
    desk.load("died", {"DDD": changed(bars, 5, close=lambda was: was * 1.0001).take(slice(0, 10))})
    desk.connection.execute("update load set loaded_at = loaded_at - interval '1 day' where run_id = 'died'")
    desk.connection.execute("update published set known_at = known_at - interval '2 days'")
    desk.connection.execute(
        "update load set loaded_at = loaded_at - interval '3 days' where run_id = 'yesterday'"
    )
    before = desk.rows("DDD")

    request = LoadRequest(CRYPTO, D1, "today", "csv_tree", Window(utc(2024, 5, 1), NOW), NOW)
    load_bars(desk.connection, to_frame({"DDD": bars.take(slice(BARS - 5, BARS))}), request)
    done = desk.tail("today")

    assert set(done.published.series.held) == {"DDD"}
    assert desk.rows("DDD") == before


@pytest.mark.parametrize("checks", [True, False], ids=["may still check", "checks nothing"])
def test_a_run_that_checks_nothing_is_in_nobodys_way(desk: Desk, checks: bool) -> None:
    """What it loaded a moment ago is checked and published by the next run; one that may still check is waited for."""
    run_id = run_name("sync", "1", check=checks)
    desk.load(run_id, {ticker: bars.take(slice(BARS - 30, BARS)) for ticker, bars in desk.whole.items()})
    done = desk.today("next").published.series
    assert set(done.waiting if checks else done.published) == {*FIVE}
    assert (desk.rows("AAA") != desk.rows("AAA", "public")) is checks


def test_everything_that_passed_its_checks_is_published(desk: Desk) -> None:
    desk.today()
    for width in ("1d", "1w", "2w", "1mo"):
        for ticker in FIVE:
            assert desk.rows(ticker, width=width) == desk.rows(ticker, "public", width)
    assert query(
        desk.connection, "select * from bars_published('crypto', '1d', array['AAA'], '2024-01-01') order by 2"
    ) == [row[:13] for row in desk.rows("AAA") if row[1] >= utc(2024)]
    with pytest.raises(Exception, match="there is no market"):
        query(desk.connection, "select * from bars_published('mars', '1d')")
