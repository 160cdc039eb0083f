from __future__ import annotations

from pathlib import Path

import pytest

from hypertape.errors import BadSetting, ServerFailed
from hypertape.settings import Settings
from hypertape.warehouse.embedded import binaries
from hypertape.warehouse.embedded.binaries import choose_binaries, inspect, packaged_binaries, system_binaries

NOTHING_SET = Settings(pg_bindir=None, extension_dir=None)


def programs(directory: Path, version: str) -> Path:
    """Make a directory of programs of which only `--version` is ever asked."""
    directory.mkdir(parents=True)
    for name in ("initdb", "pg_ctl", "postgres"):
        (directory / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        (directory / name).chmod(0o755)
    return directory


def system(monkeypatch: pytest.MonkeyPatch, *bindirs: Path) -> None:
    """Let the system have these programs and no others."""
    monkeypatch.setattr(binaries, "system_directories", lambda: iter(bindirs))


def extension(directory: Path) -> Path:
    for file in ("share/extension/timescaledb.control", "lib/timescaledb.so"):
        (directory / file).parent.mkdir(parents=True)
        (directory / file).touch()
    return directory


@pytest.mark.parametrize(
    ("version", "major"),
    [("18.6", 18), ("15.18 (Debian 15.18-0+deb12u1)", 15), pytest.param("19beta1", 19, id="a beta")],
)
def test_the_version_is_the_programs_own_word(tmp_path: Path, version: str, major: int) -> None:
    found = inspect(programs(tmp_path / "bin", version))
    assert found is not None
    assert found.major == major


def test_client_programs_alone_are_no_server(tmp_path: Path) -> None:
    (programs(tmp_path / "bin", "18.6") / "initdb").unlink()
    assert inspect(tmp_path / "bin") is None


def test_the_setting_wins(tmp_path: Path) -> None:
    bindir = programs(tmp_path / "bin", "17.2")
    assert choose_binaries(Settings(pg_bindir=bindir), None).bindir == bindir.resolve()


@pytest.mark.parametrize(
    ("version", "words"),
    [
        pytest.param("14.9", "holds PostgreSQL 14.9", id="too old"),
        pytest.param(None, "no PostgreSQL server", id="nothing there"),
    ],
)
def test_a_setting_without_a_usable_server_is_refused(
    tmp_path: Path, version: str | None, words: str
) -> None:
    bindir = programs(tmp_path / "bin", version) if version else tmp_path / "bin"
    with pytest.raises(BadSetting, match=f"HYPERTAPE_PG_BINDIR=.*{words}"):
        choose_binaries(Settings(pg_bindir=bindir), None)


def test_a_setting_that_cannot_read_the_cluster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match=r"made by PostgreSQL 16; HYPERTAPE_PG_BINDIR has 17\.2"):
        choose_binaries(Settings(pg_bindir=programs(tmp_path / "bin", "17.2")), 16)


def test_an_existing_cluster_gets_its_own_version() -> None:
    for one in [*system_binaries(), *packaged_binaries()]:
        assert choose_binaries(Settings(pg_bindir=None), one.major).major == one.major


def test_an_existing_cluster_of_no_installed_version_says_which_to_install() -> None:
    with pytest.raises(ServerFailed, match=r"made by PostgreSQL 9.*found: 18\.\d.*\)\. Install PostgreSQL 9"):
        choose_binaries(Settings(pg_bindir=None), 9)


@pytest.mark.parametrize("part", [pytest.param("18", id="by major"), pytest.param(".", id="flat")])
def test_a_new_cluster_gets_the_version_its_extension_serves(tmp_path: Path, part: str) -> None:
    directory = extension(tmp_path / part).parent if part == "18" else extension(tmp_path)
    assert choose_binaries(Settings(pg_bindir=None, extension_dir=directory), None).major == 18


def test_a_new_cluster_gets_the_server_of_the_lock_whatever_the_system_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system(monkeypatch, programs(tmp_path / "bin", "99.1"))
    assert [choose_binaries(NOTHING_SET, None)] == packaged_binaries()


def test_where_the_package_has_no_programs_the_systems_newest_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = (programs(tmp_path / version, version) for version in ("98.2", "99.1"))
    system(monkeypatch, older, newer)
    monkeypatch.setattr(binaries, "_package_directory", lambda: None)
    assert choose_binaries(NOTHING_SET, None).bindir == newer.resolve()


def test_a_cluster_stays_with_the_programs_it_ran_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the package has its major: what a system's server wrote is read by a system's server."""
    [packaged] = packaged_binaries()
    own = programs(tmp_path / "own", f"{packaged.major}.99")
    system(monkeypatch, own)
    assert choose_binaries(NOTHING_SET, packaged.major, own.resolve()).bindir == own.resolve()
    assert choose_binaries(NOTHING_SET, packaged.major, tmp_path / "a copy of an older package") == packaged


def test_a_cluster_whose_programs_are_gone_says_where_they_were_and_how_to_go_on() -> None:
    last = Path("/usr/lib/postgresql/9/bin")
    with pytest.raises(
        ServerFailed, match=r"it ran from /usr/lib/postgresql/9/bin.*HYPERTAPE_PG_BINDIR.*STATE_DIR"
    ):
        choose_binaries(NOTHING_SET, 9, last)
