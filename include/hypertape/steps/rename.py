"""Renaming a ticker: its series under the new name, and its rollups made anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from hypertape.errors import BadInput
from hypertape.markets import get_market
from hypertape.quality.gate_rules import is_ticker
from hypertape.steps.refresh import refresh_waiting
from hypertape.steps.spelling import require_source
from hypertape.warehouse.connect import connect
from hypertape.warehouse.symbology import Renamed, keepers, spell, spelled, spellings
from hypertape.warehouse.symbology import rename as move


def rename(
    dsn: str,
    market: str,
    old: str,
    new: str,
    on: date,
    *,
    run_id: str,
    now: datetime,
    kept_by: Sequence[str] = (),
) -> Renamed:
    """Let a ticker's series go on under another name from a day on, and refresh its rollups.

    The vendors of `kept_by`, and those whose list has the old name and not the new one, are asked by what they call it
    until then.

    Raises BadInput for a day to come and for a name that can be no ticker, and what `symbology.rename` raises.
    """
    of_market = get_market(market)
    if on > now.date():
        raise BadInput(
            f"{on} is to come", next_step="Rename on that day: until then its vendor knows the old name."
        )
    if not is_ticker(new):
        raise BadInput(f"{new!r} can be no ticker", next_step="Letters, digits and .-_^= are.")
    for vendor in kept_by:
        require_source(vendor)
    with connect(dsn) as connection:
        before = spelled(connection, of_market, now.date())
        done = move(connection, of_market, old, new, on)
        if done.rows:
            noted = {*kept_by, *keepers(connection, of_market, old, new)}
        else:  # done before: what was noted then, or since, stays
            dated = spellings(connection, of_market.code, None, [new])
            noted = {*kept_by} - {row["source"] for row in dated if row["since"] is not None}
        for vendor in sorted(noted):
            spell(connection, of_market, new, vendor, before.symbol_at(vendor, old), on)
        connection.commit()
    for interval in of_market.intervals:
        refresh_waiting(dsn, run_id, of_market.code, interval.value, now)
    return done
