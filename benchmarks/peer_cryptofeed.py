"""What the peer's own Python runs: quotes through cryptofeed's PostgreSQL backend, as one of its feeds hands them over.

`python peer_cryptofeed.py '{"host": …, "port": …, "user": …, "password": …, "dbname": …}' QUOTES.jsonl`, a quote a
line: `[symbol, seconds since 1970, bid, ask]`. It prints `{"version": …, "rows": …, "seconds": …}` and imports nothing
of ours.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import json
import sys
import time
from decimal import Decimal
from pathlib import Path

# By name: they are the peer's environment's, and no requirement of ours.
asyncpg = importlib.import_module("asyncpg")
TickerPostgres = importlib.import_module("cryptofeed.backends.postgres").TickerPostgres
Ticker = importlib.import_module("cryptofeed.types").Ticker

TABLE = "cryptofeed_ticker"
AT_ONCE = 1000
"""Quotes that arrive before the writer gets its turn."""


async def measure(given: dict[str, str], quotes: list[list[object]]) -> dict[str, object]:
    """Seconds from the first quote handed over until every one is committed."""
    place = {"host": given.get("host"), "user": given.get("user"), "port": given.get("port")}
    connection = await asyncpg.connect(**place, database=given["dbname"], password=given.get("password"))
    await connection.execute(
        f"create table {TABLE} (id bigserial primary key, timestamp timestamp, receipt timestamp, exchange text, "
        "symbol text, bid numeric(20, 8), ask numeric(20, 8))"
    )
    backend = TickerPostgres(**place, db=given["dbname"], pw=given.get("password"), table=TABLE)
    ticks = [Ticker("PEER", symbol, Decimal(bid), Decimal(ask), at) for symbol, at, bid, ask in quotes]
    backend.start(asyncio.get_running_loop())
    started = time.perf_counter()
    for first in range(0, len(ticks), AT_ONCE):
        for tick in ticks[first : first + AT_ONCE]:
            await backend(tick, tick.timestamp)
        await asyncio.sleep(0)
    await backend.queue.join()
    seconds = time.perf_counter() - started
    stored = await connection.fetchval(f"select count(*) from {TABLE}")
    await backend.stop()
    await connection.execute(f"drop table {TABLE}")
    await connection.close()
    return {"version": importlib.metadata.version("cryptofeed"), "rows": stored, "seconds": seconds}


if __name__ == "__main__":
    where, file = sys.argv[1:]
    lines = Path(file).read_text().splitlines()
    print(json.dumps(asyncio.run(measure(json.loads(where), [json.loads(line) for line in lines]))))
