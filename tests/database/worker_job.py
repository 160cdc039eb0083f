"""A `hypertape worker` of vn minutes whose market clock is simulated. Arguments: DSN, tickers, and the clock's: the
simulated start, the real start, real seconds a round, and rounds after which the market clock stands still; and whether
the suite runs.

Each round of the database's clock is a minute of the market's. Otherwise the program is `hypertape worker`'s: rounds,
claims and heartbeats go by real time.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from datetime import datetime, timedelta

from hypertape.markets import get_market
from hypertape.model import Interval, parse_instant
from hypertape.settings import load_settings
from hypertape.steps.work_order import Round, WorkOrder
from hypertape.steps.worker import work


def main() -> None:
    dsn, tickers, base, anchor, step, rounds, check = sys.argv[1:]
    start, stop = parse_instant(base), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def clock() -> datetime:
        passed = int((time.time() - float(anchor)) / float(step))
        return start + timedelta(minutes=max(0, min(passed, int(rounds))))

    def tell(done: Round) -> None:
        print(
            f"{done.begun:%H:%M:%S} asked {len(done.asked)} skipped {len(done.skipped)} failed {len(done.failures)} "
            f"reclaimed {len(done.reclaimed)} lost {len(done.lost)} {done.error or ''}",
            flush=True,
        )

    every = timedelta(seconds=float(step))
    order = WorkOrder(
        get_market("vn"), (Interval.M1,), every, every, tickers=tickers.split(","), source={"name": "vci"},
        check=check == "check",
    )  # fmt: skip
    work(
        dsn, order, settings=load_settings(), clock=clock, stop=stop, on_round=tell,
        on_trouble=lambda error: print(f"waits: {error}", flush=True),
    )  # fmt: skip


if __name__ == "__main__":
    main()
