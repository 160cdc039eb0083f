"""Archiving of the embedded server's log, so that it can be brought back to a point in time."""

from __future__ import annotations

import shlex
from pathlib import Path

from hypertape.errors import BadSetting
from hypertape.warehouse.embedded.account import Account

SUMMARIES_SINCE = 17
"""The first PostgreSQL that makes incremental base backups, from summaries of its log."""

_TIMEOUT = "60s"
"""A segment that is not full is archived after so long: so much of the newest past can be lost with the machine."""


def archive_command(directory: Path) -> str:
    """The server's `archive_command` for a directory: a segment is there whole or not at all, and never replaced.

    One that is there already and is the same one counts as archived: the server may have died before it knew.
    """
    place = _quoted(directory)
    there, draft = f"{place}/%f", f"{place}/.%f.part"
    copy = f'cp "%p" {draft} && sync {draft} && mv {draft} {there}'
    return f'if test -f {there}; then cmp -s "%p" {there}; else {copy}; fi'


def restore_command(directory: Path) -> str:
    """The server's `restore_command` for that directory."""
    return f'cp {_quoted(directory)}/%f "%p"'


def _quoted(directory: Path) -> str:
    """A directory as a shell reads it, of which the server replaces nothing."""
    return shlex.quote(str(directory)).replace("%", "%%")


def archive_configuration(directory: Path, major: int) -> dict[str, str]:
    """The settings of a server that archives its log to a directory."""
    summaries = {"summarize_wal": "on"} if major >= SUMMARIES_SINCE else {}
    return {
        "wal_level": "replica",
        "archive_mode": "on",
        "archive_command": archive_command(directory),
        "archive_timeout": _TIMEOUT,
        **summaries,
    }


def prepare_archive(directory: Path, account: Account) -> None:
    """Make the directory, the server's own. Raises BadSetting where its account cannot write there."""
    try:
        if not directory.exists():
            directory.mkdir(parents=True)
            account.own(directory, 0o700)
    except OSError as error:
        raise BadSetting(
            f"HYPERTAPE_WAL_ARCHIVE_DIR={directory} cannot be made: {error.strerror}",
            next_step="Name a directory that you may write.",
        ) from error
    if not account.can("w", directory):
        raise BadSetting(
            f"User {account.uid}, which the server runs as, cannot write HYPERTAPE_WAL_ARCHIVE_DIR={directory}",
            next_step="Give it the directory (chown), or name one that every user can enter.",
        )
