"""What the RabbitMQ sink and the feed `amqp` agree on: exchanges, keys, the form of a message, and connecting.

| name | what |
|---|---|
| `market.data` | topic exchange, durable: where ticks are published with the key `tick.SYMBOL` |
| `market.data.dlx` | topic exchange, durable: where queues of ours send what a consumer refuses or a limit pushes out |
| `market.data.dead` | durable queue behind it, bound with `#`: what nobody took |

A message holds ticks of one symbol, a line of jsonl each (`application/x-ndjson`), at most MOST_TICKS.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any
from urllib.parse import urlsplit

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPConnectionError, AuthenticationError, ProbableAuthenticationError

from hypertape.errors import BadSetting, FeedRefused, SourceUnavailable

EXCHANGE, DEAD_EXCHANGE, DEAD_QUEUE = "market.data", "market.data.dlx", "market.data.dead"
MOST_TICKS = 100
"""Ticks of a message: by measurement, a hundred a message carry fifty times the ticks of one."""

CONNECT_SECONDS = 10.0

Unreachable = (AMQPConnectionError, ConnectionError, OSError, TimeoutError)
"""What a broker that is away raises."""


def routing_key(symbol: str) -> str:
    """The key of a symbol's ticks. A point in a symbol makes two words of it: bind `tick.#` to see all."""
    return f"tick.{symbol}"


def broker_url(url: str | None) -> str:
    """The broker's address as given. Raises BadSetting where there is none."""
    if not url:
        raise BadSetting(
            "No RabbitMQ is named",
            next_step="Set HYPERTAPE_RABBITMQ_URL, as in amqp://user:password@localhost:5672/.",
        )
    if not url.startswith(("amqp://", "amqps://")):
        raise BadSetting(
            "HYPERTAPE_RABBITMQ_URL is no broker's address", next_step="It starts with amqp:// or amqps://."
        )
    return url


def place_of(url: str) -> str:
    """The address without its user and password, for messages."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5672}"


async def connect(url: str) -> AbstractConnection:
    """Connect once. Raises SourceUnavailable where nobody answers, FeedRefused for a wrong user or password."""
    try:
        return await asyncio.wait_for(aio_pika.connect(url, timeout=CONNECT_SECONDS), CONNECT_SECONDS)
    except (AuthenticationError, ProbableAuthenticationError) as error:
        raise FeedRefused(
            f"RabbitMQ at {place_of(url)} refuses the login", next_step="Correct HYPERTAPE_RABBITMQ_URL."
        ) from error
    except Unreachable as error:
        raise SourceUnavailable(
            f"RabbitMQ at {place_of(url)} does not answer: {error or type(error).__name__}",
            next_step="Start it or correct HYPERTAPE_RABBITMQ_URL.",
        ) from error


async def declare(channel: Any) -> Any:
    """Declare exchanges and the queue of the dead; return the exchange that ticks go to."""
    exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    dead = await channel.declare_exchange(DEAD_EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    queue = await channel.declare_queue(DEAD_QUEUE, durable=True)
    await queue.bind(dead, "#")
    return exchange


class Backoff:
    """Growing pauses between attempts, with jitter so that many do not come back at once."""

    def __init__(self, first: float = 1.0, longest: float = 60.0) -> None:
        self._first, self._longest = first, longest
        self._next = first

    def reset(self) -> None:
        """Begin with the first pause again: an attempt succeeded."""
        self._next = self._first

    async def rest(self, stop: asyncio.Event) -> None:
        """Wait, twice as long as the last time; less when `stop` is set."""
        seconds, self._next = self._next, min(2 * self._next, self._longest)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds * random.uniform(0.5, 1.0))
