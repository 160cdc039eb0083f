"""Whom a connection counts for, and which one goes when there are too many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hypertape.api.connection_limits import (
    Arrival,
    ConnectionLimits,
    ConnectionRegister,
    caller_of,
    proxy_networks,
)


@dataclass(eq=False)
class Line:
    """A connection that remembers what was done to it."""

    caller: str | None
    waiting: bool = True
    is_cut: bool = False

    def waits(self) -> bool:
        return self.waiting

    def cut(self) -> None:
        self.is_cut = True

    def check(self, now: float) -> None:
        self.cut()


@pytest.mark.parametrize(
    ("address", "caller", "reason"),
    [
        ("192.0.2.7", "192.0.2.7", "one machine, or one household"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "a customer has all of a /64"),
        ("::ffff:192.0.2.7", "192.0.2.7", "the same machine on a socket for both"),
        ("", "", "a Unix socket has no address"),
    ],
)
def test_a_connection_counts_for_whom_it_comes_from(address: str, caller: str, reason: str) -> None:
    assert caller_of(address) == caller, reason


@pytest.mark.parametrize(
    ("named", "address", "trusted"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.0/24, 2001:db8::1", "192.0.2.99", True),
        ("192.0.2.0/24, 2001:db8::1", "2001:db8::1", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("", "127.0.0.1", False),
        ("proxy.example", "127.0.0.1", False),
        ("192.0.2.7", "", False),
    ],
)
def test_connections_of_named_proxies_are_not_counted(named: str, address: str, trusted: bool) -> None:
    assert ConnectionLimits(proxies=proxy_networks(named)).is_proxy(address) is trusted


def in_a_loop(work: Callable[[], None]) -> None:
    """Run what needs an event loop."""

    async def run() -> None:
        work()

    asyncio.run(run())


def test_the_oldest_that_waits_makes_room() -> None:
    def work() -> None:
        register = ConnectionRegister(ConnectionLimits(clients=10, clients_each=3))
        busy, old, new = Line("a", waiting=False), Line("a"), Line("a")
        assert all(map(register.admit, (busy, old, new)))
        assert register.admit(Line("a"))
        assert (busy.is_cut, old.is_cut, new.is_cut) == (False, True, False)
        assert len(register.open) == 3

    in_a_loop(work)


def test_who_is_answered_is_never_closed_for_a_newcomer() -> None:
    def work() -> None:
        register = ConnectionRegister(ConnectionLimits(clients=10, clients_each=2))
        busy = [Line("a", waiting=False), Line("a", waiting=False)]
        assert all(map(register.admit, busy))
        assert not register.admit(Line("a"))
        assert register.admit(Line("b")), "another caller has places of its own"
        register.release(busy[0])
        assert register.admit(Line("a"))
        assert [line.is_cut for line in busy] == [False, False]

    in_a_loop(work)


def test_the_caller_with_the_most_waiting_makes_room_for_all() -> None:
    def work() -> None:
        register = ConnectionRegister(ConnectionLimits(clients=5, clients_each=4))
        few, many = Line("a"), [Line("b") for _ in range(4)]
        assert register.admit(few)
        assert all(map(register.admit, many))
        assert register.admit(Line("c"))
        assert not few.is_cut, "it is the oldest, but its caller has one"
        assert many[0].is_cut

    in_a_loop(work)


def test_connections_of_a_proxy_make_room_only_when_all_are_too_many() -> None:
    def work() -> None:
        register = ConnectionRegister(ConnectionLimits(clients=4, clients_each=1))
        lines = [Line(None) for _ in range(4)]
        assert all(map(register.admit, lines))
        assert not any(line.is_cut for line in lines)
        assert register.admit(Line(None))
        assert lines[0].is_cut
        for line in (*lines, *register.open):
            register.release(line)
        assert (register.open, register.by_caller) == ({}, {})

    in_a_loop(work)


def test_time_runs_for_the_head_and_then_for_the_body() -> None:
    now = [0.0]
    arrival = Arrival(ConnectionLimits(request_seconds=10, request_bytes=2000), lambda: now[0])
    arrival.expect()
    assert (arrival.due, arrival.in_head) == (10.0, False)
    now[0] = 4.0
    arrival.begin()
    assert (arrival.due, arrival.in_head) == (14.0, True)
    arrival.bytes += 2001
    assert arrival.is_too_large
    arrival.head_is_whole()
    assert (arrival.due, arrival.in_head, arrival.in_body, arrival.is_too_large) == (14.0, False, True, False)
    now[0] = 9.0
    arrival.later()
    assert arrival.due == 19.0
    arrival.is_whole()
    arrival.later()
    assert arrival.due is None
