"""`amqp:QUEUE`: ticks from a RabbitMQ queue, each message one or more lines of jsonl. The broker is
HYPERTAPE_RABBITMQ_URL.

The queue is declared durable, its refused and pushed-out messages go to `market.data.dlx`; with `key=tick.#`
it is bound to `exchange` (default `market.data`). One that exists already is taken as it is. A message is
acknowledged when the batch with its ticks was accepted, so that one that was on its way when we ended comes
again: the same tick twice is one. A broker that is away is connected to again with growing pauses; its queue
keeps what comes meanwhile, so that is no gap. `prefetch` says how many messages may be on their way at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from aio_pika.exceptions import AMQPError, ChannelPreconditionFailed

from hypertape.errors import BadInput, FeedRefused, SourceUnavailable
from hypertape.stream import exchange
from hypertape.stream.feeds import Address, FeedConfig
from hypertape.stream.feeds._sequence import Sequences
from hypertape.stream.feeds._silence import watched
from hypertape.stream.model import Event, Feed, Rejected
from hypertape.stream.record import BadRecord, tick_of_json

OPTIONS = ("source", "numbering", "silence", "key", "exchange", "prefetch")
EXAMPLE = "amqp:ticks?key=tick.%23"

log = logging.getLogger("hypertape.stream.amqp")


def build(address: Address, config: FeedConfig) -> Feed:
    """Build the feed. Raises BadInput for a name that no queue can have, BadSetting without a broker."""
    if not address.rest or len(address.rest.encode()) > 255 or address.rest.startswith("amq."):
        raise BadInput(f"{address} names no queue", next_step=f"Write it as {EXAMPLE}.")
    return AmqpFeed(address, config)


class AmqpFeed:
    """One queue."""

    live = True

    def __init__(self, address: Address, config: FeedConfig) -> None:
        given = address.options
        self.name = given.get("source") or str(address)
        self._queue, self._key = address.rest, given.get("key")
        self._exchange = given.get("exchange") or exchange.EXCHANGE
        self._prefetch = int(address.number("prefetch", 100, least=1, most=10_000))
        self._url = exchange.broker_url(config.rabbitmq_url)
        self.numbering = address.choice("numbering", "symbol", "feed", "none")
        self._sequences = Sequences(self.name, self.numbering)
        self._silence, self._clock = address.number("silence", 0.0), config.clock
        self._backoff = exchange.Backoff(config.first_pause, config.longest_pause)
        self._stop = asyncio.Event()

    def run(self) -> AsyncGenerator[list[Event]]:
        """Yield what the queue holds and gets, until the feed is closed. Raises FeedRefused for a wrong login."""
        return watched(self._batches(), self.name, self._silence, self._clock)

    async def close(self) -> None:
        """Stop consuming; what was not acknowledged stays in the queue."""
        self._stop.set()

    async def _batches(self) -> AsyncGenerator[list[Event]]:
        while not self._stop.is_set():
            try:
                connection = await exchange.connect(self._url)
                async with connection, aclosing(self._consume(connection)) as consumed:
                    async for events in consumed:
                        yield events
            except ChannelPreconditionFailed as error:
                raise FeedRefused(
                    f"{self.name}: {error}", next_step="Check the queue's name and rights."
                ) from error
            except (SourceUnavailable, AMQPError, *exchange.Unreachable) as error:
                log.warning("%s: %s", self.name, error or type(error).__name__)
            if not self._stop.is_set():
                await self._backoff.rest(self._stop)

    async def _consume(self, connection: Any) -> AsyncGenerator[list[Event]]:
        """Messages as they come; those that lie ready together are one batch, acknowledged when the next is
        asked for.
        """
        arrived: asyncio.Queue[Any] = asyncio.Queue()
        connection.close_callbacks.add(lambda *_: arrived.put_nowait(None))
        channel = await connection.channel(publisher_confirms=False)
        channel.close_callbacks.add(lambda *_: arrived.put_nowait(None))
        await channel.set_qos(prefetch_count=self._prefetch)
        queue = await self._declared(connection, channel)
        await queue.consume(arrived.put)
        self._backoff.reset()
        while messages := await self._next(arrived):
            events = [event for message in messages for event in self._events(message.body)]
            if events:
                yield events
            await messages[-1].ack(multiple=True)

    async def _declared(self, connection: Any, channel: Any) -> Any:
        """The queue: as it is where it exists, else durable with our exchange of the dead."""
        looking = await connection.channel(publisher_confirms=False)
        await exchange.declare(looking)
        try:
            await looking.get_queue(self._queue, ensure=True)
            arguments = None
        except AMQPError:
            arguments = {"x-dead-letter-exchange": exchange.DEAD_EXCHANGE}
        if not looking.is_closed:
            await looking.close()
        if arguments is None:
            queue = await channel.get_queue(self._queue)
        else:
            queue = await channel.declare_queue(self._queue, durable=True, arguments=arguments)
        if self._key is not None:
            await queue.bind(self._exchange, self._key)
        return queue

    async def _next(self, arrived: asyncio.Queue[Any]) -> list[Any]:
        """Everything that lies ready; nothing when the connection ended or the feed was closed."""
        getting = asyncio.ensure_future(arrived.get())
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({getting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not getting.done():
            getting.cancel()
            return []
        messages = [getting.result()]
        while not arrived.empty() and messages[-1] is not None:
            messages.append(arrived.get_nowait())
        return [] if None in messages or self._stop.is_set() else messages

    def _events(self, body: bytes) -> list[Event]:
        events: list[Event] = []
        for line in body.split(b"\n"):
            if line.strip():
                try:
                    tick = tick_of_json(line, self.name)
                except BadRecord as error:
                    events.append(Rejected(self.name, line, str(error)))
                else:
                    events += [*self._sequences.see(tick), tick]
        return events
