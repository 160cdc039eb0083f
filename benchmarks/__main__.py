"""`python -m benchmarks`: every measurement, one table, each ratio next to its bar (SPEC 14)."""

from __future__ import annotations

import argparse
import platform
import sys

from benchmarks import (
    api,
    daily,
    exchange,
    gaps,
    gate,
    growth,
    indicators,
    load,
    migration,
    operating,
    parquet,
    peers,
    plan,
    reader,
    reads,
    restate,
    ticks,
    workers,
)
from benchmarks.result import Result, table
from benchmarks.server import warehouse

ALONE = {"indicators": indicators.run, "gate": gate.run}
ON_A_SERVER = {
    "load": load.run,
    "peers": peers.run,
    "reads": reads.run,
    "reader": reader.run,
    "parquet": parquet.run,
    "gaps": gaps.run,
    "migration": migration.run,
    "exchange": exchange.run,
    "api": api.run,
    "daily": daily.run,
    "growth": growth.run,
    "plan": plan.run,
    "restate": restate.run,
    "ticks": ticks.run,
    "workers": workers.run,
    "operating": operating.run,
}


def main() -> int:
    """Run the chosen benchmarks and print their tables; exits 1 with --strict when a ratio is below its bar."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller data, for a first impression")
    parser.add_argument("--dsn", help="a server to make a database on; default: an embedded one")
    parser.add_argument("--only", choices=(*ALONE, *ON_A_SERVER), help="one of them")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a ratio is below its bar")
    chosen = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}; ratios are taken in this run\n")
    results: list[Result] = []
    for name, measure in ALONE.items():
        if chosen.only in (None, name):
            results += _show(name, measure(quick=chosen.quick))
    wanted = [name for name in ON_A_SERVER if chosen.only in (None, name)]
    if wanted:
        with warehouse(chosen.dsn) as dsn:
            for name in wanted:
                results += _show(name, ON_A_SERVER[name](dsn, quick=chosen.quick))
    below = [result for result in results if not result.passed]
    print(f"{len(results)} figures, {len(below)} below their bar")
    return 1 if chosen.strict and below else 0


def _show(title: str, results: list[Result]) -> list[Result]:
    print(f"{title}\n{table(results)}\n", flush=True)
    return results


if __name__ == "__main__":
    sys.exit(main())
