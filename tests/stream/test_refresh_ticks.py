"""`refresh_ticks`: candles brought up to date exactly where ticks came and nobody did it, then old ticks let go."""

from __future__ import annotations

from typing import Any

import pytest
from ticks_lab import (
    DAY_ONE,
    NOON,
    assert_candles_are_right,
    compress_all,
    feed,
    refresh,
    rows,
    store,
    tick,
    value,
)

from hypertape.errors import CheckFailed
from hypertape.frame import instant
from hypertape.model import utc
from hypertape.settings import load_settings
from hypertape.steps.candles import refresh_ticks, retain_ticks
from hypertape.stream.rollups import refresh_candles
from hypertape.stream.tick_table import DAY

pytestmark = pytest.mark.database


def test_only_where_ticks_came_and_nobody_refreshed(warehouse: str, connection: Any) -> None:
    early = feed(200, seed=1, span=DAY // 24)
    store(warehouse, early)
    refresh(connection)  # what a stream does itself
    assert refresh_ticks(warehouse, "dag").to_json() == {"busy": False, "ranges": [], "buckets": 0}
    compress_all(connection)
    late = tick("S0", NOON + 1, 9_000_000)
    store(warehouse, [late])
    done = refresh_ticks(warehouse, "dag")
    ranges = {(each["timeframe"], each["start"], each["end"]) for each in done.to_json()["ranges"]}
    assert ("1m", "2026-01-05T12:00:00", "2026-01-05T12:01:00") in ranges
    assert ("1d", "2026-01-05", "2026-01-06") in ranges
    assert len(ranges) == 7
    assert done.buckets >= 7
    assert_candles_are_right(connection, [*early, late])
    assert value(connection, "select count(*) from tick_pending") == 0


def test_what_somebody_else_refreshes_is_left_to_them(warehouse: str, connection: Any) -> None:
    store(warehouse, [tick()])
    connection.execute(
        "update tick_state set refresh_holder = 'stream', refresh_until = clock_timestamp() + interval '1 minute'"
    )
    assert refresh_ticks(warehouse, "dag").to_json()["busy"] is True
    assert value(connection, "select count(*) from tick_pending") == 1


def test_candles_that_are_not_what_their_ticks_make_are_told(
    warehouse: str, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refresh_and_write(connection: Any, holder: str) -> Any:
        done = refresh_candles(connection, holder)
        connection.execute("update bars.ticks set ask_price = ask_price + 1")  # by hand: it leaves no note
        return done

    store(warehouse, [tick()])
    monkeypatch.setattr("hypertape.steps.candles.refresh_candles", refresh_and_write)
    with pytest.raises(CheckFailed, match="1 buckets of 1m"):
        refresh_ticks(warehouse, "dag")


def test_old_ticks_go_and_their_candles_stay(warehouse: str, connection: Any) -> None:
    ticks = feed(100, span=DAY // 24)
    store(warehouse, ticks)
    settings = load_settings(tick_keep_days=30)
    now = instant(DAY_ONE + 32 * DAY)
    assert retain_ticks(warehouse, "dag", now=now, settings=settings) == utc(2026, 1, 7)
    assert rows(connection, "select count(*) from ticks") == [(0,)]
    assert value(connection, "select sum(tick_count) from ohlc_1d") == len(ticks)
    assert retain_ticks(warehouse, "dag", now=now, settings=settings) == utc(2026, 1, 7), "again"
