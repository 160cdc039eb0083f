"""`jsonl:FILE`, `jsonl:DIRECTORY`, `jsonl:-`: a tick a line, as `{"symbol": "EURUSD", "time":
"2026-01-05T00:00:00.123456Z", "sequence": 17, "bid": "1.08455", "ask": "1.08457", "bid_volume": "1",
"ask_volume": "2"}`. What a field may hold: `record`.

A number may also stand without quotes; it is read as it is written. A directory's files that end in .jsonl are
read in the order of their names.
"""

from __future__ import annotations

from hypertape.stream.feeds import Address, FeedConfig
from hypertape.stream.feeds._lines import OPTIONS as OPTIONS
from hypertape.stream.feeds._lines import LineFeed
from hypertape.stream.model import Feed
from hypertape.stream.record import tick_of_json

EXAMPLE = "jsonl:ticks.jsonl"


def build(address: Address, config: FeedConfig) -> Feed:
    """Build the feed. Raises SourceFileMissing for a file that is not there."""
    return LineFeed(address, config, ".jsonl", lambda: tick_of_json)
