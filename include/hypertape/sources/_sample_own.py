"""The synthetic set for a market of the user's project: instruments and defects of a shipped market, in its own prices
and along its own calendar.

A market that never closes gets those of crypto, any other those of us.
"""

from __future__ import annotations

from dataclasses import replace
from math import log10, sqrt

from hypertape.markets import crypto, us
from hypertape.model import Market
from hypertape.sources._sample_plan import INSTRUMENTS, PLANTED, Defect, Instrument, Planted

_ROOM = 10.0
"""How far from the edges of its kind's plausible prices a price begins, so that no walk leaves them."""

_BEYOND = 1.75
"""How far a leap of the price goes, in daily limits of its market: what the shipped ones have."""


def pattern_of(market: Market) -> Market:
    """The market whose instruments and defects a market has, as it ships; itself where the set is written for it."""
    if any(instrument.market == market.code for instrument in INSTRUMENTS):
        return market
    return crypto.MARKET if market.is_always_open else us.MARKET


def instruments_of(market: Market) -> tuple[Instrument, ...]:
    """A market's synthetic instruments, sorted by ticker."""
    pattern = pattern_of(market)
    found = sorted((one for one in INSTRUMENTS if one.market == pattern.code), key=lambda one: one.ticker)
    return tuple(found) if pattern is market else tuple(_in_its_prices(one, market) for one in found)


def planted_in(market: Market) -> tuple[Planted, ...]:
    """The defects of the pattern as defects of the market, still on the days of the pattern."""
    pattern = pattern_of(market)
    found = tuple(planted for planted in PLANTED if planted.market == pattern.code)
    if pattern is market:
        return found
    leap = 1.0 + _BEYOND * market.daily_move_limit
    return tuple(
        replace(planted, market=market.code, size=leap if planted.kind is Defect.JUMP else planted.size)
        for planted in found
    )


def _in_its_prices(instrument: Instrument, market: Market) -> Instrument:
    """The same instrument, where its price is another unit in that market with a price in the middle of the range."""
    lowest, highest = market.plausible_prices.get(instrument.kind, (0.0, float("inf")))
    if lowest * _ROOM <= instrument.price <= highest / _ROOM:
        return replace(instrument, market=market.code)
    price = sqrt(lowest * highest)
    tick = instrument.tick * 10.0 ** round(log10(price / instrument.price))
    return replace(instrument, market=market.code, price=price, tick=tick)
