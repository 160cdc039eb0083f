"""A rename: one series goes on under another name, whatever speaks of it, and reads by the old name say so."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from hypertape.errors import BadInput, UnknownTicker
from hypertape.frame import bar_frame, micros
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.reader import Tape
from hypertape.reader.over_dsn import OverDsn
from hypertape.settings import Settings
from hypertape.steps.plan import plan
from hypertape.steps.rename import rename
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import register_symbols
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.pins import create_pin, pinned_bars
from hypertape.warehouse.publication import known_now, publish_series
from hypertape.warehouse.rollups import refresh_pending
from hypertape.warehouse.schema import apply, tier
from hypertape.warehouse.symbology import members

US = get_market("us")
START, ON, NOW = utc(2024, 1, 2), date(2024, 3, 1), utc(2030)
WHOLE = Window(utc(2020), utc(2029))
ALL = "select ticker, time, open, high, low, close, volume, adjusted_close, ma20, close_changed from {} order by 1, 2"
ROLLED = "select ticker, time, open, high, low, close, volume from {} order by 1, 2"
RELATIONS = (
    "us_data_1d",
    "us_data_1w",
    "us_data_1mo",
    "us_data_1h",
    "published.us_data_1d",
    "published.us_data_1w",
)


def bars(ticker: str, interval: Interval, count: int, scale: float = 1.0) -> pa.Table:
    assert interval.delta is not None
    step = interval.delta // timedelta(microseconds=1)
    time = micros(START) + step * pa.array(range(count)).to_numpy()
    close = [scale * (100 + (k * 7) % 13) for k in range(count)]
    values = {"open": close, "high": [c + 1 for c in close], "low": [c - 1 for c in close], "close": close}
    return bar_frame(ticker, time, {**values, "volume": [1000.0 + k for k in range(count)]})


def load(dsn: str, ticker: str, interval: Interval, table: pa.Table, run_id: str) -> None:
    with connect(dsn) as connection:
        load_bars(connection, table, LoadRequest(US, interval, run_id, "lab", WHOLE, NOW))
        register_symbols(connection, US, [ticker])
        connection.commit()
    refresh_pending(dsn, US, interval)


@pytest.fixture
def filled(warehouse: str) -> str:
    """OLD and another ticker, days and hours; OLD was restated once; the first state is published and pinned."""
    for ticker in ("OLD", "OTHER"):
        load(warehouse, ticker, Interval.D1, bars(ticker, Interval.D1, 90), "first")
        load(warehouse, ticker, Interval.H1, bars(ticker, Interval.H1, 400), "first")
    with connect(warehouse) as connection:
        publish_series(connection, US, Interval.D1, "first", ["OLD", "OTHER"], {}, known_now(connection))
        connection.commit()
        create_pin(connection, "then", US)
    load(warehouse, "OLD", Interval.D1, bars("OLD", Interval.D1, 20, 1.5), "second")
    with connect(warehouse, autocommit=True) as connection:
        connection.execute(
            "insert into gap (market, interval, ticker, start_time, end_time, sessions, bars, reason, found_run) "
            "values ('us', '1d', 'OLD', '2024-05-01', '2024-05-02', 1, 1, 'unknown', 'first')"
        )
        if tier(connection) == "timescaledb":
            connection.execute("select compress_chunk(c, true) from show_chunks('bars.us_data_1d') c")
    return warehouse


def rows(connection: psycopg.Connection[Any], relation: str) -> list[Any]:
    wanted = ALL if relation.endswith(("1d", "1h")) else ROLLED
    return connection.execute(wanted.format(relation).encode()).fetchall()


def renamed(found: list[Any]) -> list[Any]:
    return sorted(
        ((("NEW" if row[0] == "OLD" else row[0]), *row[1:]) for row in found), key=lambda row: row[:2]
    )


def test_one_series_goes_on_under_the_new_name(filled: str) -> None:
    with connect(filled, autocommit=True) as connection:
        before = {relation: rows(connection, relation) for relation in RELATIONS}
        pinned = pinned_bars(connection, "then", Interval.D1, "OLD")
        counts = "select (select count(*) from load), (select count(*) from bar_revision), (select count(*) from gap)"
        ledgers = connection.execute(counts).fetchall()
    assert before["us_data_1d"] != before["published.us_data_1d"], "the second load is not published"
    done = rename(filled, "us", "OLD", "NEW", ON, run_id="rename", now=NOW)
    assert done.rows["us_data_1d"] == 90
    assert {"load", "series", "bar_revision", "gap", "published", "symbols"} <= done.rows.keys()
    with connect(filled, autocommit=True) as connection:
        for relation, found in before.items():
            assert rows(connection, relation) == renamed(found), relation
        after = pinned_bars(connection, "then", Interval.D1, "NEW")
        assert pinned is not None
        assert after is not None
        assert after[0].tolist() == pinned[0].tolist()
        assert after[1]["close"].tolist() == pinned[1]["close"].tolist()
        assert connection.execute(counts).fetchall() == ledgers, "no load, no revision, no gap by it"
        tables = connection.execute(
            "select table_name from information_schema.columns "
            "where column_name = 'ticker' and table_schema = 'public' and table_name in ("
            "select table_name from information_schema.tables where table_type = 'BASE TABLE')"
        ).fetchall()
        for (table,) in tables:
            assert connection.execute(
                f"select count(*) from {table} where ticker = 'OLD'".encode()
            ).fetchone() == (0,), table


def test_the_next_load_restates_nothing_and_lists_may_be_late(filled: str) -> None:
    rename(filled, "us", "OLD", "NEW", ON, run_id="rename", now=NOW)
    with connect(filled, autocommit=True) as connection:
        revisions = connection.execute("select count(*) from bar_revision").fetchone()
        stored = bars("NEW", Interval.D1, 90)
        done = load_bars(
            connection, stored.slice(20), LoadRequest(US, Interval.D1, "third", "lab", WHOLE, NOW)
        )
        assert [(r.unchanged, r.inserted, r.updated) for r in done] == [(70, 0, 0)]
        assert connection.execute("select count(*) from bar_revision").fetchone() == revisions
    planned = plan(
        filled, "us", "1d", run_id="late", data_interval=Window(utc(2024, 4, 1), utc(2024, 4, 2)), now=NOW,
        exact=True, source={"name": "sample"}, tickers=["OLD", "OTHER", "NEW"], settings=Settings(),
    )  # fmt: skip
    assert [sorted(batch.tickers) for batch in planned.batches] == [["NEW", "OTHER"]]


def test_what_was_asked_for_before_a_rename_begins_no_second_series(filled: str) -> None:
    """Its answer comes after the rename: refused, and the others of the batch are loaded."""
    rename(filled, "us", "OLD", "NEW", ON, run_id="rename", now=NOW)
    answer = pa.concat_tables([bars("OLD", Interval.D1, 95), bars("OTHER", Interval.D1, 95)])
    with connect(filled, autocommit=True) as connection:
        late, other = load_bars(connection, answer, LoadRequest(US, Interval.D1, "late", "lab", WHOLE, NOW))
        assert isinstance(late.refused, UnknownTicker)
        assert "OLD is called NEW since 2024-03-01" in str(late.refused)
        assert (late.inserted, other.inserted) == (0, 5)
        names = connection.execute("select distinct ticker from us_data_1d order by 1").fetchall()
        assert names == [("NEW",), ("OTHER",)]
        said = connection.execute(
            "select ticker, status from load where run_id = 'late' order by 1"
        ).fetchall()
        assert said == [("OLD", "failed"), ("OTHER", "loaded")]


def test_reads_by_the_old_name_say_what_it_is_called_now(
    filled: str, command_line: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from starlette.testclient import TestClient

    from hypertape.api import create_app

    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", filled)
    code, out, _ = command_line("symbols", "rename", "us", "OLD", "NEW", "--on", "2024-03-01", "--json")
    assert code == 0
    assert json.loads(out)[0]["rows"]["us_data_1d"] == 90
    code, out, _ = command_line("symbols", "rename", "us", "OLD", "NEW", "--on", "2024-03-01")
    assert "already" in out
    with Tape(OverDsn(Settings(), filled)) as tape:
        with pytest.raises(UnknownTicker, match="OLD is called NEW since 2024-03-01"):
            tape.read("us", "1d", ["OLD", "OTHER"])
        assert len(tape.read("us", "1d", "NEW")) == 90
    app = create_app(Settings(), authorize=lambda _: lambda: None, clock=lambda: NOW, dsn=lambda: filled)
    with TestClient(app) as client:
        asked = client.get("/tickers", params={"symbol": ["OLD", "OTHER"], "mode": "us"})
        assert asked.headers["X-Hypertape-Renamed"] == "OLD=NEW;2024-03-01"
        assert list(asked.json()) == ["OTHER"]
        assert (
            "X-Hypertape-Renamed"
            not in client.get("/tickers", params={"symbol": "NEW", "mode": "us"}).headers
        )
    code, _, err = command_line("gaps", "list", "--market", "us", "--tickers", "OLD")
    assert code == 2
    assert "OLD is called NEW since 2024-03-01" in " ".join(err.split())


def test_names_go_on_changing(filled: str) -> None:
    rename(filled, "us", "OLD", "NEW", ON, run_id="rename", now=NOW)
    rename(filled, "us", "NEW", "NEWER", date(2024, 6, 3), run_id="again", now=NOW)
    with Tape(OverDsn(Settings(), filled)) as tape:
        for name in ("OLD", "NEW"):
            with pytest.raises(UnknownTicker, match=f"{name} is called NEWER"):
                tape.read("us", "1d", name)
    with connect(filled) as connection:
        spans = connection.execute(
            "select symbol, valid_from::text, valid_to::text from symbol_alias "
            "where vendor = 'hypertape' order by valid_to"
        ).fetchall()
    assert spans == [("OLD", "-infinity", "2024-03-01"), ("NEW", "2024-03-01", "2024-06-03")]


@pytest.mark.parametrize(
    ("old", "new", "on", "error", "says"),
    [
        ("OLDE", "NEW", ON, UnknownTicker, "OLD"),
        ("OLD", "OTHER", ON, BadInput, "forget us"),
        ("OLD", "OLD", ON, BadInput, "another"),
        ("OLD", "N W/", ON, BadInput, "no ticker"),
        ("OLD", "NEW", date(2031, 1, 1), BadInput, "to come"),
    ],
)
def test_what_cannot_be_renamed_is_told_and_nothing_moves(
    filled: str, old: str, new: str, on: date, error: type[Exception], says: str
) -> None:
    with connect(filled, autocommit=True) as connection:
        before = rows(connection, "us_data_1d")
        with pytest.raises(error, match=says):
            rename(filled, "us", old, new, on, run_id="rename", now=NOW)
        assert rows(connection, "us_data_1d") == before


def test_a_group_is_read_as_it_was(warehouse: str) -> None:
    """The market's list is what always was at first; what changes in it later has its day; a rename is no change."""
    group = US.tickers[0].group
    listed = [entry.ticker for entry in US.tickers if entry.group == group]
    with connect(warehouse, autocommit=True) as connection:
        assert members(connection, US, date(2020, 1, 2), group) == {group: sorted(listed)}
        connection.execute(
            "update group_member set valid_to = '2021-01-04' where group_name = %s and ticker = %s",
            (group, listed[0]),
        )
        connection.execute(
            "insert into group_member (market, group_name, ticker, valid_to) values ('us', %s, 'GONE', '2020-06-01')",
            (group,),
        )
        then = members(connection, US, date(2020, 1, 2), group)[group]
        assert "GONE" in then
        assert listed[0] in then
        between = members(connection, US, date(2022, 1, 3), group)[group]
        assert not {"GONE", listed[0]} & set(between)
        apply(connection, [US])
        today = members(connection, US, date(2999, 1, 1), group)[group]
        assert listed[0] in today, "the list has it, so it is in it again"
        assert listed[0] not in members(connection, US, date(2022, 1, 3), group)[group]


def test_spellings_of_vendors_are_data(warehouse: str) -> None:
    crypto = get_market("crypto")
    with connect(warehouse) as connection:
        found = connection.execute(
            "select ticker, symbol from symbol_alias where market = 'crypto' and vendor = 'yahoo' order by 1"
        ).fetchall()
    assert dict(found) == dict(crypto.symbols["yahoo"])
    assert found
