"""What a user would load bars with instead: dlt's `merge` on the same bars and the same server.

dlt does less: it merges rows by their key, in its own schema of plain tables. It refuses and flags nothing, computes no
indicators, keeps no former values, and writes all rows again on a re-run. The documents' upsert is measured by `load`,
pgloader by `migration`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
from benchmarks.child import CommandFailed, environment, output_of
from benchmarks.data import DONG, walks
from benchmarks.load import START, clear, load_seconds
from benchmarks.result import Result
from psycopg import conninfo

from hypertape.model import BAR_COLUMNS
from hypertape.warehouse.connect import connect

TIMES = 5.0
"""SPEC 14: so many times dlt's speed, on the first load and again."""


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure on 4 series of 50,000 (quick: 10,000) minutes."""
    series, bars = 4, 10_000 if quick else 50_000
    frame = walks(series, bars, START, timedelta(minutes=1), tick=DONG)
    with connect(dsn) as connection:
        clear(connection)
        own = {name: load_seconds(connection, frame) for name in ("first", "again")}
    with tempfile.TemporaryDirectory(prefix="hypertape_bench_") as directory:
        file = Path(directory) / "bars.parquet"
        pq.write_table(frame.select(BAR_COLUMNS), file)
        try:
            told = _dlt(dsn, file, Path(directory))
        except (CommandFailed, OSError) as error:
            print(error, file=sys.stderr)
            return [Result("dlt cannot be had here, no ratio", 0.0, "rows/s")]
    rows, results = series * bars, list[Result]()
    for name, words in (("first", "first load"), ("again", "the same again")):
        peer = float(told[name])
        results += [
            Result(
                f"{words}, {rows:,} bars (vs dlt merge)", rows / own[name], "rows/s", peer / own[name], TIMES
            ),
            Result(f"{words}, dlt {told['version']} merge: no gate, no revisions", rows / peer, "rows/s"),
        ]
    return results


def _dlt(dsn: str, file: Path, directory: Path) -> dict[str, float]:
    python = environment(directory / "dlt", "dlt[postgres]", "pyarrow")
    script = str(Path(__file__).with_name("peer_dlt.py"))
    quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR", "HOME": str(directory)}
    command = [python, script, _uri(dsn), str(file), str(directory / "pipelines")]
    told: dict[str, float] = json.loads(output_of(command, quiet | {"PATH": os.environ["PATH"]}))
    return told


def _uri(dsn: str) -> str:
    parts = conninfo.conninfo_to_dict(dsn)
    login = f"{parts['user']}:{parts['password']}" if parts.get("password") else parts["user"]
    return f"postgresql://{login}@{parts['host']}:{parts.get('port', 5432)}/{parts['dbname']}"
