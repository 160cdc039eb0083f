"""The warehouse of release 0.1.0, as its own code left it, brought up to date: nothing in it changes.

`release_0_1_0.tar.xz` is what `make_release.py` packed: its schema for both tiers, its rows, and what it read back.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest
from lab import put, query, value, walk

from hypertape.markets import all_markets
from hypertape.model import Interval, utc
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import open_findings
from hypertape.warehouse.read import digests
from hypertape.warehouse.schema import apply, status, tier

MARKETS = tuple(all_markets().values())
RELEASE = Path(__file__).with_name("release_0_1_0.tar.xz")


@pytest.fixture(scope="module")
def release():
    """What is in the archive, by name."""
    with tarfile.open(RELEASE) as packed:
        return {member.name: packed.extractfile(member).read().decode() for member in packed.getmembers()}


@pytest.fixture
def old(empty_database, release):
    """A warehouse of 0.1.0 with its rows; where there are chunks, the old ones are compressed."""
    with connect(empty_database, autocommit=True) as connection:
        current = "timescaledb" if "timescaledb" in _offered(connection) else "plain"
        with connection.transaction():
            connection.execute("set local client_min_messages = warning")
            connection.execute("set local search_path = public, shim, bars")
            connection.execute(release[f"{current}.sql"])
        for name, content in release.items():
            if name.endswith(".csv"):
                _fill(connection, name.removesuffix(".csv"), content)
        for relation in _rollups(release) if current == "timescaledb" else ():
            connection.execute(f"call refresh_continuous_aggregate('{relation}', null, null)")
        if current == "plain":
            for relation in _rollups(release):
                connection.execute(f"call hypertape.refresh_rollup('{relation}', null, null)")
        if current == "timescaledb":
            connection.execute(
                "select alter_job(job_id, scheduled => false) from timescaledb_information.jobs"
            )
            for relation in ("crypto_data_1d", "crypto_data_1h", "crypto_data_1m", "market_data_1d"):
                connection.execute(f"select compress_chunk(c) from show_chunks('bars.{relation}') c")
        yield connection


def _offered(connection):
    return {name for (name,) in query(connection, "select name from pg_available_extensions")}


def _fill(connection, relation, content):
    """Rows as they were, their numbers included, and the sequences behind them."""
    columns = content.partition("\n")[0]
    with connection.cursor().copy(
        f"copy {relation} ({columns}) from stdin with (format csv, header)"
    ) as copy:
        copy.write(content)
    for column, sequence in query(
        connection,
        "select attname, pg_get_serial_sequence(%s, attname) from pg_attribute where attrelid = %s::regclass "
        "and attidentity <> ''", relation, relation,
    ):  # fmt: skip
        connection.execute(f"select setval('{sequence}', (select max({column}) from {relation}))")


def _rollups(release):
    """Every rollup, each after the one it stands on."""
    truth = json.loads(release["truth.json"])["rollups"]
    levels = [interval.value for interval in Interval if not interval.is_stored]
    return [f"bars.{name}" for level in levels for name in sorted(truth) if name.endswith(f"_{level}")]


def seen(connection):
    """What the present code reads of it, in the words of the archive's truth."""
    found = {
        f"{market.code}/{interval.value}/{one.ticker}": [one.rows, one.sha256]
        for market in MARKETS
        for interval in market.intervals
        for one in digests(connection, market, interval, indicators=True)
    }
    rolled = {}
    for market in MARKETS:
        for interval in Interval:
            if not interval.is_stored:
                name = market.relation(interval)
                text = value(
                    connection,
                    "select coalesce(string_agg(r::text, ';' order by ticker, time), '') from (select ticker, "
                    f"extract(epoch from time)::bigint as time, open, high, low, close from bars.{name}) r",
                )
                rolled[name] = hashlib.sha256(text.encode()).hexdigest()
    return {"digests": found, "rollups": rolled}


def test_a_warehouse_of_0_1_0_is_upgraded_and_reads_the_same(old, release):
    truth = json.loads(release["truth.json"])
    assert truth["version"] == "0.1.0"
    revisions = query(old, "select * from bar_revision order by 1, 2, 3, 4")
    loads = query(old, "select load_id, run_id, ticker, inserted, updated from load order by 1")
    assert revisions
    ran = apply(old, MARKETS)
    assert any(label.startswith("migrations/") for label in ran)
    assert not any(label.startswith(("migrations/0001", "migrations/0003")) for label in ran), "they ran then"
    assert {entry.state for entry in status(old, MARKETS)} == {"applied"}
    assert seen(old) == {name: truth[name] for name in ("digests", "rollups")}
    assert query(old, "select load_id, run_id, ticker, inserted, updated from load order by 1") == loads
    assert value(old, "select count(*) from bar_revision") == len(revisions)
    if tier(old) == "timescaledb":
        compressed = "select count(*) from timescaledb_information.chunks where is_compressed"
        assert value(old, compressed) > 0, "what was compressed still is, and was read"
    assert apply(old, MARKETS) == []


def test_what_was_upgraded_is_loaded_and_rolled_up_further(old):
    """Into compressed chunks of the old release, too; equal bars are not written again."""
    apply(old, MARKETS)
    fresh = put(old, {"NEW": walk(300, start=utc(2023, 1, 1))})["NEW"]
    assert fresh.inserted == 300
    corrected = put(old, {"ETH": walk(230, start=utc(2023, 6, 1))})["ETH"]
    assert (corrected.updated, corrected.inserted) == (230, 0), "every price is another one"
    assert value(old, "select count(*) from bar_revision where ticker = 'ETH'") == 230


def test_what_was_upgraded_counts_as_published_and_is_well(old):
    apply(old, MARKETS)
    names = "select count(*) from published.crypto_data_1d where ticker = 'BTC'"
    assert value(old, names) == 450
    assert [found.kind for found in open_findings(old, utc(2025, 7, 1)) if found.severity == "critical"] == []
