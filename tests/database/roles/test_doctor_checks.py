"""What `doctor` says of roles, statistics, compressed chunks, jobs and workers' clocks: fine at first, then not."""

from __future__ import annotations

import json
import time
import uuid
from datetime import timedelta

import pytest
from lab import put, query, value, walk
from psycopg import sql

from hypertape.markets import all_markets
from hypertape.settings import load_settings
from hypertape.warehouse import doctor_checks
from hypertape.warehouse.claims import working
from hypertape.warehouse.doctor import examine
from hypertape.warehouse.ledger import database_now
from hypertape.warehouse.roles import Roles, grant
from hypertape.warehouse.schema import tier


@pytest.fixture
def seen(connection, tmp_path):
    """Ask the doctor; returns level, finding and mend of one subject, None where it says nothing of it."""

    def look(subject, **settings):
        given = load_settings(state_dir=tmp_path, database_url=connection.info.dsn, **settings)
        found = examine(connection, tuple(all_markets().values()), given, now=database_now(connection))
        return next(((f.level, f.finding, f.mend) for f in found if f.subject == subject), None)

    return look


def test_roles_that_are_missing_granted_and_lacking_something(connection, seen):
    names = {kind: f"doctor_{uuid.uuid4().hex[:8]}_{kind}" for kind in ("writer", "reader")}
    given = {f"{kind}_role": name for kind, name in names.items()}
    level, text, _ = seen("roles", **given)
    assert (level, names["writer"] in text) == ("note", True)
    grant(connection, Roles(**names))
    try:
        level, text, _ = seen("roles", **given)
        if tier(connection) == "plain":
            assert (level, f"{names['writer']} writes" in text) == ("ok", True)
        else:  # the tests' owner is a superuser, who is never lent
            assert (level, "may not refresh the rollups" in text) == ("note", True)
        connection.execute(
            sql.SQL("revoke select on finding from {}").format(sql.Identifier(names["reader"]))
        )
        level, text, mend = seen("roles", **given)
        assert (level, f"finding for {names['reader']}" in text, "schema apply" in mend) == (
            "note",
            True,
            True,
        )
    finally:
        for name in names.values():
            connection.execute(sql.SQL("drop owned by {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_statistics_that_are_too_old(connection, seen, monkeypatch):
    assert seen("statistics")[0] == "ok"
    monkeypatch.setattr(doctor_checks, "_FEW_CHANGES", 1_000)
    connection.execute("alter table gap set (autovacuum_enabled = off)")
    connection.execute(
        "insert into gap (market, interval, ticker, start_time, end_time, bars, reason, found_run) "
        "select 'crypto', '1d', 'G' || n, now(), now() + interval '1 day', 1, 'unknown', 'doctor' "
        "from generate_series(1, 2000) as n"
    )
    connection.execute("select pg_stat_force_next_flush()")
    level, text, mend = seen("statistics")
    assert (level, "gap" in text, "analyze gap" in mend) == ("note", True, True)
    connection.execute("analyze gap")
    connection.execute("select pg_stat_force_next_flush()")
    assert seen("statistics")[0] == "ok"


def test_a_compressed_chunk_that_changes_have_blown_up(connection, seen, monkeypatch):
    if tier(connection) == "plain":  # there are none, and nothing is said of them
        assert seen("compressed chunks") is None
        return
    put(connection, {"AAA": walk(300)})
    connection.execute("select compress_chunk(c) from show_chunks('bars.crypto_data_1d') c")
    monkeypatch.setattr(doctor_checks, "_BLOATED_BYTES", 100_000)
    assert seen("compressed chunks")[0] == "ok"
    put(connection, {f"B{n:03d}": walk(300, seed=n) for n in range(20)})
    connection.execute("select hypertape.open_chunk(c::text) from show_chunks('bars.crypto_data_1d') c")
    connection.execute("select compress_chunk(c) from show_chunks('bars.crypto_data_1d') c")
    assert seen("compressed chunks")[0] == "ok", "compressed anew it has the size that it should have"
    many = "update bars.crypto_data_1d set volume = volume + 1 where time >= '2020-01-01' and time < '2021-01-01'"
    connection.execute(many)
    level, text, mend = seen("compressed chunks")
    assert (level, "_hyper_" in text, "hypertape.close_chunk" in mend) == ("note", True, True)


def test_a_job_that_failed(connection, seen):
    if tier(connection) == "plain":  # there are none, and nothing is said of them
        assert seen("jobs") is None
        return
    connection.execute(
        "create procedure public.breaks(job int, config jsonb) language plpgsql as $$ begin perform 1 / 0; end $$"
    )
    job = value(connection, "select add_job('public.breaks', interval '1 hour', initial_start => now())")
    deadline = time.monotonic() + 90
    while not query(
        connection,
        "select from timescaledb_information.job_stats where job_id = %s and total_failures > 0",
        job,
    ):
        assert time.monotonic() < deadline, "the job did not run"
        time.sleep(0.2)
    found = [
        (f.level, f.finding) for f in doctor_checks.see_jobs(connection) if f"breaks ({job})" in f.finding
    ]
    assert [level for level, _ in found] == ["note"]


def test_a_worker_whose_clock_is_off(warehouse, connection, seen):
    with working(warehouse, "worker") as worker:
        assert seen("workers' clocks")[0] == "ok"
        ahead = value(connection, "select ahead from worker_heartbeat where worker_id = %s", worker.worker_id)
        assert abs(ahead) < timedelta(seconds=5), "this host is the server's"
        connection.execute("update worker_heartbeat set ahead = interval '-90 seconds'")
        level, text, _ = seen("workers' clocks")
        assert (level, "is 90 s behind the server" in text) == ("bad", True)
    assert seen("workers' clocks")[0] == "ok", "who has left is asked no more"


def test_the_verb_says_all_of_it_as_json_and_by_its_exit_code(command_line):
    code, out, _ = command_line("doctor", "--json")
    rows = json.loads(out)
    subjects = {row["what"] for row in rows}
    assert {"roles", "statistics", "workers' clocks", "schema", "data"} <= subjects
    assert code == int(any(row["level"] == "bad" for row in rows))
