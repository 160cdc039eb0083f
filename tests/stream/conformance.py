"""What every feed must do, whatever it reads. A feed's tests bring a Player, which plays a script to it.

A script is a list of words: `tick` the next tick, `bad` a record that is none, `skip` one that is left out,
`repeat` the last tick again. `CHECKS` are the laws; a new feed is held to them by one more Player.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from hypertape.stream.model import Event, Feed, FeedGap, GapFilled, Rejected, Tick

SECONDS = 20


@dataclass
class Played:
    """A feed to which a script is played, and what it should make of it."""

    feed: Feed
    ticks: list[Tick] = field(default_factory=list)
    bad: list[bytes] = field(default_factory=list)
    ends: bool = False
    """Whether the feed ends by itself when the script is over."""
    taken: Callable[[], Awaitable[int]] | None = None
    """How many ticks have left the other side."""


class Player(Protocol):
    """Plays scripts to one kind of feed."""

    def __call__(self, script: Sequence[str]) -> AbstractAsyncContextManager[Played]: ...


async def collect(feed: Feed, enough: Callable[[list[Event]], bool] | None = None) -> list[Event]:
    """What a feed yields, to its end or until it is enough; then the feed is closed."""
    events: list[Event] = []
    async with asyncio.timeout(SECONDS):
        async for batch in feed.run():
            assert batch, "an empty batch"
            events += batch
            if enough is not None and enough(events):
                await feed.close()
    return events


def of(kind: type[Any], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def heard(play: Player, script: Sequence[str]) -> tuple[Played, list[Event]]:
    """What a feed makes of a script."""
    async with play(script) as played:
        wanted = len(played.ticks), len(played.bad)

        def all_of_it(events: list[Event]) -> bool:
            return (len(of(Tick, events)), len(of(Rejected, events))) >= wanted

        return played, await collect(played.feed, None if played.ends else all_of_it)


async def ticks_come_whole_and_in_order(play: Player) -> None:
    played, events = await heard(play, ["tick"] * 25)
    assert of(Tick, events) == played.ticks
    assert len(played.ticks) == 25
    assert {tick.source for tick in of(Tick, events)} == {played.feed.name}
    assert of(Rejected, events) == of(FeedGap, events) == []
    assert played.feed.numbering in ("symbol", "feed", "session", "none")
    assert isinstance(played.feed.live, bool)


async def a_bad_record_is_kept_whole_and_stops_nothing(play: Player) -> None:
    played, events = await heard(play, ["tick", "bad", "tick", "tick"])
    (rejected,) = of(Rejected, events)
    assert rejected.record == played.bad[0]
    assert rejected.error
    assert rejected.source == played.feed.name
    assert of(Tick, events) == played.ticks


async def a_number_left_out_is_a_gap(play: Player) -> None:
    played, events = await heard(play, ["tick", "tick", "skip", "tick"])
    before, after = played.ticks[1], played.ticks[2]
    (gap,) = [gap for gap in of(FeedGap, events) if gap.reason == "sequence"][:1]
    assert (gap.last_sequence, gap.first_sequence) == (before.sequence, after.sequence)
    assert gap.source == played.feed.name
    assert gap.start == before.time
    assert of(GapFilled, events) == []


async def a_repeated_tick_is_passed_on(play: Player) -> None:
    played, events = await heard(play, ["tick", "tick", "repeat", "tick"])
    assert of(Tick, events) == played.ticks
    assert played.ticks[1] == played.ticks[2]
    assert of(FeedGap, events) == []


async def nobody_asks_so_nothing_is_read(play: Player) -> None:
    async with play(["tick"] * 40_000) as played, asyncio.timeout(SECONDS):
        assert played.taken is not None
        batches = played.feed.run()
        first = await anext(batches)
        while not of(Tick, first):
            first = await anext(batches)
        before = -1
        while (taken := await played.taken()) != before:
            before = taken
            await asyncio.sleep(0.3)
        assert len(first) <= taken < 40_000
        await played.feed.close()
        await batches.aclose()  # type: ignore[attr-defined]


async def close_ends_it(play: Player) -> None:
    async with play(["tick"] * 3) as played, asyncio.timeout(SECONDS):
        batches = played.feed.run()
        await anext(batches)
        await played.feed.close()
        async for _ in batches:
            pass
        await played.feed.close()


CHECKS = (
    ticks_come_whole_and_in_order,
    a_bad_record_is_kept_whole_and_stops_nothing,
    a_number_left_out_is_a_gap,
    a_repeated_tick_is_passed_on,
    nobody_asks_so_nothing_is_read,
    close_ends_it,
)
