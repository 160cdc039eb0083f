"""`hypertape keys` as a user has it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import pytest
from api_lab import NOW

from hypertape.cli import main
from hypertape.errors import BadInput
from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def keys(command_line: Run) -> Run:
    """Call `hypertape keys …` on a warehouse of its own."""
    return partial(command_line, "keys")


def test_a_key_is_printed_once_alone_on_stdout(keys: Run, warehouse: str) -> None:
    code, out, err = keys("create", "research")
    assert code == 0
    found = api_keys.split_key(out.strip())
    assert found is not None
    assert "cannot be shown again" in err
    key_id, secret = found
    with connect(warehouse) as connection:
        kept = api_keys.find(connection, key_id)
    assert kept is not None
    assert (kept.name, kept.role, kept.expires_at) == ("research", "read", None)
    assert api_keys.fits(kept, secret)
    assert not api_keys.fits(kept, secret[:-1] + ("A" if secret[-1] != "A" else "B"))
    assert not api_keys.fits(None, secret)
    _, listing, _ = keys("list")
    assert key_id in listing
    assert secret not in listing


def test_roles_and_ends(keys: Run) -> None:
    assert keys("create", "ops", "--role", "write", "--days", "30")[0] == 0
    _, listing, _ = keys("list")
    assert "write" in listing
    assert "never" not in listing
    code, _, err = keys("create", "ops", "--role", "admin")
    assert (code, "Roles: read, write." in err) == (2, True)
    assert keys("create", " ")[0] == 2


def test_revoking_by_name_closes_all_of_it_and_nothing_twice(keys: Run) -> None:
    ids = [api_keys.split_key(keys("create", "old")[1].strip()) for _ in range(2)]
    keys("create", "other")
    code, out, _ = keys("revoke", "old")
    assert code == 0
    assert all(found is not None and found[0] in out for found in ids)
    code, _, err = keys("revoke", "old")
    assert (code, "hypertape keys list" in err) == (2, True)
    _, listing, _ = keys("list")
    assert listing.count("revoked") == 2
    assert listing.count("open") == 1


def test_keys_differ_and_are_long(warehouse: str) -> None:
    with connect(warehouse) as connection:
        made = {api_keys.create(connection, "many", "read", now=NOW) for _ in range(20)}
        assert len(made) == 20
        assert len({key.digest for key in api_keys.keys(connection)}) == 20
        with pytest.raises(BadInput):
            api_keys.create(connection, "two\nlines", "read", now=NOW)


NEARLY = "ht_000000000000_" + "a" * 42


@pytest.mark.parametrize(
    "text", ["", "ht_", "ht_abc_def", NEARLY, NEARLY + "a\n", NEARLY.replace("0_", "g_") + "a"]
)
def test_what_is_no_key_is_not_looked_up(text: str) -> None:
    assert api_keys.split_key(text) is None


def test_a_served_warehouse_has_its_schema(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Rather than starting and failing every request."""
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", empty_database)
    monkeypatch.setattr(sys, "argv", ["hypertape", "serve", "--port", "0"])
    with pytest.raises(SystemExit):
        main()
    assert "hypertape schema apply" in capsys.readouterr().err
