"""The table `finding`: a cause is opened once, kept current while it lasts, closed when it is over.

Who looks holds one lock from the first reading to the commit, so that two who look at once do not open a cause twice or
close what the other has just found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from hypertape.errors import BadInput
from hypertape.model import FINDING_KINDS, format_instant
from hypertape.queries import query
from hypertape.warehouse.locks import lock_name

Connection = psycopg.Connection[Any]

KEPT = timedelta(days=365)
"""For so long closed findings are remembered."""

MOST = 1_000_000
"""More findings than this are never read at once."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Something that is wrong now. `cause` is its identity; what has the same cause is one finding.

    `severity` None is that of the kind. `essence` is what makes it this bad, so that another one is a change; None: its
    tickers. `mend` is a command (or what to do), `link` the address of what shows more.
    """

    cause: str
    kind: str
    title: str
    mend: str = ""
    market: str | None = None
    interval: str | None = None
    tickers: tuple[str, ...] = ()
    severity: str | None = None
    link: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    essence: str | None = None

    @property
    def worth(self) -> str:
        """Its severity."""
        found = self.severity or FINDING_KINDS[self.kind]
        assert found is not None, f"{self.kind} has the severity of what it is about"
        return found

    @property
    def fingerprint(self) -> str:
        """Of its severity and its essence."""
        essence = json.dumps(sorted(self.tickers)) if self.essence is None else self.essence
        return hashlib.sha256(f"{self.worth}\n{essence}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Looked:
    """Where somebody looked: some kinds, of a market and interval or (None) of all. What is not found there is over."""

    kinds: tuple[str, ...]
    market: str | None = None
    interval: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids of the findings that were opened, kept current and closed."""

    opened: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()

    def to_json(self) -> dict[str, int]:
        """The counts."""
        return {"opened": len(self.opened), "kept": len(self.kept), "closed": len(self.closed)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of `finding`. Times are UTC; `quiet`: acknowledged, unchanged since, and not for longer than was said."""

    finding_id: int
    kind: str
    cause: str
    market: str | None
    interval: str | None
    tickers: list[str]
    severity: str
    title: str
    mend: str
    link: str | None
    evidence: dict[str, Any]
    fingerprint: str
    opened_at: datetime
    opened_by: str
    last_seen_at: datetime
    times: int
    closed_at: datetime | None
    closed_by: str | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledged_until: datetime | None
    acknowledged_reason: str | None
    quiet: bool

    @property
    def state(self) -> str:
        """open, acknowledged or closed."""
        return "closed" if self.closed_at else "acknowledged" if self.quiet else "open"

    def to_json(self) -> dict[str, Any]:
        """Everything but the fingerprint, with its state."""
        row = {"state": self.state, **asdict(self)}
        del row["fingerprint"], row["quiet"]
        return row


def hold(connection: Connection) -> None:
    """Wait for whoever looks at this moment; nobody else looks until the transaction ends."""
    lock_name(connection, "findings")


def keep(
    connection: Connection,
    observed: Iterable[Observation],
    looked_at: Iterable[Looked],
    now: datetime,
    run_id: str,
) -> Changes:
    """Open what is new, keep current what is known, close what is over where was looked; the caller commits."""
    by_cause = {seen.cause: seen for seen in observed}
    hold(connection)
    before = {cause: known for looked in looked_at for known, cause in _open_in(connection, looked)}
    found = {
        cause: connection.execute(query("finding_keep"), _row(seen, now, run_id)).fetchone()
        for cause, seen in sorted(by_cause.items())
    }
    over = [known for cause, known in before.items() if cause not in by_cause]
    parameters = {"findings": over, "now": now, "run_id": run_id}
    closed = connection.execute(query("finding_close"), parameters).fetchall()
    connection.execute(query("finding_forget"), {"before": now - KEPT})
    rows = [row for row in found.values() if row is not None]
    return Changes(
        tuple(known for known, opened in rows if opened),
        tuple(known for known, opened in rows if not opened),
        tuple(known for (known,) in closed),
    )


def _open_in(connection: Connection, looked: Looked) -> list[tuple[int, str]]:
    named = {"kinds": list(looked.kinds), "market": looked.market, "interval": looked.interval}
    return connection.execute(query("finding_open_ones"), named).fetchall()


def _row(seen: Observation, now: datetime, run_id: str) -> dict[str, Any]:
    return {
        "cause": seen.cause,
        "kind": seen.kind,
        "market": seen.market,
        "interval": seen.interval,
        "tickers": sorted(seen.tickers),
        "severity": seen.worth,
        "title": seen.title,
        "mend": seen.mend,
        "link": seen.link,
        "evidence": Jsonb(dict(seen.evidence), dumps=_dumps),
        "fingerprint": seen.fingerprint,
        "now": now,
        "run_id": run_id,
    }


def _dumps(value: Any) -> str:
    return json.dumps(
        value, default=lambda other: format_instant(other) if isinstance(other, datetime) else str(other)
    )


def findings(
    connection: Connection,
    now: datetime,
    *,
    finding: int | None = None,
    markets: Sequence[str] | None = None,
    intervals: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    severities: Sequence[str] | None = None,
    closed: bool = False,
    quiet: bool = True,
    after: int = 0,
    most: int = MOST,
) -> list[Finding]:
    """Findings, open ones and of these the worst first; those of no market or interval are of every one."""
    named = {
        "now": now,
        "finding": finding,
        "markets": None if markets is None else list(markets),
        "intervals": None if intervals is None else list(intervals),
        "kinds": None if kinds is None else list(kinds),
        "severities": None if severities is None else list(severities),
        "closed": closed,
        "quiet": quiet,
        "after": after,
        "most": most,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        return [Finding(**row) for row in cursor.execute(query("findings"), named)]


def open_findings(
    connection: Connection,
    now: datetime,
    *,
    markets: Sequence[str] | None = None,
    intervals: Sequence[str] | None = None,
) -> list[Finding]:
    """The open findings that nobody has acknowledged, the worst first: what a headline speaks of."""
    return findings(connection, now, markets=markets, intervals=intervals, quiet=False)


def find(connection: Connection, finding: int, now: datetime) -> Finding:
    """The finding of that number, open or closed. Raises BadInput."""
    found = findings(connection, now, finding=finding, closed=True)
    if not found:
        raise BadInput(f"There is no finding {finding}", next_step="See `hypertape findings list`.")
    return found[0]


def acknowledge(
    connection: Connection,
    finding: int,
    *,
    now: datetime,
    by: str,
    reason: str,
    until: datetime | None = None,
) -> Finding:
    """Put an open finding out of the way until it changes or until `until` (UTC); the caller commits.

    Raises BadInput without a reason, for a time that is over, and for a finding that is not there or closed.
    """
    if not reason.strip():
        raise BadInput("Why it may wait is not said", next_step="Give a reason that others will understand.")
    if until is not None and until <= now:
        raise BadInput(
            f"{format_instant(until)} is over",
            next_step=f"It is {format_instant(now)} (UTC) now: name a later time.",
        )
    return _change(
        connection,
        "finding_acknowledge",
        {"finding": finding, "now": now, "by": by, "until": until, "reason": reason.strip()},
        now,
    )


def reopen(connection: Connection, finding: int, *, now: datetime) -> Finding:
    """Take an acknowledgement back; the caller commits. Raises BadInput for a finding that is not there or closed."""
    return _change(connection, "finding_reopen", {"finding": finding}, now)


def _change(connection: Connection, name: str, named: Mapping[str, Any], now: datetime) -> Finding:
    changed = connection.execute(query(name), named).fetchone()
    found = find(connection, named["finding"], now)
    if changed is None:
        raise BadInput(
            f"Finding {found.finding_id} is closed since {format_instant(found.closed_at or now)}",
            next_step="Nothing is to be done: if it happens again, it is a new finding.",
        )
    return found
