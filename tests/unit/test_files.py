"""Files somebody else put there: what is opened, and what is named and left alone."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from hypertape.errors import BadInput
from hypertape.files import list_directory, open_regular, read_regular

SECRET = "root:secret"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").write_text(SECRET)
    root = tmp_path / "tree"
    (root / "VIC").mkdir(parents=True)
    (root / "VIC" / "1D.csv").write_text("bars")
    return root


def test_a_regular_file_is_read(tree: Path) -> None:
    assert read_regular(tree / "VIC" / "1D.csv", within=tree, most=4) == b"bars"


def test_a_link_inside_the_tree_is_followed(tree: Path) -> None:
    (tree / "same.csv").symlink_to(tree / "VIC" / "1D.csv")
    assert read_regular(tree / "same.csv", within=tree, most=4) == b"bars"


def test_a_tree_that_is_itself_a_link_is_a_tree(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    assert read_regular(tmp_path / "link" / "VIC" / "1D.csv", within=tmp_path / "link", most=4) == b"bars"


def _odd(tree: Path, kind: str) -> Path:
    path = tree / "odd.csv"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        server = socket.socket(socket.AF_UNIX)
        server.bind(os.path.relpath(path))
        server.close()
    elif kind == "directory":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "long name":
        path = tree / ("x" * 300)
    elif kind == "NUL":
        path = tree / "a\0b"
    else:
        path.symlink_to({"device": "/dev/zero", "out": "../elsewhere", "dangling": "nowhere"}[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("pipe", "is a named pipe"),
        ("socket", "is a socket"),
        ("directory", "is a directory"),
        ("device", "leads out of its directory"),
        ("out", "leads out of its directory"),
        ("dangling", "the link leads nowhere"),
        ("loop", "cannot be read"),
        ("long name", "cannot be read"),
        ("NUL", "no name of a file"),
    ],
)
def test_what_is_no_file_of_the_tree_is_named_and_not_waited_for(tree: Path, kind: str, says: str) -> None:
    path = _odd(tree, kind)
    told: list[BaseException] = []

    def read() -> None:
        try:
            read_regular(path, within=tree, most=100)
        except BaseException as error:
            told.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(5)
    assert not reader.is_alive(), "it hangs"
    assert type(told[0]) is BadInput
    assert says in str(told[0])
    assert SECRET not in str(told[0])


def test_a_device_inside_the_tree_is_not_opened() -> None:
    with pytest.raises(BadInput, match="is a device"):
        read_regular(Path("/dev/zero"), within=Path("/dev"), most=100)


def test_a_file_beyond_the_limit_is_named(tree: Path) -> None:
    with pytest.raises(BadInput, match=r"4 bytes, more than the 3 .*HYPERTAPE_FILE_BYTES"):
        read_regular(tree / "VIC" / "1D.csv", within=tree, most=3)


def test_a_file_that_grows_while_it_is_read_is_named(tree: Path) -> None:
    path = tree / "VIC" / "1D.csv"
    with open_regular(path, within=tree, most=4) as file:
        path.write_text("bars and more")
        assert file.read(100) == b"bars and more", "the opened file is the same"
    with pytest.raises(BadInput, match="more than the 4"):
        read_regular(path, within=tree, most=4)


def test_a_directory_out_of_the_tree_is_not_listed(tree: Path, tmp_path: Path) -> None:
    (tree / "OUT").symlink_to(tmp_path)
    with pytest.raises(BadInput, match="leads out"):
        list_directory(tree / "OUT", within=tree)
    assert [path.name for path in list_directory(tree, within=tree)] == ["OUT", "VIC"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tree: Path) -> None:
    path = tree / "VIC" / "1D.csv"
    path.chmod(0)
    with pytest.raises(BadInput, match="Permission denied"):
        read_regular(path, within=tree, most=4)
