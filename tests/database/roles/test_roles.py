"""What owner, writer and reader may do: in SQL, through the verbs, through the API."""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from fastapi.routing import APIRoute
from lab import CRYPTO, D1, M1, put, value, walk
from psycopg import conninfo, sql
from starlette.testclient import TestClient

from hypertape.api import create_app
from hypertape.api.server import server_app
from hypertape.errors import BadSetting, DatabaseRefused
from hypertape.markets import all_markets
from hypertape.model import utc
from hypertape.settings import load_settings
from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect, is_pooled
from hypertape.warehouse.embedded.server import EmbeddedServer
from hypertape.warehouse.roles import Roles, grant
from hypertape.warehouse.rollups import refresh_pending
from hypertape.warehouse.schema import apply, tier
from pooler import pooled

REPOSITORY = Path(__file__).resolve().parents[3]
MARKETS = tuple(all_markets().values())
NOW = utc(2025, 7, 1)


@dataclass(frozen=True)
class House:
    """A warehouse of an owner who is no superuser, and who logs in as what."""

    server: str
    database: str
    names: dict[str, str]

    def dsn(self, role: str) -> str:
        """The address with which a role logs in; `superuser` is the server's own."""
        if role == "superuser":
            return conninfo.make_conninfo(self.server, dbname=self.database)
        login = {"user": self.names[f"{role}_login"], "password": "walk"}
        return conninfo.make_conninfo(self.server, dbname=self.database, **login)

    @property
    def roles(self) -> Roles:
        return Roles(self.names["writer"], self.names["reader"])


@pytest.fixture(scope="module")
def house(server_dsn):
    """Three logins: the database's owner, a member of the writers and one of the readers; two loaded series."""
    stem = f"walk_{uuid.uuid4().hex[:8]}"
    names = {
        kind: f"{stem}_{kind}" for kind in ("writer", "reader", "owner_login", "writer_login", "reader_login")
    }
    with psycopg.connect(server_dsn, autocommit=True) as server:
        for kind, name in names.items():
            login = sql.SQL("login password 'walk'" if kind.endswith("login") else "nologin")
            server.execute(sql.SQL("create role {} {}").format(sql.Identifier(name), login))
        owner = sql.Identifier(names["owner_login"])
        server.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(stem), owner))
        server.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(stem)))
        for kind in ("writer", "reader"):
            member = map(sql.Identifier, (names[kind], names[f"{kind}_login"]))
            server.execute(sql.SQL("grant {} to {}").format(*member))
    found = House(server_dsn, stem, names)
    with connect(found.dsn("owner"), autocommit=True) as connection:
        apply(connection, MARKETS)
        left = grant(connection, found.roles)
    with psycopg.connect(found.dsn("superuser"), autocommit=True) as server:
        for statement in left:  # what the owner is told that a superuser has to run
            server.execute(statement)
        with connect(found.dsn("owner"), autocommit=True) as connection:
            assert grant(connection, found.roles) == []
    with connect(found.dsn("writer"), autocommit=True) as connection:
        put(connection, {"AAA": walk(400), "BBB": walk(400, seed=2)})
        put(connection, {"AAA": walk(3000, interval=M1)}, interval=M1)
    for interval in (D1, M1):
        refresh_pending(found.dsn("writer"), CRYPTO, interval)
    yield found
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(stem)))
        for name in reversed(names.values()):
            server.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def may(house, role, statement):
    """Whether a role may run a statement, which is rolled back; anything but a lack of rights is a failure."""
    with connect(house.dsn(role)) as connection:
        try:
            connection.execute(statement)
        except DatabaseRefused as refused:
            if getattr(refused.__cause__, "sqlstate", None) != "42501":
                raise
            return False
        finally:
            connection.rollback()
    return True


ALL, WRITING, OWNING = {"owner", "writer", "reader"}, {"owner", "writer"}, {"owner"}
IN_SQL = {
    "read bars": ("select * from public.crypto_data_1d limit 1", ALL),
    "read stored bars": ("select * from bars.crypto_data_1d limit 1", ALL),
    "read a rollup": ("select * from bars.crypto_data_1w limit 1", ALL),
    "read published bars": ("select * from published.crypto_data_1d limit 1", ALL),
    "read a published rollup": ("select * from published.crypto_data_1w limit 1", ALL),
    "read bars as of an instant": ("select * from bars_as_of('crypto', '1d', now()) limit 1", ALL),
    "read candles": ("select * from public.ohlc_1d limit 1", ALL),
    "read ledgers": ("select * from load, gap, finding, quarantine, bar_revision limit 1", ALL),
    "read which scripts ran": ("select * from schema_migration limit 1", ALL),
    "find one API key": ("select * from hypertape.api_key_of('000000000000')", ALL),
    "write bars": ("update bars.crypto_data_1d set volume = volume where time > '2020-06-01'", WRITING),
    "remove bars": ("delete from bars.crypto_data_1d where time > '2020-06-01'", WRITING),
    "write ledgers": ("update finding set mend = mend", WRITING),
    "write ticks": ("delete from bars.ticks", WRITING),
    "take a claim's number": ("select nextval('claim_token')", WRITING),
    "stage rows": ("create temporary table staging on commit drop as select * from bars.crypto_data_1d", WRITING),
    "tell the planner": ("select hypertape.analyse('bars.crypto_data_1d')", WRITING),
    "open a chunk": ("select hypertape.open_chunk('bars.nothing')", WRITING),
    "close a chunk": ("select hypertape.close_chunk('bars.nothing')", WRITING),
    "set how ticks are kept": ("select hypertape.configure_ticks(interval '1 day', interval '7 days')", WRITING),
    "drop old ticks": ("select hypertape.drop_ticks('2000-01-01')", WRITING),
    "change which scripts ran": ("delete from schema_migration", OWNING),
    "list API keys": ("select * from api_key", OWNING),
    "make an API key": (
        "insert into api_key values ('000000000001', decode(repeat('00', 32), 'hex'), 'a', 'write', now())", OWNING
    ),
    "drop a table": ("drop table gap cascade", OWNING),
    "empty a table": ("truncate bars.crypto_data_1d", OWNING),
    "change a table": ("alter table bars.crypto_data_1d add column mine int", OWNING),
    "make a table": ("create table public.mine (one int)", OWNING),
    "make a function": ("create function hypertape.mine() returns int language sql as 'select 1'", OWNING),
    "make a role": ("create role walk_other", set()),
}  # fmt: skip


@pytest.mark.parametrize("role", sorted(ALL))
@pytest.mark.parametrize("act", IN_SQL)
def test_what_each_role_may_do_in_sql(house, act, role):
    statement, those = IN_SQL[act]
    assert may(house, role, statement) is (role in those)


def test_each_relation_of_each_market_is_read_by_the_reader(house):
    """Rollups, published relations and whatever a market has: nobody has to list them."""
    names = """select oid::regclass::text from pg_class where relkind in ('r', 'v', 'm')
        and relnamespace::regnamespace::text in ('public', 'bars', 'published')"""
    with connect(house.dsn("reader"), autocommit=True) as reader:
        refused = [
            name for (name,) in reader.execute(names).fetchall()
            if not value(reader, "select has_table_privilege(%s, 'select')", name)
        ]  # fmt: skip
        assert refused == ["api_key"]


def test_what_the_owner_makes_later_is_granted(house):
    with connect(house.dsn("owner"), autocommit=True) as owner:
        owner.execute("create table public.later (one int)")
        owner.execute("create view published.later as select * from public.later")
    try:
        assert may(house, "reader", "select * from published.later")
        assert not may(house, "reader", "insert into later values (1)")
        assert may(house, "writer", "insert into later values (1)")
    finally:
        with connect(house.dsn("owner"), autocommit=True) as owner:
            owner.execute("drop table public.later cascade")


def test_a_writer_refreshes_rollups_and_stays_a_writer(house):
    with connect(house.dsn("writer"), autocommit=True) as writer:
        put(writer, {"AAA": walk(410, seed=3)})
    refresh_pending(house.dsn("writer"), CRYPTO, D1)
    with connect(house.dsn("writer"), autocommit=True) as writer:
        writer.execute("call hypertape.refresh_rollup('bars.crypto_data_1w', '2020-01-06', '2020-03-02')")
        assert value(writer, "select current_user::text = session_user::text")
        stored = (
            "select sum(volume) from bars.crypto_data_1d where time >= '2020-01-06' and time < '2020-03-02'"
        )
        rolled = (
            "select sum(volume) from bars.crypto_data_1w where time >= '2020-01-06' and time < '2020-03-02'"
        )
        assert value(writer, stored) == pytest.approx(value(writer, rolled))
        with pytest.raises(DatabaseRefused):
            writer.execute("truncate bars.crypto_data_1d")


def test_a_writer_works_through_a_pooler(house):
    """Loads and refreshes over the one connection of a pool, which is the writer's again for whoever has it next."""
    with pooled(house.dsn("writer")) as dsn:
        with connect(dsn, autocommit=True) as connection:
            assert is_pooled(connection)
            put(connection, {"CCC": walk(200, seed=5)})
        assert refresh_pending(dsn, CRYPTO, D1)
        with psycopg.connect(dsn) as other:
            assert (
                other.execute("select current_user, session_user").fetchone()
                == (house.names["writer_login"],) * 2
            )
            assert other.execute(
                "select count(*) from bars.crypto_data_1w where ticker = 'CCC'"
            ).fetchone() > (20,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                other.execute("truncate bars.crypto_data_1d")


def test_a_reader_refreshes_nothing(house):
    with connect(house.dsn("reader"), autocommit=True) as reader, pytest.raises(DatabaseRefused):
        reader.execute("call hypertape.refresh_rollup('bars.crypto_data_1w', '2020-01-06', '2020-03-02')")


@pytest.mark.parametrize("closed", ["open", "compressed"])
def test_a_writer_loads_into_chunks(house, closed):
    """Also where they are compressed: they are opened and closed for it, which only their owner may."""
    with connect(house.dsn("owner"), autocommit=True) as owner:
        if closed == "compressed" and tier(owner) == "timescaledb":
            owner.execute(
                "select compress_chunk(c, if_not_compressed => true) from show_chunks('bars.crypto_data_1d') c"
            )
    with connect(house.dsn("writer"), autocommit=True) as writer:
        assert put(writer, {"CCC": walk(500, seed=4 if closed == "open" else 5)})["CCC"]
        assert value(writer, "select count(*) from bars.crypto_data_1d where ticker = 'CCC'") == 500


def test_applying_again_grants_nothing_anew(house):
    with connect(house.dsn("owner"), autocommit=True) as owner:
        rights = """select array_agg(row(oid, relacl)::text order by oid) from pg_class
            where relnamespace::regnamespace::text in ('public', 'bars', 'published', 'shim')"""
        before = value(owner, rights)
        assert grant(owner, house.roles) == []
        assert value(owner, rights) == before


def test_a_superuser_who_applies_leaves_everything_with_the_owner(house, monkeypatch):
    """A later version brings a table: it is the owner's, and both groups are granted it."""
    from hypertape.warehouse import schema

    known = schema.scripts

    def one_more(current, markets):
        return [
            *known(current, markets),
            schema.Script("migration", "9999_late.sql", "create table public.late (one int)"),
        ]

    monkeypatch.setattr(schema, "scripts", one_more)
    with connect(house.dsn("superuser"), autocommit=True) as superuser:
        assert "9999_late.sql" in apply(superuser, MARKETS)
        assert value(superuser, "select current_user::text = session_user::text")
        assert grant(superuser, house.roles) == []
        owner = value(superuser, "select relowner::regrole::text from pg_class where oid = 'late'::regclass")
        assert owner == house.names["owner_login"]
    assert may(house, "reader", "select * from late")


# --- through the verbs

VERBS = {
    "status": (("schema", "status"), ALL),
    "list": (("findings", "list", "--no-look"), ALL),
    "look": (("findings", "list"), WRITING),
    "digest": (("digest", "-m", "crypto", "-i", "1d"), ALL),
    "export": (("export", "--output", "{tmp}/out", "-m", "crypto", "-i", "1d", "--tickers", "AAA"), ALL),
    "sync": (("sync", "-m", "us", "-i", "1d", "--source", "sample", "--tickers", "SYNCORP", "--no-check"), WRITING),
    "pin": (("pin", "create", "walk-{role}", "-m", "crypto"), WRITING),
    "keys": (("keys", "create", "walk"), OWNING),
    "apply": (("schema", "apply"), OWNING),
}  # fmt: skip


@pytest.mark.parametrize("role", sorted(ALL))
@pytest.mark.parametrize("verb", VERBS)
def test_what_each_role_may_do_by_verbs(house, hypertape_here, monkeypatch, tmp_path, verb, role):
    words, those = VERBS[verb]
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", house.dsn(role))
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("HYPERTAPE_WRITER_ROLE", house.roles.writer)
    monkeypatch.setenv("HYPERTAPE_READER_ROLE", house.roles.reader)
    code, out, err = hypertape_here(*(word.format(tmp=tmp_path, role=role) for word in words))
    assert (code == 0) is (role in those), (out, err)
    if code:
        assert "permission denied" in err or "must be owner" in err


@pytest.mark.parametrize("role", sorted(ALL))
def test_the_doctor_speaks_to_each_role(house, hypertape_here, monkeypatch, tmp_path, role):
    """Nobody but a writer notes findings; everybody is told who may do what, and the same of the tables."""
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", house.dsn(role))
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("HYPERTAPE_WRITER_ROLE", house.roles.writer)
    monkeypatch.setenv("HYPERTAPE_READER_ROLE", house.roles.reader)
    _, out, err = hypertape_here("doctor", "--json")
    levels = {row["what"]: (row["level"], row["finding"]) for row in json.loads(out)}
    assert levels["roles"][0] == "ok", err
    assert house.names["owner_login"] in levels["roles"][1]
    assert levels["permissions"][0] == ("bad" if role == "reader" else "ok")
    assert {"statistics", "workers' clocks", "data"} <= set(levels)


def test_a_writer_runs_the_suite(house, hypertape_here, monkeypatch, tmp_path):
    """It analyses what has grown, which is the owner's act."""
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", house.dsn("writer"))
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path))
    code, out, err = hypertape_here(
        "validate", "-m", "crypto", "-i", "1d", "--start", "2020-01-01", "--end", "2021-03-01"
    )
    assert code in (0, 3), (out, err)
    with connect(house.dsn("reader")) as connection:
        assert value(connection, "select count(*) from quality_result") > 0


# --- through the API


def guarded(house, **environment):
    settings = load_settings(database_url=house.dsn("writer"), reader_database_url=house.dsn("reader"))
    return TestClient(server_app(settings, clock=lambda: NOW), raise_server_exceptions=False)


def test_the_api_reads_as_the_reader_and_writes_as_the_writer(house):
    with connect(house.dsn("owner"), autocommit=True) as owner:
        key = api_keys.create(owner, "walk", "write", now=utc(2020))
    with guarded(house) as client:
        client.headers["Authorization"] = f"Bearer {key}"
        assert client.get("/tickers?symbol=AAA&mode=crypto&interval=1d").status_code == 200
        state = client.app.state.hypertape
        assert (
            state.warehouse.run(lambda c: value(c, "select current_user::text"))
            == house.names["reader_login"]
        )
        assert (
            state.writer.run(lambda c: value(c, "select current_user::text")) == house.names["writer_login"]
        )
        assert client.post("/findings/1/reopen").status_code in (
            200,
            400,
            404,
        )  # it was looked for, and is there or not
        assert client.post("/gaps/reopen?mode=crypto").status_code == 200


def test_every_reading_route_answers_to_the_reader(house):
    """Nothing that is read needs more than the reader may."""
    app = create_app(
        load_settings(database_url="postgresql://nobody@127.0.0.1:1/none", reader_database_url=house.dsn("reader")),
        authorize=lambda access: lambda: None, clock=lambda: NOW,
    )  # fmt: skip
    asked = {
        "symbol": "AAA",
        "mode": "crypto",
        "interval": "1d",
        "timeframe": "1m",
        "market": "crypto",
        "run": "r",
    }
    with TestClient(app, raise_server_exceptions=False) as client:
        answers = {}
        for route in app.routes:
            if isinstance(route, APIRoute) and "GET" in route.methods and route.include_in_schema:
                path = (
                    route.path.replace("{symbol}", "AAA")
                    .replace("{ticker}", "AAA")
                    .replace("{symbol_id}", "1")
                )
                names = {p.alias for p in route.dependant.query_params} & set(asked)
                answers[path] = client.get(path, params={n: asked[n] for n in names})
    wrong = {path: (a.status_code, a.text) for path, a in answers.items() if a.status_code >= 500}
    assert wrong == {}
    assert len(answers) > 15
    assert sum(a.status_code == 200 for a in answers.values()) > 15


def test_an_api_with_the_reader_alone_refuses_to_write(house):
    settings = load_settings(database_url=house.dsn("reader"))
    app = create_app(settings, authorize=lambda access: lambda: None, clock=lambda: NOW)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.post("/gaps/reopen?mode=crypto", headers={"Authorization": "Bearer of a test"})
    assert answer.status_code == 503, answer.text


# --- where the connecting role may not do it all


def test_an_owner_who_may_make_no_roles_is_told_what_to_run(house, hypertape_here, monkeypatch):
    missing = f"walk_missing_{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", house.dsn("owner"))
    monkeypatch.setenv("HYPERTAPE_WRITER_ROLE", f"{missing}_w")
    monkeypatch.setenv("HYPERTAPE_READER_ROLE", f"{missing}_r")
    code, out, _ = hypertape_here("schema", "apply")
    assert code == 0, "the schema itself is whole"
    told = [line.strip() for line in out.splitlines() if line.strip().endswith(";")]
    assert told[:2] == [f'create role "{missing}_w" nologin;', f'create role "{missing}_r" nologin;']
    with psycopg.connect(house.dsn("superuser"), autocommit=True) as superuser:
        for statement in told:
            superuser.execute(statement)
        try:
            code, out, _ = hypertape_here("schema", "apply")
            assert (code, f"{missing}_w may write, {missing}_r may read." in out) == (0, True), out
        finally:
            for name in (f"{missing}_w", f"{missing}_r"):
                superuser.execute(sql.SQL("drop owned by {}").format(sql.Identifier(name)))
                superuser.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_one_name_for_both_is_refused():
    with pytest.raises(BadSetting, match="two names"):
        Roles("tape", "tape")


# --- what docker-compose.yaml starts the server with


def test_the_stack_of_docker_compose_has_its_roles(server_dsn, tmp_path):
    """The script of the server's first start, with names of the test's own, and then what `init` and a task do."""
    stem = f"stack_{uuid.uuid4().hex[:8]}"
    text = (REPOSITORY / "deploy" / "initdb" / "90_roles.sh").read_text()
    renamed = re.sub(
        r"(create role|owner to|owner|grant|to|in role) (hypertape|airflow)", rf"\1 {stem}_\2", text
    )
    renamed = renamed.replace("database airflow", f"database {stem}_airflow")
    script = tmp_path / "roles.sh"
    script.write_text(renamed)
    psql = Path(EmbeddedServer(load_settings(state_dir=tmp_path)).tool("psql"))
    given = conninfo.conninfo_to_dict(server_dsn)
    kinds = (
        "hypertape_api",
        "hypertape_tasks",
        "hypertape_reader",
        "hypertape_writer",
        "hypertape_monitor",
        "hypertape",
        "airflow",
    )
    names = {kind: f"{stem}_{kind}" for kind in kinds}
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("create database {}").format(sql.Identifier(stem)))
        try:
            environment = {
                "PATH": f"{psql.parent}:{os.environ['PATH']}",
                "PGHOST": given["host"], "PGPORT": str(given["port"]), "PGPASSWORD": given["password"],
                "POSTGRES_USER": given["user"], "POSTGRES_DB": stem, "HYPERTAPE_DB_PASSWORD": "own",
                "HYPERTAPE_WRITER_PASSWORD": "write", "HYPERTAPE_READER_PASSWORD": "read", "AIRFLOW_DB_PASSWORD": "fly",
                "MONITOR_DB_PASSWORD": "watch",
            }  # fmt: skip
            done = subprocess.run(
                ["sh", str(script)], env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            logins = {"owner": "hypertape", "writer": "hypertape_tasks", "reader": "hypertape_api"}
            found = House(server_dsn, stem, {f"{role}_login": names[kind] for role, kind in logins.items()})

            def dsn(role, password):
                return conninfo.make_conninfo(found.dsn(role), password=password)

            with connect(dsn("owner", "own"), autocommit=True) as owner:
                apply(owner, MARKETS)
                left = grant(owner, Roles(names["hypertape_writer"], names["hypertape_reader"]))
                assert left == [], "the script has done what only a superuser may"
            with connect(dsn("writer", "write"), autocommit=True) as writer:
                put(writer, {"AAA": walk(40)})
            refresh_pending(dsn("writer", "write"), CRYPTO, D1)
            with connect(dsn("reader", "read"), autocommit=True) as reader:
                assert value(reader, "select count(*) from crypto_data_1w") > 0
                with pytest.raises(DatabaseRefused):
                    reader.execute("delete from bars.crypto_data_1d")
        finally:
            for database in (stem, f"{stem}_airflow"):
                server.execute(
                    sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database))
                )
            for name in names.values():
                server.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(name)))
