"""Forgetting a series: its bars go, its rollups go, and no ledger speaks of it any more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lab import CRYPTO, D1, H1, fingerprint, put, query, value, walk
from psycopg import sql
from typer.testing import CliRunner

from hypertape.cli import app
from hypertape.errors import UnknownTicker
from hypertape.model import utc
from hypertape.steps.forget import forget
from hypertape.warehouse.rollups import Refreshed, buckets, check_rollups, derived, refresh_pending

NOW = utc(2025, 6, 1)


@pytest.fixture
def two(warehouse: str, connection: Any) -> str:
    """A series that stays and one that was a typo, with everything a warehouse notes about one."""
    put(connection, {"AAPL": walk(60, seed=1), "aapl": walk(60, seed=2)})
    put(connection, {"aapl": walk(60, seed=3)})  # revisions, a suspected restatement
    refresh_pending(warehouse, CRYPTO, D1)
    rows = (
        "insert into gap (market, interval, ticker, start_time, end_time, bars, reason, found_run) "
        "values ('crypto', '1d', 'aapl', '2021-01-01', '2021-02-01', 31, 'provider empty', 'run')",
        "insert into gap_judged (market, interval, ticker, judged_from, judged_to) "
        "values ('crypto', '1d', 'aapl', '2020-01-01', '2021-02-01')",
        "insert into symbols (market, ticker, name, kind) values ('crypto', 'aapl', null, 'crypto')",
        "insert into splits (market, ticker, time, ratio) values ('crypto', 'aapl', '2020-02-01', 2)",
    )
    for row in rows:
        connection.execute(row)
    return warehouse


def speaking(connection: Any, ticker: str) -> list[str]:
    """The tables with a column `ticker` that have a row of a ticker."""
    tables = query(
        connection,
        "select table_name::text from information_schema.columns join information_schema.tables "
        "using (table_schema, table_name) where table_schema in ('public', 'bars') and column_name = 'ticker' "
        "and table_type = 'BASE TABLE' order by 1",
    )
    found = []
    for (table,) in tables:
        for schema in ("public", "bars"):
            if value(connection, "select to_regclass(%s) is not null", f"{schema}.{table}"):
                place = sql.Identifier(schema, table)
                statement = sql.SQL("select count(*) from {} where ticker = %s").format(place)
                if connection.execute(statement, (ticker,)).fetchone()[0]:
                    found.append(table)
    return found


def test_nothing_speaks_of_it_any_more_and_the_other_is_untouched(two: str, connection: Any) -> None:
    before = fingerprint(connection, "AAPL")
    assert {"crypto_data_1d", "gap", "symbols", "splits", "load"} <= set(speaking(connection, "aapl"))
    rehearsed = forget(two, "crypto", "1d", ["aapl"], run_id="forget", now=NOW)
    assert rehearsed.rows["crypto_data_1d"] == 60
    assert value(connection, "select count(*) from bars.crypto_data_1d where ticker = 'aapl'") == 60
    done = forget(two, "crypto", "1d", ["aapl"], run_id="forget", now=NOW, dry_run=False)
    assert done.rows == rehearsed.rows
    assert speaking(connection, "aapl") == []
    assert value(connection, "select count(*) from bars.crypto_data_1w where ticker = 'aapl'") == 0
    assert fingerprint(connection, "AAPL") == before
    span = [Refreshed(level, buckets(level, utc(2020), utc(2021))) for level in derived(D1)]
    assert [check.differing for check in check_rollups(connection, CRYPTO, span)] == [0] * len(span)
    assert value(connection, "select count(*) from rollup_pending") == 0


def test_what_is_known_of_a_ticker_stays_with_its_other_series(two: str, connection: Any) -> None:
    put(connection, {"aapl": walk(60, seed=2, interval=H1)}, CRYPTO, H1)
    forget(two, "crypto", "1d", ["aapl"], run_id="forget", now=NOW, dry_run=False)
    assert set(speaking(connection, "aapl")) >= {"crypto_data_1h", "series", "load", "symbols", "splits"}
    assert query(connection, "select interval from series where ticker = 'aapl'") == [("1h",)]


def test_a_ticker_of_which_nothing_is_known_is_refused_with_the_nearest(two: str) -> None:
    with pytest.raises(UnknownTicker, match=r"AAPLE is no ticker of crypto 1d. There are: .*AAPL"):
        forget(two, "crypto", "1d", ["AAPLE"], run_id="forget", now=NOW)


def test_the_verb_rehearses_unless_told(
    two: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, connection: Any
) -> None:
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", two)
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path))
    arguments = ["forget", "crypto", "1d", "--tickers", "aapl"]
    shown = CliRunner().invoke(app, arguments)
    assert (shown.exit_code, "Nothing is removed" in shown.output) == (0, True)
    assert value(connection, "select count(*) from series where ticker = 'aapl'") == 1
    gone = CliRunner().invoke(app, [*arguments, "--no-dry-run", "--json"])
    assert json.loads(gone.output)["rows"]["crypto_data_1d"] == 60
    assert value(connection, "select count(*) from series where ticker = 'aapl'") == 0
