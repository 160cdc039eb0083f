"""Every other batch of a DAG's runs over vn minutes, as the tasks `extract`, `gate` and `load` do them, a run a round.

Arguments: those of worker_job.py but for the last, and then which half: 0 or 1. Two of these are the two workers of an
executor; the market's clock is simulated as it is there.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from datetime import datetime, timedelta

from hypertape.errors import HypertapeError
from hypertape.model import Window, midnight, parse_instant
from hypertape.settings import load_settings
from hypertape.steps.batch_tasks import extract_or_raise, load_or_raise
from hypertape.steps.plan import plan
from hypertape.steps.run_batch import gate


def main() -> None:
    dsn, tickers, base, anchor, step, rounds, half = sys.argv[1:]
    start, stop = parse_instant(base), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = load_settings(batch_size=len(tickers.split(",")) // 8 or 1)

    def run(number: int, now: datetime) -> None:
        run_id = f"scheduled__{number}"
        planned = plan(
            dsn, "vn", "1m", run_id=run_id, data_interval=Window(midnight(now.date()), now), exact=False, now=now,
            settings=settings, source={"name": "vci"}, tickers=tickers.split(","), shared=True,
        )  # fmt: skip
        asked = left = failed = 0
        for batch in planned.batches[int(half) :: 2]:
            if stop.is_set():
                break
            name = f"bars_vn_1m/{run_id}/extract/{batch.index}/1"
            how = {"settings": settings, "now": now}
            landed = extract_or_raise(dsn, planned.spec, batch, task=name, **how)
            done = load_or_raise(dsn, planned.spec, gate(planned.spec, landed, **how), **how)
            asked, left = asked + done.tickers, left + len(batch.tickers) - done.tickers
            failed += len(done.failed)
        print(f"{number} asked {asked} skipped {left} failed {failed} reclaimed 0 lost 0", flush=True)

    number = 0
    while not stop.wait(max(0.0, float(anchor) + (number + 0.2) * float(step) - time.time())):
        try:
            run(number, start + timedelta(minutes=max(0, min(number, int(rounds)))))
        except HypertapeError as error:
            print(f"waits: {error}", flush=True)
        number = max(number + 1, int((time.time() - float(anchor)) / float(step)))


if __name__ == "__main__":
    main()
