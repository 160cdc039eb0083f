"""The schema: applied once, by one applier, the same by every road, and whole or not at all."""

from __future__ import annotations

import re
import shutil
import threading
import uuid
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from lab import CRYPTO, D1, M1, US, VN, fingerprint, put, query, value, walk
from psycopg import sql

from hypertape.errors import DatabaseRefused, MigrationChanged, SchemaMissing, TierChanged
from hypertape.markets import all_markets
from hypertape.model import PUBLIC_COLUMNS, Interval, utc
from hypertape.queries import sql_directory
from hypertape.warehouse import schema
from hypertape.warehouse.connect import connect
from hypertape.warehouse.rollups import check_rollups, refresh_pending
from hypertape.warehouse.schema import apply, scripts, status, tier, verify

MARKETS = tuple(all_markets().values())
ROLLUPS = tuple(interval for interval in Interval if not interval.is_stored)
TICK_AGES = {"ticks": "7 days", "bars_1m": "30 days"}
"""What no market has: the tables of ticks, and when they are compressed. Nothing refreshes or drops them by itself."""
CANDLES = ("ticks", "ohlc_1m", "ohlc_5m", "ohlc_15m", "ohlc_30m", "ohlc_1h", "ohlc_4h", "ohlc_1d")
"""Each stands on the one before it."""
JAPAN = replace(VN, code="jp", table="jp_data", title="Made up for this test", tickers=())


@pytest.fixture
def empty(empty_database):
    with connect(empty_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def sql_copy(tmp_path, monkeypatch):
    """A copy of sql/ that the runner reads and the test may change."""
    copy = tmp_path / "sql"
    shutil.copytree(sql_directory(), copy)
    monkeypatch.setattr(schema, "sql_directory", lambda: copy)
    return copy


OURS = "('public', 'bars', 'hypertape', 'shim')"
NOT_OF_AN_EXTENSION = (
    "not exists (select from pg_depend where objid = {}.oid and deptype = 'e' "
    "and refclassid = 'pg_extension'::regclass)"
)
CATALOG = {
    "columns": f"""
        select c.oid::regclass::text, a.attnum::int, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attidentity, a.attgenerated, a.attcollation::regcollation::text, pg_get_expr(d.adbin, d.adrelid),
               col_description(c.oid, a.attnum)
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        where c.relkind in ('r', 'v', 'm', 'p') and c.relnamespace::regnamespace::text in {OURS}
            and {NOT_OF_AN_EXTENSION.format("c")}""",
    "relations": f"""
        select c.oid::regclass::text, c.relkind::text, obj_description(c.oid) from pg_class c
        where c.relnamespace::regnamespace::text in {OURS} and {NOT_OF_AN_EXTENSION.format("c")}""",
    "indexes": f"""
        select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index join pg_class c on c.oid = indrelid
        where c.relnamespace::regnamespace::text in {OURS}""",
    "constraints": f"""
        select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
        where connamespace::regnamespace::text in {OURS} and conrelid <> 0""",
    "views": f"""
        select c.oid::regclass::text, pg_get_viewdef(c.oid) from pg_class c
        where c.relkind in ('v', 'm') and c.relnamespace::regnamespace::text in {OURS}
            and {NOT_OF_AN_EXTENSION.format("c")}""",
    "functions": f"""
        select p.oid::regprocedure::text, md5(case when prokind = 'a' then '' else pg_get_functiondef(p.oid) end)
        from pg_proc p
        where p.pronamespace::regnamespace::text in {OURS} and {NOT_OF_AN_EXTENSION.format("p")}""",
    "types": f"""
        select t.oid::regtype::text from pg_type t
        where t.typnamespace::regnamespace::text in {OURS} and {NOT_OF_AN_EXTENSION.format("t")}""",
    "ledger": "select name, market, sha256, tier from public.schema_migration",
    "markets": "select market, table_name, title from public.market",
}


def catalog(connection):
    """Everything the schema is, with TimescaleDB's counters taken out of the names of its own."""
    connection.execute("set search_path = ''")  # every name in full, whenever the session began
    found = {part: query(connection, statement) for part, statement in CATALOG.items()}
    connection.execute("reset search_path")
    return {
        part: sorted({re.sub(r"_(\d+)\b", "_N", repr(row)) for row in rows}) for part, rows in found.items()
    }


def policies(connection):
    """What background work is declared: (relation, kind) to its main settings."""
    if tier(connection) == "plain":
        rows = query(connection, "select relation, kind, config from shim.policy")
        return {(relation.removeprefix("bars."), kind): config for relation, kind, config in rows}
    rows = query(
        connection,
        """select coalesce(v.view_name, j.hypertable_name), j.proc_name, j.config from timescaledb_information.jobs j
        left join timescaledb_information.continuous_aggregates v
            on v.materialization_hypertable_name = j.hypertable_name
        where j.hypertable_name is not null""",
    )
    kinds = {"policy_compression": "compression", "policy_refresh_continuous_aggregate": "refresh"}
    return {
        (relation, kinds[kind]): {
            key: setting for key, setting in config.items() if not key.endswith("hypertable_id")
        }
        for relation, kind, config in rows
    }


# once


def test_applying_twice_runs_nothing(empty):
    ran = apply(empty, MARKETS)
    assert ran == [script.label for script in scripts(tier(empty), MARKETS)]
    before = catalog(empty)
    written = "select name, market, applied_at, xmin::text from public.schema_migration order by 1, 2"
    ledger = query(empty, written)
    assert apply(empty, MARKETS) == []
    assert query(empty, written) == ledger
    assert catalog(empty) == before
    assert {entry.state for entry in status(empty, MARKETS)} == {"applied"}
    verify(empty, MARKETS)


def test_the_whole_schema_takes_seconds_not_a_network_of_steps(empty):
    assert len(apply(empty, MARKETS)) < 120  # scripts, each sent once


def test_two_appliers_at_once(empty_database):
    ran, failures = [], []
    starting = threading.Barrier(2)

    def applier():
        try:
            with connect(empty_database) as connection:
                starting.wait(30)
                ran.append(apply(connection, MARKETS))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=applier) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert sorted(map(bool, ran)) == [False, True], (
        "one of them did everything, the other found nothing to do"
    )


def test_nothing_is_known_of_an_empty_database(empty):
    with pytest.raises(SchemaMissing, match=r"hypertape schema apply"):
        status(empty, MARKETS)
    with pytest.raises(SchemaMissing):
        verify(empty, MARKETS)


def test_loading_into_an_empty_database_names_the_missing_schema(empty):
    with pytest.raises(SchemaMissing, match=r"Run `hypertape schema apply`"):
        put(empty, {"A": walk(3)})


# frozen texts


def test_a_changed_old_migration_is_refused_by_name(empty, sql_copy):
    apply(empty, MARKETS)
    before = catalog(empty)
    for name in ("0002_audit.sql", "0004_rollups.market.sql"):
        path = sql_copy / "migrations" / name
        path.write_text(path.read_text() + "-- a harmless remark\n")
    with pytest.raises(
        MigrationChanged, match=r"0002_audit\.sql.*0004_rollups\.market\.sql \(vn\).*as a new migration"
    ):
        apply(empty, MARKETS)
    assert catalog(empty) == before
    states = {entry.script.label: entry.state for entry in status(empty, MARKETS)}
    assert states["migrations/0002_audit.sql"] == "changed"
    assert states["migrations/0001_reference.sql"] == "applied"
    with pytest.raises(MigrationChanged):
        verify(empty, MARKETS)


def test_a_new_migration_and_a_changed_view_run_when_applied(empty, sql_copy):
    apply(empty, MARKETS)
    (sql_copy / "migrations" / "0900_new.sql").write_text("create table new_table (only_column int);")
    view = sql_copy / "repeatable" / "71_ticks.sql"
    view.write_text(view.read_text() + "-- a remark\n")
    with pytest.raises(SchemaMissing, match=r"behind by: migrations/0900_new\.sql, repeatable/71_ticks\.sql"):
        verify(empty, MARKETS)
    ran = apply(empty, MARKETS)
    assert ran[0] == "migrations/0900_new.sql"
    assert all(label.startswith("repeatable/") for label in ran[1:])
    assert query(empty, "select * from new_table") == []
    assert apply(empty, MARKETS) == []


def test_views_are_replaced_in_place(empty, sql_copy):
    """A repeatable that runs again costs nobody his grant, nor his own view on top of ours."""
    apply(empty, MARKETS)
    empty.execute("grant select on market_data_1d, market_data to public")
    empty.execute(
        "create view mine as select ticker, ma10_score, updated_at from market_data where interval = '1D'"
    )
    before = query(
        empty,
        "select relname, relacl::text from pg_class where relname in ('market_data', 'mine') "
        "and relnamespace = 'public'::regnamespace order by 1",
    )
    view = sql_copy / "repeatable" / "44_market.market.sql"
    view.write_text(view.read_text() + "-- a remark\n")
    assert apply(empty, MARKETS) != []
    after = query(
        empty,
        "select relname, relacl::text from pg_class where relname in ('market_data', 'mine') "
        "and relnamespace = 'public'::regnamespace order by 1",
    )
    assert after == before
    assert len(after) == 2


def test_a_script_that_fails_leaves_nothing_behind(empty, empty_database, sql_copy):
    everything = """select 'schema', nspname from pg_namespace where nspname not like 'pg\\_%temp%'
        union all select 'relation', relname from pg_class where relname not like 'pg\\_t%'
        union all select 'extension', extname from pg_extension union all select 'routine', proname from pg_proc"""
    before = sorted(query(empty, everything))
    broken = sql_copy / "migrations" / "0900_broken.sql"
    broken.write_text("create table half (id int); select 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        apply(empty, MARKETS)
    assert sorted(query(empty, everything)) == before
    broken.unlink()
    with connect(empty_database, autocommit=True) as another:
        assert apply(another, MARKETS) != []


def test_a_later_script_that_fails_leaves_the_schema_as_it_was(empty, sql_copy):
    apply(empty, MARKETS)
    before = catalog(empty)
    (sql_copy / "migrations" / "0900_good.sql").write_text("create table good (id int);")
    (sql_copy / "migrations" / "0901_broken.sql").write_text("create table half (id int); select 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        apply(empty, MARKETS)
    assert catalog(empty) == before


# the same by every road


def step_by_step(connection, directory: Path, monkeypatch):
    """Apply one more migration at a time; the views come with the last one, as they stand on all of them."""
    migrations = sorted(path.name for path in (directory / "migrations").iterdir())
    for count in range(1, len(migrations) + 1):
        part = directory.parent / f"sql_{count}"
        shutil.copytree(directory, part)
        for later in migrations[count:]:
            (part / "migrations" / later).unlink()
        if count < len(migrations):
            shutil.rmtree(part / "repeatable")
        monkeypatch.setattr(schema, "sql_directory", lambda part=part: part)
        assert f"migrations/{migrations[count - 1].removesuffix('.sql')}" in " ".join(
            apply(connection, MARKETS)
        )


def market_by_market(connection, directory, monkeypatch):
    for count in range(1, len(MARKETS) + 1):
        # price_history stands on the US relations, which therefore come first
        apply(connection, sorted(MARKETS, key=lambda market: market is not US)[:count])


@pytest.mark.parametrize(
    "road", [step_by_step, market_by_market], ids=["migration by migration", "market by market"]
)
def test_the_schema_is_the_same_by_every_road(empty, warehouse, sql_copy, monkeypatch, road):
    road(empty, sql_copy, monkeypatch)
    with connect(warehouse, autocommit=True) as common:
        compare_schemas(empty, common)


def compare_schemas(empty, common):
    step, at_once = catalog(empty), catalog(common)
    for part in CATALOG:
        assert step[part] == at_once[part], part
        assert step[part], f"no {part} were compared"
    assert policies(empty) == policies(common)


def test_the_comparison_of_catalogs_can_fail(empty):
    apply(empty, MARKETS)
    before = catalog(empty)
    empty.execute("alter table load add column extra int check (extra > 0)")
    empty.execute("create index on load (extra)")
    after = catalog(empty)
    assert {part for part in CATALOG if before[part] != after[part]} == {
        "columns",
        "relations",
        "constraints",
        "indexes",
    }


def test_a_new_market_adds_its_relations_and_touches_nothing_else(empty):
    apply(empty, MARKETS)
    put(empty, {"A": walk(30)})
    before, bars = catalog(empty), query(empty, "select ctid::text, xmin::text from bars.crypto_data_1d")
    ran = apply(empty, (*MARKETS, JAPAN))
    assert {label for label in ran if label.startswith("migrations/")} == {
        "migrations/0003_bars.market.sql (jp)",
        "migrations/0004_rollups.market.sql (jp)",
    }
    after = catalog(empty)
    for part in CATALOG:
        assert [row for row in after[part] if "jp" not in row] == before[part]
    names = set(re.findall(r"'((?:public|bars)\.jp_data\w*)', '[rvm]'", " ".join(after["relations"])))
    assert names == {
        "public.jp_data",
        *(prefix + JAPAN.relation(interval) for interval in Interval for prefix in ("public.", "bars.")),
        *(
            f"bars.{JAPAN.relation(interval)}_{view}"
            for interval in JAPAN.intervals
            for view in ("with_load", "published_with_load", "timed", "published_timed")
        ),
    }
    assert query(empty, "select ctid::text, xmin::text from bars.crypto_data_1d") == bars
    assert put(empty, {"A": walk(30)}, JAPAN)["A"].inserted == 30
    assert value(empty, "select count(*) from jp_data where interval = '1D'") == 30
    assert apply(empty, (*MARKETS, JAPAN)) == []


# tiers


def test_another_tier_than_the_schema_was_built_on_is_refused(empty):
    apply(empty, MARKETS)
    offers = tier(empty)
    other = {"plain": "timescaledb", "timescaledb": "plain"}[offers]
    empty.execute("update schema_migration set tier = %s", (other,))
    for act in (apply, verify):
        with pytest.raises(TierChanged, match=rf"built on the {other} tier.*offers {offers}.*new database"):
            act(empty, MARKETS)


def test_the_tier_is_what_the_server_offers(common):
    has_extension = bool(query(common, "select 1 from pg_extension where extname = 'timescaledb'"))
    licence = value(common, "select current_setting('timescaledb.license', true)")
    assert tier(common) == ("timescaledb" if has_extension and licence == "timescale" else "plain")
    assert bool(query(common, "select 1 from pg_namespace where nspname = 'shim'")) == (
        tier(common) == "plain"
    )


def test_every_stored_relation_has_its_chunk_width(common):
    expected = {
        **{market.relation(D1): "1 year" for market in MARKETS},
        **{market.relation(Interval.H1): "3 months" for market in MARKETS},
        **{market.relation(M1): "7 days" for market in MARKETS},
        "dividends": "1 year",
        "splits": "1 year",
    }
    if tier(common) == "plain":
        found = query(
            common, "select relname from pg_class where relkind = 'r' and relname = any(%s)", list(expected)
        )
        assert {name for (name,) in found} == set(expected), "ordinary tables there"
        return
    rows = query(
        common,
        """select hypertable_name, time_interval = e.width::interval from timescaledb_information.dimensions
        join unnest(%s::text[], %s::text[]) as e (name, width) on e.name = hypertable_name""",
        list(expected),
        list(expected.values()),
    )
    assert dict(rows) == dict.fromkeys(expected, True)


def test_compression_is_by_ticker_in_time_order(common):
    expected = {market.relation(interval) for market in MARKETS for interval in market.intervals}
    if tier(common) == "plain":
        assert {
            name for name, kind in policies(common) if kind == "compression"
        } == expected | TICK_AGES.keys()
        return
    rows = query(
        common,
        """select relname, segmentby, orderby from timescaledb_information.hypertable_compression_settings
        join pg_class on pg_class.oid = hypertable where relname = any(%s)""",
        list(expected),
    )
    assert {(name, ticker, time.strip('"')) for name, ticker, time in rows} == {
        (name, "ticker", "time") for name in expected
    }


def test_every_relation_has_its_policies(common):
    found = policies(common)
    ages = {D1: "90 days", Interval.H1: "90 days", M1: "7 days"}
    for market in MARKETS:
        for interval in Interval:
            kind = "compression" if interval.is_stored else "refresh"
            config = found.pop((market.relation(interval), kind))
            if interval.is_stored:
                assert config["compress_after"] == ages[interval]
            else:
                assert {"start_offset", "end_offset"} <= set(config)
    for name, age in TICK_AGES.items():
        assert found.pop((name, "compression"))["compress_after"] == age
    assert found == {}, "retention is off by default"


def test_rollups_are_materialised_only_and_stand_on_each_other(common):
    bases = {"5m": "1m", "15m": "5m", "30m": "15m", "1w": "1d", "2w": "1w", "1mo": "1d"}
    expected = {(f"{m.table}_{name}", f"{m.table}_{base}") for m in MARKETS for name, base in bases.items()}
    expected |= set(zip(CANDLES[1:], CANDLES, strict=False))
    if tier(common) == "plain":
        rows = query(common, "select target, source from shim.rollup")
        assert {tuple(name.removeprefix("bars.") for name in row) for row in rows} == expected
        return
    rows = query(
        common,
        """select v.view_name, coalesce(base.view_name, v.hypertable_name), v.materialized_only
        from timescaledb_information.continuous_aggregates v
        left join timescaledb_information.continuous_aggregates base
            on base.materialization_hypertable_name = v.hypertable_name""",
    )
    assert {row[:2] for row in rows} == expected
    assert all(row[2] for row in rows)


def test_a_key_is_not_indexed_twice(common):
    rows = query(
        common,
        "select tablename, indexdef from pg_indexes where schemaname = 'bars' and tablename = any(%s)",
        [market.relation(interval) for market in MARKETS for interval in market.intervals],
    )
    assert sorted(name for name, _ in rows) == sorted(m.relation(i) for m in MARKETS for i in m.intervals)
    assert all('(ticker, "time")' in definition for _, definition in rows)


# what readers see


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.code)
@pytest.mark.parametrize("interval", Interval, ids=str)
def test_every_relation_has_the_documents_columns(common, market, interval):
    cursor = common.execute(
        sql.SQL("select * from {} limit 0").format(sql.Identifier(market.relation(interval)))
    )
    names = tuple(column.name for column in cursor.description)
    assert names == (PUBLIC_COLUMNS if interval.is_stored else PUBLIC_COLUMNS[:7])


@pytest.fixture(scope="module")
def filled(new_warehouse):
    """A warehouse with one ticker in the three Vietnamese relations and in two other daily ones."""
    with new_warehouse() as dsn, connect(dsn, autocommit=True) as connection:
        for interval in (D1, Interval.H1, M1):
            put(connection, {"DOC": walk(300, interval=interval)}, VN, interval)
        put(connection, {"DOC": walk(300)}, US)
        put(connection, {"DOC": walk(300)}, CRYPTO)
        yield connection


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        pytest.param("SELECT COUNT(*) FROM market_data", 1, id="count of everything"),
        pytest.param("SELECT ticker, open FROM market_data", 900, id="two columns"),
        pytest.param(
            "SELECT * FROM market_data WHERE ticker = $1 AND interval='1D' AND time >= '2020-02-01' "
            "ORDER BY time DESC LIMIT 252",
            252,
            id="the newest year",
        ),
        pytest.param("SELECT * FROM market_data WHERE ticker = $1 AND interval='1H'", 300, id="hours"),
        pytest.param("SELECT * FROM crypto_data WHERE ticker = $1 AND interval='1D'", 300, id="crypto"),
        pytest.param("SELECT * FROM us_data WHERE ticker = $1 AND interval='1m'", 0, id="no minutes"),
        pytest.param(
            "SELECT MAX(updated_at) FROM market_data WHERE ticker = $1 AND interval = '1D'",
            1,
            id="last update",
        ),
        pytest.param(
            "SELECT time, open, high, low, close, volume, ma10, ma200, ma10_score, close_changed, volume_changed, "
            "total_money_changed, created_at, updated_at FROM crypto_data WHERE ticker = $1 AND interval = '1D' "
            "AND time BETWEEN '2020-01-01' AND '2020-01-31' ORDER BY time",
            31,
            id="named columns of a range",
        ),
        pytest.param(
            "SELECT symbol, COUNT(*) FROM price_history WHERE symbol = $1 GROUP BY symbol",
            1,
            id="price_history",
        ),
        pytest.param(
            "SELECT symbol, MAX(time) as last_update FROM price_history WHERE symbol = $1 GROUP BY symbol "
            "ORDER BY last_update DESC LIMIT 10",
            1,
            id="last update of price_history",
        ),
        pytest.param(
            "SELECT * FROM ohlc_daily WHERE symbol = $1 AND date BETWEEN '2020-01-01' AND '2020-01-10' ORDER BY date",
            10,
            id="ohlc_daily",
        ),
    ],
)
def test_the_documents_selects_run_as_written(filled, statement, rows):
    cursor = psycopg.RawCursor(filled)
    cursor.execute(statement, ["DOC"] if "$1" in statement else None)
    assert len(cursor.fetchall()) == rows


def test_created_and_updated_follow_the_loads(common):
    times = "select created_at, updated_at from market_data where ticker = 'UPDATED' and interval = '1D'"
    first = put(common, {"UPDATED": walk(1)}, VN)["UPDATED"].load_id
    second = put(common, {"UPDATED": walk(1, seed=2)}, VN)["UPDATED"].load_id
    loaded = dict(
        query(common, "select load_id, loaded_at from load where load_id in (%s, %s)", first, second)
    )
    assert query(common, times) == [(loaded[first], loaded[second])]


def test_price_history_is_in_decimals(filled):
    types = query(
        filled,
        "select attname, format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = 'price_history'::regclass order by attnum",
    )
    money = "numeric(20,6)"
    assert types == [
        ("symbol", "text"), ("time", "timestamp with time zone"), ("open", money), ("high", money), ("low", money),
        ("close", money), ("adjusted_close", money), ("volume", "double precision"),
    ]  # fmt: skip


@pytest.mark.parametrize(("spelling", "interval"), [("1D", "1d"), ("1H", "1h"), ("1m", "1m")])
def test_a_constant_interval_reads_one_relation(filled, spelling, interval):
    filled.execute("analyze")
    statement = (
        "explain (format json) select * from market_data "
        f"where ticker = 'DOC' and interval = '{spelling}' order by time desc limit 252"
    )
    assert _relations(filled, value(filled, statement)) == {f"market_data_{interval}", "load", "bar_revision"}


def test_columns_that_are_not_asked_for_cost_nothing(filled):
    plan = value(filled, "explain (format json) select time, close from market_data where interval = '1D'")
    assert _relations(filled, plan) == {"market_data_1d"}


def _relations(connection, plan):
    """The relations a plan reads, chunks counted as the relation they belong to."""
    names = set(re.findall(r"'Relation Name': '(\w+)'", repr(plan)))
    if tier(connection) == "plain":
        return names
    owners = dict(query(connection, "select chunk_name, hypertable_name from timescaledb_information.chunks"))
    return {owners.get(name, name) for name in names}


# who may


@contextmanager
def ordinary_role(server_dsn):
    """A role without privileges that owns a new database; yields its DSN."""
    name, password = f"hypertape_role_{uuid.uuid4().hex[:12]}", uuid.uuid4().hex
    role = sql.Identifier(name)
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("create role {} login password {}").format(role, sql.Literal(password)))
        server.execute(sql.SQL("create database {} owner {} template template0").format(role, role))
    try:
        yield psycopg.conninfo.make_conninfo(server_dsn, user=name, password=password, dbname=name)
    finally:
        with psycopg.connect(server_dsn, autocommit=True) as server:
            server.execute(sql.SQL("drop database {} with (force)").format(role))
            server.execute(sql.SQL("drop role {}").format(role))


def test_the_owner_of_a_database_needs_no_more_rights(server_dsn):
    with ordinary_role(server_dsn) as dsn, connect(dsn, autocommit=True) as connection:
        apply(connection, (CRYPTO, US))
        put(connection, {"A": walk(30, start=utc(2020, 1, 6))})
        done = refresh_pending(dsn, CRYPTO, D1)
        checks = check_rollups(connection, CRYPTO, done)
        assert [check.differing for check in checks] == [0, 0, 0]
        assert fingerprint(connection, "A")[0] == 30


def test_a_role_without_rights_is_told_so(server_dsn, common_warehouse):
    with ordinary_role(server_dsn) as dsn:
        parts = psycopg.conninfo.conninfo_to_dict(dsn)
        place = psycopg.conninfo.conninfo_to_dict(common_warehouse)["dbname"]
        stranger = psycopg.conninfo.make_conninfo(
            common_warehouse, user=parts["user"], password=parts["password"]
        )
        with (
            connect(stranger, autocommit=True) as connection,
            pytest.raises(
                DatabaseRefused, match=rf"{place}.*permission denied.*Check user, password and permissions"
            ),
        ):
            put(connection, {"A": walk(3)})
