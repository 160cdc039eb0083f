"""Who is told of what: the channels that HYPERTAPE_NOTIFY names, and sending through them with Apprise.

    HYPERTAPE_NOTIFY="critical=mailto://… warning@vn,us=slack://… digest=json://…"

Entries are separated by white space. Each is an Apprise address, before it `WHAT=` or `WHAT@MARKETS=`: the least
severity it is told of (critical, warning, note; warning where nothing is said) or `digest` for one list a day.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass

from hypertape.errors import BadSetting
from hypertape.model import CRITICAL, FINDING_SEVERITIES, WARNING

DIGEST = "digest"
WORDS = (*FINDING_SEVERITIES, DIGEST)

_ENTRY = re.compile(
    r"(?:(?P<what>[a-z]+)(?:@(?P<markets>[a-z0-9_]+(?:,[a-z0-9_]+)*))?=)?(?P<address>[a-z][a-z0-9+]*://\S*)"
)


@dataclass(frozen=True, slots=True)
class Channel:
    """One address, what it is told (`least` severity or `digest`) and of which markets (None: all)."""

    address: str
    what: str = WARNING
    markets: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """What it is called where its address, which may hold a password, must not be shown."""
        digest = hashlib.sha256(f"{self.what} {self.markets} {self.address}".encode()).hexdigest()[:8]
        return f"{self.address.partition('://')[0]}-{digest}"

    @property
    def severities(self) -> list[str]:
        """The severities it is told of, none for a digest."""
        return (
            [] if self.what == DIGEST else list(FINDING_SEVERITIES[: FINDING_SEVERITIES.index(self.what) + 1])
        )


def read_channels(text: str | None) -> list[Channel]:
    """Read HYPERTAPE_NOTIFY. Raises BadSetting, which never repeats an address."""
    found = []
    for number, word in enumerate((text or "").split(), 1):
        entry = _ENTRY.fullmatch(word)
        what = entry["what"] or WARNING if entry else ""
        if entry is None or what not in WORDS:
            raise BadSetting(
                f"Entry {number} of HYPERTAPE_NOTIFY cannot be read",
                next_step=f"Write WHAT=ADDRESS or WHAT@MARKET,MARKET=ADDRESS, WHAT one of {', '.join(WORDS)}, "
                "such as critical@vn=mailto://user:password@example.com.",
            )
        markets = entry["markets"]
        found.append(Channel(entry["address"], what, tuple(markets.split(",")) if markets else None))
    return found


def send(channel: Channel, title: str, body: str, severity: str = WARNING) -> str | None:
    """Send a message; None when the channel took it, else what it said."""
    import apprise  # noqa: PLC0415 (takes half a second, and few have a message to send)

    kind = apprise.NotifyType.FAILURE if severity == CRITICAL else apprise.NotifyType.INFO
    sender = apprise.Apprise()
    if not sender.add(channel.address):
        return "the address is none that Apprise knows"
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as lines:  # type: ignore[no-untyped-call]
        taken = sender.notify(body=body, title=title, notify_type=kind)
        said = [line for line in lines.getvalue().splitlines() if line and channel.address not in line]
    return None if taken else (said[-1] if said else "it did not take the message")[:300]
