"""Messages: one when a finding opens, one when it closes, nothing per run; kept until the channel takes them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from lab import Connection

from hypertape.channels import Channel, read_channels
from hypertape.errors import BadSetting, NotTaken
from hypertape.model import utc
from hypertape.settings import Settings
from hypertape.steps.notify import alert, raise_if_kept, tell, try_channels
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import Looked, Observation, acknowledge, findings, keep, open_findings
from message_hook import Hook

NOW = utc(2024, 4, 1, 3)
"""A Monday in which Ho Chi Minh City trades (10:00 there)."""

NIGHT = utc(2024, 4, 1, 18)
DEAD = Observation("source/yahoo", "source", "yahoo does not answer", "hypertape source status")


class Teller:
    """Findings of one kind that come and go, and whoever is told of them."""

    def __init__(self, dsn: str, connection: Connection, state: Path) -> None:
        self.dsn, self.connection, self.state = dsn, connection, state

    def settings(self, notify: str) -> Settings:
        return Settings(state_dir=self.state, notify=notify)

    def look(self, *seen: Observation, at: Any = NOW) -> None:
        keep(self.connection, seen, [Looked(("source", "late", "flags"))], at, "run")


@pytest.fixture
def teller(warehouse: str, connection: Connection, tmp_path: Path) -> Teller:
    return Teller(warehouse, connection, tmp_path)


def test_an_outage_of_three_days_is_two_messages(teller: Teller, hook: Hook) -> None:
    settings = teller.settings(f"critical={hook.address}")
    for hour in range(72):
        teller.look(DEAD, at=NOW + timedelta(hours=hour))
        tell(teller.dsn, now=NOW + timedelta(hours=hour), settings=settings)
    for hour in range(72, 75):
        teller.look(at=NOW + timedelta(hours=hour))
        tell(teller.dsn, now=NOW + timedelta(hours=hour), settings=settings)
    assert hook.titles == [
        "hypertape critical: yahoo does not answer",
        "hypertape over: yahoo does not answer",
    ]
    assert "hypertape source status" in hook.taken[0]["message"]


def test_a_channel_that_fails_is_a_finding_and_loses_nothing(teller: Teller, hook: Hook) -> None:
    settings, hook.status = teller.settings(hook.address), 500
    teller.look(DEAD)
    told = tell(teller.dsn, now=NOW, settings=settings)
    with pytest.raises(NotTaken, match="Messages wait"):
        raise_if_kept(told)
    assert [each.kind for each in open_findings(teller.connection, NOW)] == ["source", "notify"]
    teller.look()
    tell(teller.dsn, now=NOW, settings=settings)
    assert hook.taken == []
    hook.status = 200
    assert tell(teller.dsn, now=NOW, settings=settings).kept == {}
    assert hook.titles[:2] == [
        "hypertape critical: yahoo does not answer",
        "hypertape over: yahoo does not answer",
    ]
    assert open_findings(teller.connection, NOW) == []
    assert hook.address not in json.dumps(
        teller.connection.execute("select * from message").fetchall(), default=str
    )


HOLDING = """
select state, query from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and state like 'idle in transaction%'
"""


def test_a_slow_channel_holds_no_transaction(teller: Teller, hook: Hook) -> None:
    """While it makes up its mind, messages can be read, written and even altered, and others look for what is wrong."""
    seen: list[Any] = []

    def look_around() -> None:
        with connect(teller.dsn) as other:
            other.execute("set lock_timeout = 1000")
            other.execute("lock table message, finding in access exclusive mode")
            seen.append(other.execute(HOLDING).fetchall())

    teller.look(DEAD)
    teller.connection.commit()
    hook.before_answer = look_around
    assert tell(teller.dsn, now=NOW, settings=teller.settings(hook.address)).kept == {}
    assert seen == [[]]


def test_two_who_tell_at_once_send_each_message_once_and_in_order(teller: Teller, hook: Hook) -> None:
    settings = teller.settings(hook.address)
    teller.look(*(Observation(f"loads/{n}", "source", f"cause {n}") for n in range(6)))
    teller.connection.commit()
    tellers = [threading.Thread(target=tell, args=(teller.dsn,), kwargs={"now": NOW, "settings": settings})
               for _ in range(3)]  # fmt: skip
    for each in tellers:
        each.start()
    for each in tellers:
        each.join()
    assert hook.titles == [f"hypertape critical: cause {n}" for n in range(6)]


def test_who_dies_while_sending_repeats_that_message_alone(teller: Teller, hook: Hook) -> None:
    """Killed after the channel took the first of two messages, before that is noted."""
    teller.look(DEAD, Observation("loads/b", "source", "b does not answer"))
    teller.connection.commit()
    environment = {"HYPERTAPE_DATABASE_URL": teller.dsn, "HYPERTAPE_NOTIFY": hook.address}
    program = subprocess.Popen(
        [sys.executable, "-m", "hypertape.cli", "notify", "send"], env={**os.environ, **environment}
    )
    hook.before_answer = program.kill
    assert program.wait(timeout=60) == -signal.SIGKILL
    hook.before_answer = lambda: None
    settings = teller.settings(hook.address)
    tell(teller.dsn, now=NOW, settings=settings)
    first, second = "hypertape critical: b does not answer", "hypertape critical: yahoo does not answer"
    assert hook.titles == [first], "it may still be on its way"
    teller.connection.execute(
        "update message set taken_until = clock_timestamp() where taken_until is not null"
    )
    teller.connection.commit()
    for _ in range(2):
        tell(teller.dsn, now=NOW, settings=settings)
    assert hook.titles == [first, first, second]


def test_nothing_is_said_at_night_about_a_closed_market(teller: Teller, hook: Hook) -> None:
    settings = teller.settings(hook.address)
    late = Observation("late/vn/1d", "late", "vn is late", market="vn", interval="1d")
    teller.look(late)
    tell(teller.dsn, now=NIGHT, settings=settings)
    assert hook.taken == []
    tell(teller.dsn, now=NOW + timedelta(days=1), settings=settings)
    assert hook.titles == ["hypertape warning: vn is late"]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("critical=", ["dead"]),  # nothing milder
        ("", ["dead", "late"]),  # warning is usual
        ("note@us=", ["dead"]),  # what is of no market is everybody's
        ("note@vn=", ["dead", "late", "flag"]),
    ],
)
def test_a_channel_is_told_by_severity_and_market(
    teller: Teller, hook: Hook, entry: str, told: list[str]
) -> None:
    seen = (
        Observation("a", "source", "dead"),
        Observation("b", "late", "late", market="vn", interval="1d"),
        Observation("c", "flags", "flag", market="vn", interval="1d"),
    )
    teller.look(*seen)
    tell(teller.dsn, now=NOW, settings=teller.settings(entry + hook.address))
    assert sorted(title.split(": ")[1] for title in hook.titles) == sorted(told)


def test_an_acknowledged_finding_is_not_told(teller: Teller, hook: Hook) -> None:
    teller.look(DEAD)
    (found,) = findings(teller.connection, NOW)
    acknowledge(teller.connection, found.finding_id, now=NOW, by="me", reason="known")
    tell(teller.dsn, now=NOW, settings=teller.settings(hook.address))
    assert hook.taken == []


def test_a_digest_comes_once_a_day(teller: Teller, hook: Hook) -> None:
    teller.look(DEAD)
    for hour in (0, 1, 20, 22):  # NOW is 03:00: two days
        tell(teller.dsn, now=NOW + timedelta(hours=hour), settings=teller.settings(f"digest={hook.address}"))
    assert hook.titles == ["hypertape: yahoo does not answer"] * 2


def test_a_task_that_fails_again_and_again_is_told_once_a_day(teller: Teller, hook: Hook) -> None:
    for hour in (0, 1, 23, 25):
        at = NOW + timedelta(hours=hour)
        alert(teller.dsn, "bars_vn_1d/load", "it failed", now=at, settings=teller.settings(hook.address))
    assert hook.titles == ["hypertape: bars_vn_1d/load failed"] * 2


class Inbox:
    """What a mail server received."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd asks for it)
        self.mails.append(envelope.content)
        return "250 taken"


def test_a_mail_arrives(teller: Teller) -> None:
    inbox = Inbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        settings = teller.settings(
            f"critical=mailto://127.0.0.1:{port}?from=a@example.com&to=b@example.com&mode=insecure"
        )
        teller.look(DEAD)
        assert tell(teller.dsn, now=NOW, settings=settings).kept == {}
        assert list(try_channels(settings, now=NOW).values()) == [None]
    finally:
        server.stop()
    assert len(inbox.mails) == 2
    assert b"yahoo does not answer" in inbox.mails[0]


def test_channels_are_read() -> None:
    text = "critical=json://a warning@vn,us=mailto://u:p=w@h?to=x json://c digest@us=json://d"
    assert read_channels(text) == [
        Channel("json://a", "critical"),
        Channel("mailto://u:p=w@h?to=x", "warning", ("vn", "us")),
        Channel("json://c"),
        Channel("json://d", "digest", ("us",)),
    ]
    assert "p=w" not in read_channels(text)[1].name


@pytest.mark.parametrize("text", ["loud=json://secret", "json//secret", "critical@=json://secret"])
def test_a_setting_that_cannot_be_read_is_told_without_its_secrets(text: str) -> None:
    with pytest.raises(BadSetting, match="Entry 2 of HYPERTAPE_NOTIFY") as raised:
        read_channels(f"json://fine {text}")
    assert "secret" not in str(raised.value)
