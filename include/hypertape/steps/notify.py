"""Telling: one message per cause and channel when it opens, one when it closes; written down, and sent until taken.

A message is taken, sent with no transaction open, and noted as sent; a channel gets one after the other. So each
arrives at least once, in order, and twice only where the sender died (or lost the database) between the channel's
taking it and the note: that one message, once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from hypertape import calendars
from hypertape.channels import DIGEST, Channel, read_channels, send
from hypertape.errors import HypertapeError, NotTaken
from hypertape.markets import all_markets
from hypertape.model import format_instant, midnight
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import Look, Looked, headline, keep, open_findings
from hypertape.warehouse.findings.observe_work import see_channels
from hypertape.warehouse.locks import lock_name

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

SILENT_WHILE_CLOSED = ("late",)
"""Kinds that nobody is told of while their market is closed: nothing can come then."""

ALERTS_APART = timedelta(days=1)
"""A task that fails again within this is not told again."""

KEPT = timedelta(days=90)

LEASE = timedelta(minutes=2)
"""How long sending one message may take; whoever took one and says nothing for longer is dead."""


@dataclass(frozen=True, slots=True)
class Told:
    """How many messages were sent, and how many wait, with what the channel said, by channel."""

    sent: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


def tell(dsn: str, *, now: datetime, settings: Settings) -> Told:
    """Write down what is due for every channel, and send all that waits. A channel that fails is a finding.

    Raises BadSetting, and what the warehouse raises; never for a channel.
    """
    channels = read_channels(settings.notify)
    if not channels:
        return Told()
    with connect(dsn) as connection:
        lock_name(connection, "messages")
        for channel in channels:
            _write_due(connection, channel, now)
        connection.execute(query("message_forget"), {"before": now - KEPT})
        connection.commit()
        return _send_all(connection, channels, now)


def alert(dsn: str, cause: str, line: str, *, now: datetime, settings: Settings) -> Told:
    """Tell every channel of critical things a line that is no finding, at most once a day for each cause."""
    channels = read_channels(settings.notify)
    if not channels:
        return Told()
    with connect(dsn) as connection:
        lock_name(connection, "messages")
        for channel in (channel for channel in channels if channel.what != DIGEST):
            said = _was_said(connection, channel, "alert", cause, now - ALERTS_APART)
            if not said:
                _add(connection, channel, "alert", None, cause, f"hypertape: {cause} failed", line, now)
        connection.commit()
        return _send_all(connection, channels, now)


def try_channels(settings: Settings, *, now: datetime) -> dict[str, str | None]:
    """Send every channel a message of no meaning; by channel None, or what it said instead of taking it."""
    body = f"This is a test of {format_instant(now)} (UTC). Nothing is wrong."
    return {each.name: send(each, "hypertape: test", body) for each in read_channels(settings.notify)}


def raise_if_kept(told: Told) -> None:
    """Raise NotTaken where messages wait for a channel."""
    if told.kept:
        said = "; ".join(f"{name}: {error}" for name, error in told.kept.items())
        raise NotTaken(f"Messages wait for their channels: {said}")


def _write_due(connection: Connection, channel: Channel, now: datetime) -> None:
    if channel.what == DIGEST:
        _write_digest(connection, channel, now)
        return
    markets = list(channel.markets) if channel.markets else None
    asked = {"now": now, "channel": channel.name, "severities": channel.severities, "markets": markets}
    for row in _rows(connection, "message_opened", asked):
        if row["cause"] != f"notify/{channel.name}" and not _silent(
            row, now
        ):  # it cannot say that it is mute
            body = f"{row['title']}.\nWhat mends it: {row['mend'] or 'see the runbook'}"
            title = f"hypertape {row['severity']}: {row['title']}"
            _add(connection, channel, "opened", row["finding_id"], row["cause"], title, body, now)
    for row in _rows(connection, "message_closed", {"channel": channel.name}):
        body = f"Over since {format_instant(row['closed_at'])} (UTC): {row['title']}."
        title = f"hypertape over: {row['title']}"
        _add(connection, channel, "closed", row["finding_id"], row["cause"], title, body, now)


def _write_digest(connection: Connection, channel: Channel, now: datetime) -> None:
    """Once a UTC day."""
    if _was_said(connection, channel, "digest", "digest", midnight(now.date())):
        return
    found = open_findings(connection, now, markets=channel.markets)
    lines = [f"{each.severity}: {each.title}. {each.mend}" for each in found]
    body = "\n".join(lines) or "No finding is open."
    _add(connection, channel, "digest", None, "digest", f"hypertape: {headline(found).text}", body, now)


def _silent(row: Row, now: datetime) -> bool:
    market = all_markets().get(row["market"] or "")
    return row["kind"] in SILENT_WHILE_CLOSED and market is not None and not calendars.is_open(market, now)


def _was_said(connection: Connection, channel: Channel, event: str, cause: str, since: datetime) -> bool:
    asked = {"channel": channel.name, "event": event, "cause": cause, "since": since}
    row = connection.execute(query("message_since"), asked).fetchone()
    return bool(row and row[0])


def _add(
    connection: Connection,
    channel: Channel,
    event: str,
    finding: int | None,
    cause: str,
    title: str,
    body: str,
    now: datetime,
) -> None:
    row = {"channel": channel.name, "event": event, "finding": finding, "cause": cause}
    connection.execute(query("message_add"), {**row, "title": title, "body": body, "now": now})


def _send_all(connection: Connection, channels: Sequence[Channel], now: datetime) -> Told:
    sent: dict[str, int] = {}
    kept: dict[str, str] = {}
    for channel in channels:
        count, error = _send_waiting(connection, channel, now)
        sent |= {channel.name: count} if count else {}
        kept |= {channel.name: error} if error else {}
    keep(connection, see_channels(connection, Look(now, "notify")), [Looked(("notify",))], now, "notify")
    connection.commit()
    return Told(sent, kept)


def _send_waiting(connection: Connection, channel: Channel, now: datetime) -> tuple[int, str | None]:
    """Send what waits for a channel, until one is not taken or somebody else sends."""
    count = 0
    while (taken := _take(connection, channel)) is not None:
        message, title, body = taken
        error = send(channel, title, body)
        done = {"message": message, "sent_at": None if error else now, "error": error}
        connection.execute(query("message_sent"), done)
        connection.commit()
        if error:
            return count, error
        count += 1
    return count, None


def _take(connection: Connection, channel: Channel) -> tuple[int, str, str] | None:
    """The next message, which is ours for `LEASE`; commits, so that no channel, however slow, holds a transaction."""
    lock_name(connection, f"messages/{channel.name}")
    asked = {"channel": channel.name, "lease": LEASE}
    row: tuple[int, str, str] | None = connection.execute(query("message_take"), asked).fetchone()
    connection.commit()
    return row


def _rows(connection: Connection, name: str, parameters: Mapping[str, Any]) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query(name), parameters).fetchall()


def alert_or_send(dsn: str, cause: str, line: str, *, now: datetime, settings: Settings) -> None:
    """As `alert`; where the warehouse is away, which may be what failed, the line is sent and not written down."""
    try:
        alert(dsn, cause, line, now=now, settings=settings)
    except HypertapeError:
        for channel in read_channels(settings.notify):
            if channel.what != DIGEST:
                send(channel, f"hypertape: {cause} failed", line)
