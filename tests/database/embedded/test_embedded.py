"""The embedded server's life: starts, stops, kills, ports, and who can reach it. Every server here is real."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from hypertape.errors import DatabaseRefused, DatabaseUnreachable, ServerFailed
from hypertape.settings import Settings
from hypertape.warehouse.connect import connect, resolve_dsn
from hypertape.warehouse.embedded.binaries import Binaries, packaged_binaries, system_binaries
from hypertape.warehouse.embedded.server import EmbeddedServer

pytestmark = pytest.mark.database
SMALL = {"fsync": "off", "shared_buffers": "16MB"}


@pytest.fixture
def settings(state_dir: Path) -> Settings:
    return Settings(state_dir=state_dir, database_url=None, pg_bindir=None, extension_dir=None)


@pytest.fixture
def server(settings: Settings) -> EmbeddedServer:
    return EmbeddedServer(settings, options=SMALL)


def scalar(dsn: str, statement: str) -> object:
    with connect(dsn) as connection:
        row = connection.execute(statement).fetchone()  # type: ignore[call-overload]
    return row and row[0]


def kill(server: EmbeddedServer) -> int:
    """End the server's main process as a power cut would, and return its id."""
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while server.status().pid is not None:
        time.sleep(0.01)
    return pid


@pytest.mark.parametrize(
    "binaries", [*system_binaries(), *packaged_binaries()], ids=lambda one: f"PostgreSQL {one.version}"
)
def test_a_server_of_every_version_here_goes_up_and_down(state_dir: Path, binaries: Binaries) -> None:
    settings = Settings(state_dir=state_dir, pg_bindir=binaries.bindir, extension_dir=None)
    server = EmbeddedServer(settings, options=SMALL)
    assert server.status().state == "absent"
    dsn = server.up()
    assert scalar(dsn, "show server_version").startswith(binaries.version.split()[0])  # type: ignore[union-attr]
    assert scalar(dsn, "select current_database() || ' ' || current_user") == "hypertape hypertape"
    assert scalar(dsn, "show server_encoding") == "UTF8"
    status = server.status()
    assert (status.state, status.dsn, status.major) == ("running", dsn, binaries.major)
    server.down()
    assert server.status().state == "stopped"
    assert server.up() == dsn


def test_our_defaults_are_in_force(settings: Settings) -> None:
    dsn = EmbeddedServer(settings).up()
    shown = {
        name: scalar(dsn, f"show {name}") for name in ("shared_buffers", "max_wal_size", "fsync", "timezone")
    }
    assert shown == {"shared_buffers": "256MB", "max_wal_size": "2GB", "fsync": "on", "timezone": "UTC"}


def test_up_when_up_and_down_when_down_change_nothing(server: EmbeddedServer, state_dir: Path) -> None:
    server.down()
    assert list(state_dir.iterdir()) == []
    dsn, pid = server.up(), server.status().pid
    assert (server.up(), server.status().pid) == (dsn, pid)
    server.down()
    server.down()
    assert server.status().state == "stopped"


def test_the_warehouse_is_found_only_while_it_is_up(server: EmbeddedServer, settings: Settings) -> None:
    dsn = server.up()
    assert resolve_dsn(settings) == dsn
    server.down()
    with pytest.raises(DatabaseUnreachable, match="hypertape db up"):
        resolve_dsn(settings)


def test_a_killed_server_comes_back_with_its_data(server: EmbeddedServer) -> None:
    dsn = server.up()
    with connect(dsn) as connection:
        connection.execute("create table kept as select 1 as n")
    kill(server)
    assert (server.data_directory / "postmaster.pid").exists()
    assert server.status().state == "stopped"
    assert scalar(server.up(), "select n from kept") == 1


def test_a_killed_server_waits_for_the_sessions_it_left_working(server: EmbeddedServer) -> None:
    dsn = server.up()
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute("create table kept as select 1 as n")
    connection.pgconn.send_query(b"select count(md5(n::text)) from generate_series(1, 4000000) n")
    time.sleep(0.2)  # the session is at work when its server dies
    kill(server)
    connection.close()
    assert scalar(server.up(), "select n from kept") == 1


def test_a_process_id_reused_by_a_stranger_does_not_count(server: EmbeddedServer) -> None:
    server.up()
    dead = kill(server)
    owner = server.data_directory.stat()
    as_owner = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "60"], **as_owner) as stranger:  # type: ignore[call-overload]
        try:
            file = server.data_directory / "postmaster.pid"
            file.write_text(file.read_text().replace(str(dead), str(stranger.pid), 1))
            assert server.status().state == "stopped"
            server.up()
            assert server.status().state == "running"
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_port_taken_meanwhile_is_replaced_and_the_new_one_kept(server: EmbeddedServer) -> None:
    server.up()
    port = server.status().port
    assert port is not None
    server.down()
    with socket.create_server(("127.0.0.1", port)):
        assert server.status().state == "stopped"
        moved = server.up()
        assert server.status().port != port
        assert scalar(moved, "select 1") == 1
    server.down()
    assert server.up() == moved


def test_two_starts_at_once_make_one_server(settings: Settings) -> None:
    program = (
        "import sys; from hypertape.settings import Settings; "
        "from hypertape.warehouse.embedded.server import EmbeddedServer; "
        "print(EmbeddedServer(Settings(state_dir=sys.argv[1], extension_dir=None)).up())"
    )
    command = [sys.executable, "-c", program, str(settings.state_dir)]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {start.communicate()[0].strip() for start in starts}
    assert [start.returncode for start in starts] == [0, 0, 0]
    assert answers == {EmbeddedServer(settings).status().dsn}


def test_an_interrupted_first_start_is_made_again(server: EmbeddedServer, state_dir: Path) -> None:
    draft = state_dir / "postgres" / "data.draft"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18")
    assert server.status().state == "absent"
    server.up()
    assert not draft.exists()


def test_a_start_interrupted_before_it_was_noted_is_noted_next_time(
    server: EmbeddedServer, settings: Settings, state_dir: Path
) -> None:
    dsn, note = server.up(), state_dir / "postgres" / "server.json"
    note.write_text(note.read_text().replace(str(server.status().port), "0"))
    with pytest.raises(DatabaseUnreachable):
        resolve_dsn(settings)
    assert server.up() == dsn == resolve_dsn(settings)


def test_secrets_are_the_owners_alone(server: EmbeddedServer, state_dir: Path) -> None:
    server.up()
    server.psql(["-c", "select 1"])
    home = state_dir / "postgres"
    for name in ("password", "pgpass", "server.json", "log", "data/hypertape.conf"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700
    assert not (home / "password.initdb").exists()
    assert (home / "password").read_text() not in repr(server.status())


def test_only_this_machine_with_the_password_gets_in(server: EmbeddedServer) -> None:
    dsn, status = server.up(), server.status()
    assert scalar(dsn, "show listen_addresses") == "127.0.0.1"
    assert scalar(dsn, "show unix_socket_directories") == ""
    for address in ("127.0.0.2", socket.gethostbyname(socket.gethostname())):
        if address != "127.0.0.1":
            with pytest.raises(OSError, match=r"refused|assign"):
                socket.create_connection((address, status.port or 0), timeout=2)
    for login in ("hypertape:wrong@", "hypertape@", "postgres@"):
        with pytest.raises(DatabaseRefused):
            connect(f"postgresql://{login}127.0.0.1:{status.port}/hypertape?passfile=/dev/null")


def test_programs_in_other_languages_may_log_in(server: EmbeddedServer) -> None:
    """JDBC's client and postgres-exporter's refuse a server that hashed a password fewer than 4096 times."""
    rounds = "select split_part(split_part(rolpassword, '$', 2), ':', 1) from pg_authid where rolname = user"
    assert int(str(scalar(server.up(), rounds))) >= 4096


def test_a_password_changed_behind_our_back_is_told(server: EmbeddedServer, state_dir: Path) -> None:
    with connect(server.up()) as connection:
        connection.execute("alter role hypertape password 'other'")
    with pytest.raises(DatabaseRefused, match=r"Write the password to .*password"):
        server.up()
    (state_dir / "postgres" / "password").write_text("other")
    assert scalar(server.up(), "select 1") == 1


def test_a_database_is_made_once(server: EmbeddedServer) -> None:
    server.up()
    dsn = server.ensure_database("air flow")
    assert server.ensure_database("air flow") == dsn
    assert scalar(dsn, "select current_database()") == "air flow"


def test_psql_runs_on_the_warehouse(server: EmbeddedServer, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DatabaseUnreachable, match="hypertape db up"):
        server.psql([])
    server.up()
    assert server.psql(["-X", "-Atc", "select current_user || '@' || current_database()"]) == 0
    assert capfd.readouterr().out == "hypertape@hypertape\n"
    assert server.psql(["-X", "-c", "select nonsense"]) == 1
    assert "nonsense" in capfd.readouterr().err


def test_a_missing_tool_is_named(server: EmbeddedServer) -> None:
    with pytest.raises(ServerFailed, match="There is no pg_nonsense in"):
        server.tool("pg_nonsense")


def test_removing_leaves_nothing(server: EmbeddedServer, state_dir: Path) -> None:
    dsn = server.up()
    server.remove()
    assert server.status().state == "absent"
    with pytest.raises(DatabaseUnreachable):
        connect(dsn)
    assert [path.name for path in state_dir.iterdir()] == ["postgres.lock"]
