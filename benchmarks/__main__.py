"""`python -m benchmarks`: every measurement, one table, each ratio next to its bar (SPEC 14)."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence

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
    names = ", ".join((*ALONE, *ON_A_SERVER))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller data, for a first impression")
    parser.add_argument("--dsn", help="a server to make a database on; default: an embedded one")
    parser.add_argument(
        "--only", nargs="+", choices=(*ALONE, *ON_A_SERVER), metavar="NAME", help=f"some of them: {names}"
    )
    parser.add_argument(
        "--strict",
        nargs="?",
        type=float,
        const=1.0,
        metavar="SHARE",
        help="exit 1 when a ratio is below its bar, or a share of it; of a share times do not count",
    )
    chosen = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}; ratios are taken in this run\n")
    results: list[Result] = []
    for name, measure in ALONE.items():
        if name in (chosen.only or ALONE):
            results += _show(name, measure(quick=chosen.quick))
    wanted = [name for name in ON_A_SERVER if name in (chosen.only or ON_A_SERVER)]
    if wanted:
        with warehouse(chosen.dsn) as dsn:
            for name in wanted:
                results += _show(name, ON_A_SERVER[name](dsn, quick=chosen.quick))
    below = [result for result in results if not result.passed]
    print(f"{len(results)} figures, {len(below)} below their bar")
    return 0 if chosen.strict is None else judged(results, chosen.strict)


def judged(results: Sequence[Result], share: float) -> int:
    """The exit code. With less than the whole bar, times do not count."""
    failed = [one for one in results if not one.reaches(share) and (share >= 1 or not one.is_time)]
    for result in failed:
        print(f"below {share:g} of its bar: {result.work}")
    return 1 if failed else 0


def _show(title: str, results: list[Result]) -> list[Result]:
    print(f"{title}\n{table(results)}\n", flush=True)
    return results


if __name__ == "__main__":
    sys.exit(main())
