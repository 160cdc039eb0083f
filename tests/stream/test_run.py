"""The loop that joins feeds and sinks: who waits for whom, and who does not."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from proxy import forwarding
from websockets.asyncio.client import connect

from hypertape.errors import BadInput, FeedRefused, SpoolFull
from hypertape.stream.database import DatabaseSink
from hypertape.stream.feeds import now_micros, open_feed
from hypertape.stream.model import SCALE, Tick
from hypertape.stream.outlet import Outlet
from hypertape.stream.record import json_of
from hypertape.stream.run import Stream
from hypertape.stream.sinks.rabbitmq import RabbitSink
from hypertape.stream.sinks.websocket import WebSocketSink
from hypertape.stream.writer import WriterOptions

AWAY = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"


def tick(number: int) -> Tick:
    return Tick("EURUSD", 1_767_571_200_000_000 + number, number, 108_455_000, None, SCALE, None, "")


def file_of(directory: Path, count: int, name: str = "ticks.jsonl") -> str:
    path = directory / name
    path.write_bytes(b"".join(json_of(tick(n)) + b"\n" for n in range(1, count + 1)))
    return f"jsonl:{path}"


async def everybody(headers: Mapping[str, str], address: str) -> str:
    return "anybody"


class Slow:
    """A sink that takes a batch when it is let."""

    name = "slow"

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.got: list[int] = []
        self.closed = False

    async def publish(self, ticks: list[Tick]) -> None:
        await self.let.wait()
        self.got += [tick.sequence for tick in ticks]

    async def close(self) -> None:
        self.closed = True


def test_a_sink_that_is_down_holds_up_no_other():
    async def scenario() -> tuple[int, Any]:
        async with forwarding(1) as proxy:
            proxy.refuse = True
            websocket = WebSocketSink("127.0.0.1", 0, everybody)
            await websocket.start()
            url = f"amqp://guest:guest@127.0.0.1:{proxy.port}/"
            broker = Outlet(RabbitSink(url, first_pause=0.05), most_waiting=3000)
            broker.start()
            async with connect(
                f"ws://127.0.0.1:{websocket.port}/ws?topics=ticker:*", max_size=None
            ) as client:
                await client.recv()
                heard = 0
                for start in range(1, 10_001, 1000):
                    ticks = [tick(n) for n in range(start, start + 1000)]
                    await websocket.publish(ticks)
                    broker.offer(ticks)
                    heard += len(json.loads(await asyncio.wait_for(client.recv(), 5))["ticks"])
            await broker.close(0.1)
            await websocket.close()
        return heard, broker

    heard, broker = asyncio.run(scenario())
    assert heard == 10_000
    assert (broker.passed, broker.dropped) == (0, 10_000)


def test_an_outlet_keeps_order_and_leaves_out_the_oldest():
    async def scenario() -> tuple[list[int], int, bool]:
        sink = Slow()
        outlet = Outlet(sink, most_waiting=30)
        outlet.start()
        for start in range(0, 100, 10):
            outlet.offer([tick(n) for n in range(start, start + 10)])
        await asyncio.sleep(0)
        sink.let.set()
        await outlet.close()
        return sink.got, outlet.dropped, sink.closed

    got, dropped, closed = asyncio.run(scenario())
    assert got == sorted(got)
    assert got[-10:] == list(range(90, 100))
    assert (len(got) + dropped, dropped > 0, closed) == (100, True, True)


def test_an_outlet_whose_sink_fails_for_good_says_so_and_counts():
    class Refused(Slow):
        async def publish(self, ticks: list[Tick]) -> None:
            raise FeedRefused("no")

    async def scenario() -> Outlet:
        outlet = Outlet(Refused())
        outlet.start()
        outlet.offer([tick(1)])
        await asyncio.sleep(0.05)
        outlet.offer([tick(2), tick(3)])
        await outlet.close()
        return outlet

    outlet = asyncio.run(scenario())
    assert (outlet.passed, outlet.dropped) == (0, 3)
    assert outlet.error is not None
    assert outlet.error.startswith("no. ")


def test_with_the_spool_full_the_feed_waits_and_nothing_is_dropped(tmp_path, caplog):
    async def scenario() -> Any:
        options = WriterOptions(batch_size=500, interval=0.01, tries=1, retry_delay=0.01, lanes=2)
        database = DatabaseSink(
            AWAY, tmp_path / "spool", options, spool_bytes=100_000, now=lambda: tick(1).time
        )
        stream = Stream([open_feed(file_of(tmp_path, 20_000))], dsn=AWAY, database=database, clock=now_micros)
        running = asyncio.create_task(stream.run())
        while "the feed waits" not in caplog.text:
            assert not running.done()
            await asyncio.sleep(0.05)
        await stream.stop()
        return await asyncio.wait_for(running, 20)

    with caplog.at_level(logging.WARNING, "hypertape.stream"):
        summary = asyncio.run(scenario())
    (figures,) = summary.feeds.values()
    assert isinstance(summary.error, SpoolFull)
    assert summary.error.exit_code == 75
    assert 0 < figures.ticks < 20_000
    assert figures.state == "failed"


def test_a_feed_that_fails_takes_no_other_with_it(tmp_path):
    bad = tmp_path / "ticks.csv"
    bad.write_bytes(b"a,b\n1,2\n")

    async def scenario() -> Any:
        feeds = [open_feed(f"csv:{bad}"), open_feed(file_of(tmp_path, 10))]
        return await Stream(feeds, clock=now_micros).run()

    summary = asyncio.run(scenario())
    assert isinstance(summary.error, BadInput)
    assert summary.feeds["jsonl:ticks.jsonl"].ticks == 10
    assert summary.feeds["csv:ticks.csv"].error is not None


@pytest.mark.parametrize("count", [0, 1])
def test_feeds_of_one_name_are_refused(tmp_path, count):
    feeds = [open_feed(file_of(tmp_path, count)) for _ in range(2)]
    with pytest.raises(BadInput, match="one name"):
        Stream(feeds, clock=now_micros)
