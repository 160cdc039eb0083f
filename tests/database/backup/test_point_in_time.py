"""Back to a point in time: an embedded server that archives its log, brought back to before a destructive statement."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from lab import put, query, value, walk

from hypertape.errors import BadInput
from hypertape.markets import all_markets
from hypertape.settings import load_settings
from hypertape.warehouse.base_backup import bases, chain_to, make_base, prune_bases
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.archive import archive_command, restore_command
from hypertape.warehouse.embedded.server import EmbeddedServer
from hypertape.warehouse.schema import apply

Run = Callable[..., tuple[int, str, str]]

FAST = {"fsync": "off", "full_page_writes": "off"}


@pytest.fixture
def archiving(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A directory, and the DSN of an embedded server of its own that archives its log there."""
    root = Path(tempfile.mkdtemp(prefix="hypertape-pitr-"))
    root.chmod(0o755)
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(root / "state"))
    monkeypatch.setenv("HYPERTAPE_WAL_ARCHIVE_DIR", str(root / "wal's"))
    monkeypatch.setenv("HYPERTAPE_BACKUP_URL", str(root / "backups"))
    monkeypatch.delenv("HYPERTAPE_DATABASE_URL", raising=False)
    server = EmbeddedServer(load_settings(), options=FAST)
    yield root, server.up()
    for state in ("state", "back"):
        EmbeddedServer(load_settings(state_dir=root / state)).remove()
    shutil.rmtree(root)


def test_back_to_before_a_destructive_statement(archiving: tuple[Path, str], hypertape_here: Run) -> None:
    root, dsn = archiving
    with connect(dsn, autocommit=True) as connection:
        apply(connection, all_markets().values())
        put(connection, {"BEFORE": walk(300)})
        assert hypertape_here("backup", "base")[0] == 0
        put(connection, {"SINCE": walk(200)})
        assert hypertape_here("backup", "base", "--incremental")[0] == 0
        put(connection, {"LAST": walk(100)})
        instant: datetime = value(connection, "select clock_timestamp()")
        time.sleep(0.05)
        connection.execute("delete from bars.crypto_data_1d")
    full, incremental = reversed(bases(root / "backups"))
    assert (incremental.after, full.after) == (full.name, None)
    assert incremental.bytes < full.bytes / 2
    words = ("backup", "recover", "--to-time", instant.isoformat(), "--into", str(root / "back"))
    code, said, error = hypertape_here(*words)
    assert code == 0, error
    assert f"HYPERTAPE_STATE_DIR={root / 'back'}" in said
    back = EmbeddedServer(load_settings(state_dir=root / "back", wal_archive_dir=None)).status().dsn
    assert back is not None
    counts = "select ticker, count(*) from crypto_data_1d group by ticker order by ticker"
    with connect(back) as there, connect(dsn) as here:
        assert query(there, counts) == [("BEFORE", 300), ("LAST", 100), ("SINCE", 200)]
        assert query(here, counts) == [], "the present server is as it was"
    code, _, error = hypertape_here(*words)
    assert (code, "holds a server already" in error) == (2, True)
    _what_may_go_goes(root, dsn, incremental.ended_at)


def _what_may_go_goes(root: Path, dsn: str, now: datetime) -> None:
    """Both are one chain and stay; then a newer full one makes them needless, and the log before it."""
    place, archive = root / "backups", root / "wal's"
    assert prune_bases(place, archive, keep_since=now + timedelta(days=9)) == []
    with pytest.raises(BadInput, match=r"No base backup .* leads to 2020-01-01.*first instant"):
        chain_to(place, datetime.fromisoformat("2020-01-01T00:00:00+00:00"))
    newest = make_base(dsn, place, now=now + timedelta(seconds=1))
    assert len(prune_bases(place, archive, keep_since=now + timedelta(days=9))) == 2
    assert [each.name for each in bases(place)] == [newest.name]
    left = sorted(file.name for file in archive.iterdir() if len(file.name) == 24)
    assert all(name >= newest.first_segment for name in left)


def test_without_an_archive_a_base_backup_leads_nowhere(warehouse: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"does not archive its log.*HYPERTAPE_WAL_ARCHIVE_DIR"):
        make_base(warehouse, tmp_path, now=datetime.fromisoformat("2026-11-30T12:00:00+00:00"))


def test_the_archive_command_never_replaces_and_knows_what_it_did(tmp_path: Path) -> None:
    archive, segment = tmp_path / "100% mine's", tmp_path / "segment"
    archive.mkdir()

    def run(command: str) -> int:
        filled = (
            command.replace("%%", "\0").replace("%p", str(segment)).replace("%f", "0001").replace("\0", "%")
        )
        return subprocess.run(["/bin/sh", "-c", filled], check=False).returncode

    segment.write_text("log")
    assert run(archive_command(archive)) == 0
    assert [file.name for file in archive.iterdir()] == ["0001"]
    assert run(archive_command(archive)) == 0, "the same once more: the server died before it knew"
    segment.write_text("another")
    assert run(archive_command(archive)) != 0
    assert (archive / "0001").read_text() == "log"
    assert run(restore_command(archive)) == 0
    assert segment.read_text() == "log"
