"""Ticks to a RabbitMQ topic exchange, each message confirmed by the broker. Names and form: `exchange`.

`publish` returns when every message of the ticks was confirmed; a broker that is away is connected to again
with growing pauses and the ticks are sent again, so that a subscriber may see a tick twice (its key tells) and
misses none that was handed over. Whoever must not wait puts a queue before it (`run.Outlet`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aio_pika
from aio_pika.exceptions import AMQPError, DeliveryError

from hypertape.errors import SourceUnavailable
from hypertape.stream import exchange
from hypertape.stream.model import Tick
from hypertape.stream.record import json_of

IN_FLIGHT = 50
"""Messages that wait for their confirmation at once: by measurement four times the rate of one by one."""

CONFIRM_SECONDS = 30.0

log = logging.getLogger("hypertape.stream.rabbitmq")


class RabbitSink:
    """Publishes to the exchange `market.data`."""

    name = "rabbitmq"

    def __init__(self, url: str | None, *, first_pause: float = 1.0, longest_pause: float = 60.0) -> None:
        """`url` names the broker; raises BadSetting where it cannot. Nothing is connected yet."""
        self._url = exchange.broker_url(url)
        self._backoff = exchange.Backoff(first_pause, longest_pause)
        self._stop = asyncio.Event()
        self._connection: Any = None
        self._exchange: Any = None
        self.published = 0
        """Messages that were confirmed."""

    async def publish(self, ticks: list[Tick]) -> None:
        """Send ticks, a message for each symbol and MOST_TICKS, and wait until all are confirmed.

        Raises FeedRefused for a wrong login, SourceUnavailable when the sink is closed meanwhile.
        """
        waiting = messages_of(ticks)
        while waiting:
            try:
                target = await self._opened()
                while waiting:
                    await self._send(target, waiting[:IN_FLIGHT])
                    del waiting[:IN_FLIGHT]
                self._backoff.reset()
            except (SourceUnavailable, AMQPError, *exchange.Unreachable) as error:
                log.warning("rabbitmq: %s", error or type(error).__name__)
                await self._drop()
                if self._stop.is_set():
                    raise SourceUnavailable("RabbitMQ was away when the stream ended") from error
                await self._backoff.rest(self._stop)

    async def close(self) -> None:
        """End the connection; a `publish` that waits for the broker gives up."""
        self._stop.set()
        await self._drop()

    async def _opened(self) -> Any:
        if self._connection is None or self._connection.is_closed:
            self._connection = await exchange.connect(self._url)
            channel = await self._connection.channel(publisher_confirms=True)
            self._exchange = await exchange.declare(channel)
        return self._exchange

    async def _send(self, target: Any, messages: list[tuple[str, bytes]]) -> None:
        sending = [
            target.publish(_message(body), routing_key=key, mandatory=False, timeout=CONFIRM_SECONDS)
            for key, body in messages
        ]
        for outcome in await asyncio.gather(*sending, return_exceptions=True):
            if isinstance(outcome, DeliveryError):
                raise SourceUnavailable("the broker did not confirm a message") from outcome
            if isinstance(outcome, BaseException):
                raise outcome
        self.published += len(messages)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed:
            try:
                await asyncio.wait_for(connection.close(), 2)
            except (AMQPError, *exchange.Unreachable) as error:
                log.debug("rabbitmq: closing: %s", error)


def messages_of(ticks: list[Tick]) -> list[tuple[str, bytes]]:
    """Routing keys and bodies of some ticks: by symbol, each symbol's in order."""
    by_symbol: dict[str, list[Tick]] = {}
    for tick in ticks:
        by_symbol.setdefault(tick.symbol, []).append(tick)
    return [
        (exchange.routing_key(symbol), b"\n".join(map(json_of, part)))
        for symbol, of_symbol in by_symbol.items()
        for part in _parts(of_symbol)
    ]


def _parts(ticks: list[Tick]) -> list[list[Tick]]:
    most = exchange.MOST_TICKS
    return [ticks[start : start + most] for start in range(0, len(ticks), most)]


def _message(body: bytes) -> aio_pika.Message:
    return aio_pika.Message(
        body, content_type="application/x-ndjson", delivery_mode=aio_pika.DeliveryMode.PERSISTENT
    )
