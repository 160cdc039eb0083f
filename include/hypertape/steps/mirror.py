"""Deliver to the mirrors what loads changed: after a run, or when asked."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime

from hypertape.settings import Settings
from hypertape.stores.addresses import CsvOptions, Opening
from hypertape.stores.delivery import Delivered, deliver
from hypertape.stores.mirrors import Mirror, mirrors
from hypertape.stores.parity import Parity, parity
from hypertape.warehouse.connect import connect

_LOG = logging.getLogger(__name__)


def deliver_mirrors(dsn: str, *, now: datetime, settings: Settings) -> dict[str, Delivered]:
    """Deliver to every enabled mirror of this machine and return what was done, by mirror.

    A mirror never fails the run that feeds it: whatever goes wrong is logged, and recorded where the warehouse can be
    reached.
    """
    try:
        with connect(dsn) as connection:
            due = [m for m in mirrors(connection) if m.waiting and m.enabled and settings.delivers_to(m.name)]
        return {done.mirror: done for done in deliver_to(dsn, due, now=now, settings=settings)}
    except Exception:
        _LOG.exception("Mirrors were not delivered to; what they miss stays noted.")
        return {}


def deliver_to(dsn: str, due: Iterable[Mirror], *, now: datetime, settings: Settings) -> list[Delivered]:
    """Deliver to these mirrors, one after the other. Raises only for the warehouse."""
    done = []
    with connect(dsn, autocommit=True) as connection:
        for mirror in due:
            opening = _opening(mirror, now=now, settings=settings)
            done.append(deliver(connection, mirror, opening.open, now=now))
            if complaint := done[-1].complaint:
                _LOG.warning("mirror %s: %s", mirror.name, complaint)
    return done


def check_parity(dsn: str, mirror: Mirror, *, now: datetime, settings: Settings) -> Parity:
    """Compare a mirror with the warehouse, series by series."""
    opening = _opening(mirror, now=now, settings=settings)
    warehouse = Opening("warehouse", settings, now, opening.run_id, dsn).open()
    with closing(warehouse), connect(dsn, autocommit=True) as connection:
        return parity(connection, warehouse, mirror, opening.open, now=now)


def _opening(mirror: Mirror, *, now: datetime, settings: Settings) -> Opening:
    only = mirror.markets[0] if len(mirror.markets) == 1 else None
    return Opening(mirror.address, settings, now, f"mirror__{mirror.name}", csv=CsvOptions(market=only))
