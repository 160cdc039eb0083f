"""Look for gaps outside a run: over everything that was ever asked for, or a window."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hypertape.markets import get_market
from hypertape.model import Interval, Window
from hypertape.warehouse.connect import connect
from hypertape.warehouse.gaps.ledger import note_gaps


def find_gaps(
    dsn: str,
    market: str,
    interval: str,
    *,
    now: datetime,
    window: Window | None = None,
    tickers: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Hold all series (or `tickers`) against the calendar and bring the ledger up to date; return the counts as JSON.

    Without a window, each ticker since it was first asked for or began; with one, its sessions, whether anybody ever
    asked for them or not.
    """
    with connect(dsn) as connection:
        counts = note_gaps(
            connection,
            get_market(market),
            Interval.parse(interval),
            window,
            now,
            f"gaps_find__{now:%Y%m%dT%H%M%S}",
            tickers=tickers,
        )
        connection.commit()
    return counts.to_json()
