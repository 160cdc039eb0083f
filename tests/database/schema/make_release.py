"""Write `release_0_1_0.tar.xz`: the schema of a commit, data that its own code loaded into it, and what it read back.

    python tests/database/schema/make_release.py 0c8f1ee tests/database/schema/release_0_1_0.tar.xz

0c8f1ee is the last commit before the first migration that 0.1.0 does not have (0006); a clone without history cannot
build it, so the file is kept. Inside: `plain.sql` and `timescaledb.sql` (every script of the commit in
its order, with the ledger that says so), a CSV of each table that has rows, and `truth.json` (digests of all series and
rollups). The data is made up and the same each time.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from hypertape.settings import Settings
from hypertape.warehouse.embedded.server import EmbeddedServer

INSIDE = r"""
import hashlib, json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
import numpy as np
import pyarrow as pa
from hypertape import __version__
from hypertape.frame import bar_frame
from hypertape.markets import all_markets
from hypertape.model import Interval, Window
from hypertape.warehouse import load, migrate, read, rollups
from hypertape.warehouse.connect import connect

dsn, out = sys.argv[1], Path(sys.argv[2])
markets = tuple(all_markets().values())
NOW = datetime(2025, 6, 30, tzinfo=UTC)

def frame(ticker, start, width, bars, seed, price):
    random = np.random.default_rng(seed)
    first = int(start.timestamp()) * 1_000_000
    time = first + np.arange(bars) * int(width.total_seconds()) * 1_000_000
    close = np.round(price * np.exp(np.cumsum(random.normal(0, 0.01, bars))), 2)
    opened = np.round(close * random.uniform(0.99, 1.01, bars), 2)
    values = {
        "open": opened, "close": close, "high": np.maximum(opened, close) + 1, "low": np.minimum(opened, close) - 1,
        "volume": np.round(random.uniform(0, 1e6, bars), 3), "adjusted_close": close * 0.9,
    }
    return bar_frame(ticker, time, values)

def put(connection, market, interval, table, run, days=0):
    window = Window(datetime(2010, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    request = load.LoadRequest(market, interval, run, "csv_tree", window, NOW + timedelta(days=days))
    load.load_bars(connection, table, request)
    connection.commit()

with connect(dsn) as connection:
    migrate.apply(connection, markets)
    connection.commit()
    by_code = {m.code: m for m in markets}
    day, hour, minute = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
    D1, H1, M1 = Interval("1d"), Interval("1h"), Interval("1m")
    utc = lambda *parts: datetime(*parts, tzinfo=UTC)
    first = frame("BTC", utc(2023, 1, 1), day, 450, 1, 30_000)
    put(connection, by_code["crypto"], D1, first, "first")
    put(connection, by_code["crypto"], D1, frame("ETH", utc(2023, 6, 1), day, 230, 2, 2_000), "first")
    put(connection, by_code["crypto"], M1, frame("BTC", utc(2025, 6, 1), minute, 1200, 3, 60_000), "first")
    put(connection, by_code["crypto"], H1, frame("BTC", utc(2025, 3, 1), hour, 300, 4, 60_000), "first")
    put(connection, by_code["vn"], D1, frame("VIC", utc(2024, 1, 1), day, 220, 5, 42_000), "first")
    volume = pa.array([v + 1 for v in first.column("volume").to_pylist()], pa.float64())
    changed = first.set_column(first.schema.get_field_index("volume"), "volume", volume).slice(400, 50)
    put(connection, by_code["crypto"], D1, changed, "correction", days=1)
for market in markets:
    for interval in (M1, H1, D1):
        rollups.refresh_pending(lambda autocommit: connect(dsn, autocommit=autocommit), market, interval)
truth = {"version": __version__, "digests": {}, "rollups": {}}
with connect(dsn) as connection:
    for market in markets:
        for interval in (M1, H1, D1):
            for one in read.digests(connection, market, interval, indicators=True):
                truth["digests"]["/".join((market.code, interval.value, one.ticker))] = [one.rows, one.sha256]
        for interval in Interval:
            if interval not in (M1, H1, D1):
                name = market.relation(interval)
                rows = connection.execute(
                    "select coalesce(string_agg(r::text, ';' order by ticker, time), '') from (select ticker, "
                    f"extract(epoch from time)::bigint as time, open, high, low, close from bars.{name}) r"
                ).fetchone()[0]
                truth["rollups"][name] = hashlib.sha256(rows.encode()).hexdigest()
    names = [row[0] for row in connection.execute(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname in ('public', 'bars') order by 1"
    )]
    rolled = {f"bars.{m.relation(i)}" for m in markets for i in Interval if i not in (M1, H1, D1)}
    for name in names:
        if name in rolled or name in ("public.schema_migration", "public.market"):
            continue
        with connection.cursor().copy(f"copy {name} to stdout with (format csv, header)") as copy:
            content = b"".join(bytes(part) for part in copy)
        if content.count(b"\n") > 1:
            (out / f"{name}.csv").write_bytes(content)
    for tier in ("plain", "timescaledb"):
        parts = [(migrate.sql_directory() / "bootstrap.sql").read_text()]
        for script in migrate.scripts(tier, markets):
            name, market = script.key
            parts.append(script.statement().as_string(connection))
            parts.append(
                "insert into public.schema_migration (name, market, sha256, version, tier) values "
                f"('{name}', '{market}', '{script.sha256}', '{__version__}', '{tier}');"
            )
        for m in markets:
            values = ", ".join(f"'{v}'" for v in (m.code, m.table, m.title, m.timezone, m.calendar))
            parts.append(f"insert into market (market, table_name, title, timezone, calendar) values ({values});")
        (out / f"{tier}.sql").write_text("\n".join(parts))
(out / "truth.json").write_text(json.dumps(truth, indent=1, sort_keys=True))
"""


def main(commit: str, target: Path) -> None:
    """Build the warehouse of a commit on a server of its own and pack what it is."""
    with tempfile.TemporaryDirectory(prefix="hypertape-release-") as place:
        directory = Path(place)
        directory.chmod(0o755)
        tree, out = directory / "tree", directory / "out"
        tree.mkdir()
        out.mkdir()
        archive = subprocess.run(["git", "archive", commit], capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(tree, filter="data")
        server = EmbeddedServer(Settings(state_dir=directory / "state"))
        try:
            dsn = server.up()
            environment = {**os.environ, "PYTHONPATH": str(tree / "include"), "TZ": "UTC"}
            subprocess.run([sys.executable, "-c", INSIDE, dsn, str(out)], env=environment, check=True)
        finally:
            server.remove()
        with tarfile.open(target, "w:xz") as packed:
            for path in sorted(out.iterdir()):
                member = packed.gettarinfo(path, path.name)
                member.uid = member.gid = member.mtime = 0
                member.uname = member.gname = ""
                with path.open("rb") as content:
                    packed.addfile(member, content)
        print(
            target, target.stat().st_size, "bytes;", json.loads((out / "truth.json").read_text())["digests"]
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
