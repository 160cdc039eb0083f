"""Who minds what: the setting HYPERTAPE_OWNERS, `vn=Data desk, vn 1m=intraday@example.com, backup=ops, *=who else`."""

from __future__ import annotations

from collections.abc import Mapping

from hypertape.errors import BadInput
from hypertape.markets import all_markets
from hypertape.model import FINDING_KINDS, STORED_INTERVALS

EVERYTHING = "*"

Owners = Mapping[str, str]


def read_owners(text: str | None) -> Owners:
    """The owners by what they mind. Raises BadInput for an entry that is not `what=who`, or that speaks of nothing."""
    found: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in (text or "").split(","))):
        what, equals, who = (part.strip() for part in entry.partition("="))
        if not equals or not who or what not in _known():
            raise BadInput(
                f"HYPERTAPE_OWNERS: {entry!r} does not say who minds what",
                next_step="Write what=who, separated by commas. What: a market (vn), one with an interval (vn 1d), "
                f"a kind of finding ({', '.join(FINDING_KINDS)}), or * for all else.",
            )
        found[what] = who
    return found


def owner_of(owners: Owners, kind: str, market: str | None, interval: str | None) -> str:
    """Who minds a finding of a kind and a place, by the most that is said of it; empty where nobody does."""
    said = (kind, f"{market} {interval}", str(market), EVERYTHING)
    return next((owners[what] for what in said if what in owners), "")


def _known() -> set[str]:
    places = {f"{market} {interval.value}" for market in all_markets() for interval in STORED_INTERVALS}
    return {*all_markets(), *places, *FINDING_KINDS, EVERYTHING}
