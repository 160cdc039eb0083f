"""RabbitMQ both ways, against a real broker: the feed `amqp` by the laws of every feed, the sink with its confirms."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import aio_pika
import pytest
from broker import Broker, running_broker
from conformance import CHECKS, Played, collect, of
from proxy import forwarding

from hypertape.errors import BadSetting, FeedRefused, SourceUnavailable
from hypertape.stream.exchange import DEAD_EXCHANGE, DEAD_QUEUE, EXCHANGE, declare
from hypertape.stream.feeds import FeedConfig, open_feed
from hypertape.stream.model import SCALE, Rejected, Tick
from hypertape.stream.record import json_of
from hypertape.stream.sinks.rabbitmq import RabbitSink, messages_of

START = 1_767_571_200_000_000  # 2026-01-05


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with running_broker() as broker:
        yield broker


def tick(number: int, source: str = "amqp:lab", symbol: str = "EURUSD") -> Tick:
    return Tick(symbol, START + number, number, 108_455_000 + number, 108_457_000, SCALE, None, source)


def a_queue() -> str:
    return f"q-{uuid.uuid4().hex[:10]}"


@asynccontextmanager
async def channel_to(url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    connection = await aio_pika.connect(url)
    async with connection:
        yield await connection.channel(publisher_confirms=True)


class QueuePlayer:
    """Plays to the feed of a queue: a message for each word, several lines to a message where they are ticks."""

    def __init__(self, url: str) -> None:
        self._url = url

    @asynccontextmanager
    async def __call__(self, script: Sequence[str]) -> AsyncIterator[Played]:
        name = a_queue()
        feed = open_feed(f"amqp:{name}?prefetch=5", FeedConfig(rabbitmq_url=self._url))
        played = Played(feed)
        number = 0
        lines = []
        for word in script:
            number += word in ("tick", "skip")
            if word in ("tick", "repeat"):
                played.ticks.append(tick(number, feed.name))
                lines.append(json_of(played.ticks[-1]))
            elif word == "bad":
                lines.append(b"\x00 no line")
                played.bad.append(lines[-1])
        async with channel_to(self._url) as channel:
            queue = await channel.declare_queue(name, durable=True)
            for start in range(0, len(lines), 100):
                body = b"\n".join(lines[start : start + 100])
                await channel.default_exchange.publish(aio_pika.Message(body), name)

            async def taken() -> int:
                found = await channel.declare_queue(name, passive=True)
                return len(script) - 100 * (found.declaration_result.message_count or 0)

            played.taken = taken
            yield played
            await queue.delete(if_unused=False, if_empty=False)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_feed(broker, check):
    asyncio.run(check(QueuePlayer(broker.url)))


def test_what_was_not_accepted_comes_again(broker):
    async def scenario() -> tuple[list[int], list[int]]:
        name = a_queue()
        config = FeedConfig(rabbitmq_url=broker.url)
        async with channel_to(broker.url) as channel:
            await channel.declare_queue(name, durable=True)
            for number in range(1, 7):
                await channel.default_exchange.publish(aio_pika.Message(json_of(tick(number))), name)
            feed = open_feed(f"amqp:{name}?prefetch=2", config)
            batches = feed.run()
            first = await anext(batches)
            await batches.aclose()  # as a killed stream does: the batch was handed over and never accepted
            second = await collect(
                open_feed(f"amqp:{name}", config), lambda events: len(of(Tick, events)) >= 6
            )
        return [t.sequence for t in of(Tick, first)], [t.sequence for t in of(Tick, second)]

    first, second = asyncio.run(scenario())
    assert set(first) <= {1, 2}
    assert second == [1, 2, 3, 4, 5, 6]


def test_a_tick_reaches_a_subscriber_by_its_symbol(broker):
    async def scenario() -> dict[str, list[bytes]]:
        sink = RabbitSink(broker.url)
        heard: dict[str, list[bytes]] = {}
        async with channel_to(broker.url) as channel:
            exchange = await declare(channel)
            queues = {
                key: await channel.declare_queue(exclusive=True)
                for key in ("tick.EURUSD", "tick.#", "tick.*")
            }
            for key, queue in queues.items():
                await queue.bind(exchange, key)
            await sink.publish([tick(1), tick(2, symbol="BRK.B"), tick(3)])
            for key, queue in queues.items():
                heard[key] = []
                while (message := await queue.get(fail=False, no_ack=True)) is not None:
                    assert message.content_type == "application/x-ndjson"
                    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
                    heard[key].append(message.body)
        await sink.close()
        return heard

    heard = asyncio.run(scenario())
    eur = json_of(tick(1)) + b"\n" + json_of(tick(3))
    assert heard["tick.EURUSD"] == [eur]
    assert heard["tick.#"] == [eur, json_of(tick(2, symbol="BRK.B"))]
    assert heard["tick.*"] == [eur]  # a point in a symbol makes two words of it


def test_a_message_holds_a_hundred_ticks_at_most():
    messages = messages_of([tick(number) for number in range(250)])
    assert [body.count(b"\n") + 1 for _, body in messages] == [100, 100, 50]
    assert {key for key, _ in messages} == {"tick.EURUSD"}


def test_a_broker_that_was_away_gets_everything_in_order(broker):
    async def scenario() -> list[int]:
        name = a_queue()
        async with forwarding(broker.port) as proxy, channel_to(broker.url) as channel:
            queue = await channel.declare_queue(name, durable=True)
            await queue.bind(await declare(channel), "tick.EURUSD")
            sink = RabbitSink(
                f"amqp://guest:guest@127.0.0.1:{proxy.port}/", first_pause=0.05, longest_pause=0.2
            )
            await sink.publish([tick(1)])
            proxy.refuse = True
            proxy.cut()
            sending = asyncio.create_task(sink.publish([tick(2), tick(3)]))
            await asyncio.sleep(0.4)
            assert not sending.done(), "publish must wait for its confirmation"
            proxy.refuse = False
            await asyncio.wait_for(sending, 15)
            await sink.close()
            found: list[int] = []
            while (message := await queue.get(fail=False, no_ack=True)) is not None:
                found += [
                    int(line.split(b'"sequence":')[1].split(b",")[0]) for line in message.body.split(b"\n")
                ]
            await queue.delete(if_unused=False, if_empty=False)
        return found

    assert asyncio.run(scenario()) == [1, 2, 3]


def test_the_feed_comes_back_when_its_connection_breaks(broker):
    async def scenario() -> list[int]:
        name = a_queue()
        async with forwarding(broker.port) as proxy, channel_to(broker.url) as channel:
            url = f"amqp://guest:guest@127.0.0.1:{proxy.port}/"
            config = FeedConfig(rabbitmq_url=url, first_pause=0.05, longest_pause=0.2)
            feed = open_feed(f"amqp:{name}?key=tick.EURUSD", config)
            seen: list[int] = []

            async def consume() -> None:
                async for batch in feed.run():
                    seen.extend(t.sequence for t in of(Tick, batch))
                    if len(set(seen)) == 3:
                        await feed.close()

            task = asyncio.create_task(consume())
            sink = RabbitSink(broker.url)
            while not await _is_bound(broker.url, name):
                await asyncio.sleep(0.05)
            await sink.publish([tick(1)])
            while not seen:
                await asyncio.sleep(0.02)
            proxy.cut()
            await sink.publish([tick(2), tick(3)])
            await asyncio.wait_for(task, 15)
            await sink.close()
            await channel.queue_delete(name)
        return seen

    assert sorted(set(asyncio.run(scenario()))) == [1, 2, 3]


async def _is_bound(url: str, name: str) -> bool:
    try:
        async with channel_to(url) as channel:
            await channel.declare_queue(name, passive=True)
    except aio_pika.exceptions.ChannelNotFoundEntity:
        return False
    await asyncio.sleep(0.1)
    return True


def test_what_a_consumer_refuses_goes_to_the_dead(broker):
    async def scenario() -> bytes:
        name = a_queue()
        feed = open_feed(f"amqp:{name}?key=tick.EURUSD", FeedConfig(rabbitmq_url=broker.url))
        running = asyncio.create_task(collect(feed))
        while not await _is_bound(broker.url, name):
            await asyncio.sleep(0.05)
        await feed.close()
        await running
        sink = RabbitSink(broker.url)
        await sink.publish([tick(1)])
        await sink.close()
        async with channel_to(broker.url) as channel:
            queue = await channel.get_queue(name)
            message = await queue.get(timeout=5)
            await message.reject(requeue=False)
            dead = await channel.get_queue(DEAD_QUEUE)
            found = await dead.get(timeout=5)
            await found.ack()
            assert found.headers["x-first-death-queue"] == name
            assert found.exchange == DEAD_EXCHANGE
            await channel.queue_delete(name)
        return found.body

    assert asyncio.run(scenario()) == json_of(tick(1))


def test_lines_of_a_message_that_are_no_ticks_lose_no_others(broker):
    async def scenario() -> list[object]:
        name = a_queue()
        async with channel_to(broker.url) as channel:
            await channel.declare_queue(name, durable=True)
            body = b"\n".join([json_of(tick(1)), b"{", b"", json_of(tick(2))])
            await channel.default_exchange.publish(aio_pika.Message(body), name)
            feed = open_feed(f"amqp:{name}", FeedConfig(rabbitmq_url=broker.url))
            events = await collect(feed, lambda events: len(of(Tick, events)) == 2)
            await channel.queue_delete(name)
        return [event.record if isinstance(event, Rejected) else event.sequence for event in events]

    assert asyncio.run(scenario()) == [1, b"{", 2]


def test_a_wrong_password_ends_it_and_is_not_told(broker):
    url = broker.url.replace("guest:guest", "guest:secret-1")
    with pytest.raises(FeedRefused, match="refuses the login") as told:
        asyncio.run(RabbitSink(url).publish([tick(1)]))
    assert "secret-1" not in str(told.value)
    with pytest.raises(FeedRefused, match="refuses the login"):
        asyncio.run(collect(open_feed("amqp:any", FeedConfig(rabbitmq_url=url))))


def test_a_sink_that_is_closed_stops_waiting_for_its_broker():
    async def scenario() -> None:
        async with forwarding(1) as proxy:
            proxy.refuse = True
            sink = RabbitSink(f"amqp://guest:guest@127.0.0.1:{proxy.port}/", first_pause=0.05)
            sending = asyncio.create_task(sink.publish([tick(1)]))
            await asyncio.sleep(0.2)
            await sink.close()
            with pytest.raises(SourceUnavailable, match="was away"):
                await asyncio.wait_for(sending, 5)

    asyncio.run(scenario())


@pytest.mark.parametrize(("url", "said"), [(None, "No RabbitMQ is named"), ("http://x", "amqp://")])
def test_a_broker_that_cannot_be_is_refused_at_once(url, said):
    with pytest.raises(BadSetting, match=said):
        RabbitSink(url)


def test_the_exchange_is_the_documents(broker):
    async def scenario() -> None:
        async with channel_to(broker.url) as channel:
            await declare(channel)
            await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True, passive=True)

    asyncio.run(scenario())
    assert EXCHANGE == "market.data"
