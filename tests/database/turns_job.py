"""Another worker: reserves turns of a source and prints them. Arguments: DSN, source, rate, pause, how many."""

from __future__ import annotations

import sys

from hypertape.errors import CircuitOpen
from hypertape.warehouse.source_state import DatabaseThrottle


def main() -> None:
    dsn, source, rate, pause, turns = sys.argv[1:]
    with DatabaseThrottle(dsn, pause=float(pause), rate=lambda gate: float(rate)) as throttle:
        throttle.reserve("warm up")
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range(int(turns)):
            try:
                print(throttle.reserve(source)[0].isoformat(), flush=True)
            except CircuitOpen as error:
                print(f"open: {error}", flush=True)


if __name__ == "__main__":
    main()
