from __future__ import annotations

import socket
from pathlib import Path

import pytest

from hypertape.errors import DiskFull, HypertapeError, ServerFailed
from hypertape.warehouse.embedded.process import failure, free_port
from hypertape.warehouse.embedded.state import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.path.mkdir()
    return home


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        pytest.param("initdb: error: could not write: No space left on device", DiskFull, id="disk"),
        pytest.param("PANIC:  could not extend file: Disk quota exceeded", DiskFull, id="quota"),
        pytest.param("LOG:  starting\nFATAL:  data directory has wrong ownership", ServerFailed, id="other"),
    ],
)
def test_what_a_program_printed_decides_the_error(home: Home, said: str, kind: type[HypertapeError]) -> None:
    assert type(failure(home, "It does not start", said)) is kind


def test_a_failure_shows_the_telling_lines_and_the_log(home: Home) -> None:
    said = "LOG:  starting\nFATAL:  no room for doubt\nHINT:  Look closer.\nLOG:  down"
    error = failure(home, "It does not start", said)
    assert "FATAL:  no room for doubt | HINT:  Look closer." in str(error)
    assert str(home.log) in str(error)
    assert "LOG:" not in str(error)


def test_a_taken_port_is_replaced_and_a_free_one_is_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port
