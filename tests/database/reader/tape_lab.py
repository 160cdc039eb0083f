"""Tapes over a warehouse's address and over its API, and the labs of the API's tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from hypertape.api import create_app
from hypertape.model import utc
from hypertape.reader import Tape
from hypertape.reader.over_dsn import OverDsn
from hypertape.reader.over_http import OverHttp
from hypertape.settings import Settings

sys.path.append(str(Path(__file__).parents[2] / "api"))

NOW = utc(2025, 7, 1)


@contextmanager
def open_tape(dsn: str, way: str, now: datetime = NOW) -> Iterator[Tape]:
    """A tape over a warehouse's address, or over an app that serves it."""
    from api_lab import client_of, let_in

    if way == "dsn":
        with Tape(OverDsn(Settings(), dsn, clock=lambda: now)) as tape:
            yield tape
    else:
        app = create_app(Settings(), authorize=let_in, clock=lambda: now, dsn=lambda: dsn)
        with client_of(app) as client:
            yield Tape(OverHttp(client))
