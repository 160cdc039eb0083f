"""`hypertape db url`: what other programs are given opens the warehouse for them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import duckdb
import psycopg
import pytest
import sqlalchemy

from hypertape.settings import load_settings
from hypertape.warehouse.embedded.server import EmbeddedServer

CommandLine = Callable[..., tuple[int, str, str]]


def test_libpq_and_sqlalchemy_take_it(command_line: CommandLine) -> None:
    code, url, _ = command_line("db", "url")
    assert code == 0
    assert len(url.splitlines()) == 1, "nothing but the address"
    with psycopg.connect(url.strip()) as connection:
        connection.execute("delete from market where false")
    _, spelt, _ = command_line("db", "url", "--for", "sqlalchemy")
    engine = sqlalchemy.create_engine(spelt.strip())
    with engine.connect() as opened:
        assert opened.execute(sqlalchemy.text("select count(*) from market")).scalar() == 3
    engine.dispose()


def test_a_reader_cannot_write(command_line: CommandLine) -> None:
    _, url, _ = command_line("db", "url", "--reader")
    with psycopg.connect(url.strip()) as connection:
        assert connection.execute("select count(*) from market").fetchone() == (3,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("delete from market where false")


def test_psql_takes_it(command_line: CommandLine) -> None:
    psql = EmbeddedServer(load_settings()).tool("psql")
    _, url, _ = command_line("db", "url", "--reader")
    found = subprocess.run(
        [psql, url.strip(), "-Atc", "select code from (select market as code from market order by 1) m"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["crypto", "us", "vn"]


def test_duckdb_reads_the_spelling_for_it(command_line: CommandLine) -> None:
    """DuckDB reads PostgreSQL by an extension, fetched from the web once; without it only the spelling is proved."""
    _, words, _ = command_line("db", "url", "--for", "duckdb", "--reader")
    with psycopg.connect(words.strip()) as connection:
        assert connection.execute("show default_transaction_read_only").fetchone() == ("on",)
    with duckdb.connect() as reader:
        known = "select installed from duckdb_extensions() where extension_name = 'postgres_scanner'"
        if reader.execute(known).fetchone() == (True,):
            reader.execute(f"attach '{words.strip().replace(chr(39), chr(39) * 2)}' as tape (type postgres)")
            assert reader.execute("select count(*) from tape.market").fetchone() == (3,)
