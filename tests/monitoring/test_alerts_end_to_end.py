"""Three alerts from their cause to the message: a stale market, a full queue, a stopped database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from monitors import until
from scene import HOLIDAY, Scene

from hypertape.model import utc
from hypertape.monitoring.registry import listen, registry_of
from hypertape.settings import Settings
from hypertape.warehouse.embedded.server import EmbeddedServer

pytestmark = pytest.mark.thorough  # in every run promtool fires each alert: test_alert_rules.py

STALE = {"market": "vn", "interval": "1d"}


def stale(scene: Scene, state: str = "firing") -> bool:
    return any(STALE.items() <= labels.items() for labels in scene.prometheus.alerts("HypertapeStale", state))


def test_a_stale_market_is_told_on_an_open_day_and_not_on_a_holiday(scene: Scene) -> None:
    scene.now[0] = HOLIDAY
    behind = 'hypertape:staleness_beyond_allowed:sessions{market="vn", interval="1d"}'
    until(lambda: scene.prometheus.value(behind) == 0, "the calendar is not told")
    time.sleep(4)  # twice what the alert waits for
    assert not stale(scene)
    assert not stale(scene, "pending")
    scene.now[0] = utc(2024, 4, 19, 12)  # the Friday has closed: three sessions
    until(lambda: stale(scene), "no alert on the open day")
    (text,) = until(lambda: scene.hook.told("firing", "HypertapeStale vn"), "nobody was told")
    assert "vn 1d is behind its trading calendar." in text
    assert "docs/how-to/monitoring.md#hypertapestale" in text
    scene.now[0] = HOLIDAY
    until(lambda: scene.hook.told("resolved", "HypertapeStale vn"), "nobody was told that it is over")


def fills_up(scene: Scene, first: int) -> bool:
    """Let nobody store a tick and send more than the queue takes; whether the alert came before the spool helped."""
    limit = time.monotonic() + 9  # after ten seconds a slow batch goes to the spool
    with psycopg.connect(scene.dsn) as blocker:
        blocker.execute("lock table bars.ticks in access exclusive mode")
        scene.send_ticks(400, first)
        while time.monotonic() < limit:
            if scene.prometheus.alerts("HypertapeQueueFull"):
                return True
            time.sleep(0.1)
    return False


def test_a_full_queue_is_told(scene: Scene) -> None:
    assert any(fills_up(scene, 1_000_000 * n) for n in (1, 2, 3)), "no alert"
    (text, *_) = until(lambda: scene.hook.told("firing", "HypertapeQueueFull"), "nobody was told")
    assert "The queue ticks of" in text


@pytest.fixture
def stopping(scene: Scene, state_dir: Path) -> Iterator[EmbeddedServer]:
    """A database of its own, and a process that tells whether it reaches it."""
    database = EmbeddedServer(Settings(state_dir=state_dir))
    dsn = database.up()
    registry, _ = registry_of(Settings(), lambda: dsn, clock=lambda: HOLIDAY, parts={})
    server, port = listen(registry, "127.0.0.1", 0)
    scene.watch_worker(f"127.0.0.1:{port}")
    yield database
    server.shutdown()
    server.server_close()


def test_a_stopped_database_is_told(scene: Scene, stopping: EmbeddedServer) -> None:
    until(lambda: scene.prometheus.value("count(hypertape_up == 1)") == 4, "not all are watched")
    assert not scene.prometheus.alerts("HypertapeDatabaseDown")
    stopping.down()
    until(lambda: scene.prometheus.alerts("HypertapeDatabaseDown"), "no alert")
    (text, *_) = until(lambda: scene.hook.told("firing", "HypertapeDatabaseDown"), "nobody was told")
    assert "The warehouse does not answer. (critical;" in text
