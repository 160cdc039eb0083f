"""Shards: every ticker in exactly one of them, on every host."""

from __future__ import annotations

import pytest

from hypertape.errors import BadInput
from hypertape.steps.work_order import Shard


def test_every_ticker_is_in_one_shard():
    shards = [Shard(index, 4) for index in (1, 2, 3, 4)]
    held = {
        name: [shard.index for shard in shards if shard.holds(name)]
        for name in map("T{:03}".format, range(300))
    }
    assert {len(found) for found in held.values()} == {1}
    counts = [sum(index in found for found in held.values()) for index in (1, 2, 3, 4)]
    assert min(counts) > 50


def test_a_ticker_stays_in_its_shard():
    """The hash is no seed of this process's: these are what every host says."""
    assert [name for name in ("VCB", "VIC", "FPT", "HPG", "BTC") if Shard(1, 2).holds(name)] == [
        "VCB",
        "VIC",
        "BTC",
    ]


@pytest.mark.parametrize("text", ["", "1", "0/4", "5/4", "1/0", "a/b", "1/4/2", "-1/4"])
def test_no_shard(text: str):
    with pytest.raises(BadInput, match="1/4"):
        Shard.parse(text)
