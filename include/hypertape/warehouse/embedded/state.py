"""What the embedded server keeps on disk, all of it below `<state directory>/postgres`.

| path | holds |
|---|---|
| `data/` | the database cluster |
| `password` | the password of the role `hypertape`, mode 0600 |
| `server.json` | the port and what the server last ran with |
| `log` | the server's messages |
| `server/`, `extension/` | copies of programs that lie where the server's user cannot go (only when needed) |

`postgres.lock` beside it keeps two starts apart.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from hypertape.errors import BadSetting
from hypertape.warehouse.dsn import as_uri

HOST = "127.0.0.1"
ROLE = "hypertape"
DATABASE = "hypertape"


@dataclass(frozen=True)
class Remembered:
    """The content of `server.json`. `note` says why TimescaleDB was asked for and is not loaded."""

    port: int
    bindir: str
    extension_dir: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Home:
    """The server's directory and the files in it."""

    state_dir: Path

    @property
    def link(self) -> Path:
        """Where it is found; root's may be a symbolic link to a place the server's user can enter."""
        return self.state_dir.absolute() / "postgres"

    @property
    def path(self) -> Path:
        """The directory itself."""
        return self.link.resolve()

    @property
    def lock(self) -> Path:
        """The file locked while the server starts or stops."""
        return self.state_dir.absolute() / "postgres.lock"

    @property
    def data(self) -> Path:
        """The database cluster."""
        return self.path / "data"

    @property
    def log(self) -> Path:
        """The server's messages."""
        return self.path / "log"

    @property
    def password_file(self) -> Path:
        """The password of the role, mode 0600."""
        return self.path / "password"

    @property
    def major(self) -> int | None:
        """The major version that made the cluster, or None before the first start."""
        version = self.data / "PG_VERSION"
        return int(version.read_text().strip()) if version.exists() else None

    def remembered(self) -> Remembered | None:
        """Read `server.json`; None before the first start."""
        file = self.path / "server.json"
        return Remembered(**json.loads(file.read_text())) if file.exists() else None

    def remember(self, what: Remembered) -> None:
        """Replace `server.json` in one step."""
        write_private(self.path / "server.json", json.dumps(asdict(what), indent=2) + "\n")

    def password(self) -> str:
        """Return the role's password, making one up the first time."""
        if not self.password_file.exists():
            write_private(self.password_file, secrets.token_urlsafe(24))
        return self.password_file.read_text()

    def dsn(self, port: int, database: str = DATABASE) -> str:
        """Return the URI of a database of the server."""
        address = {"host": HOST, "port": port, "user": ROLE, "password": self.password(), "dbname": database}
        return as_uri(address)


def running_dsn(state_dir: Path) -> str | None:
    """Return the DSN of the state directory's server if something answers at its port, else None.

    Raises BadSetting when the directory belongs to another user.
    """
    home = Home(state_dir)
    try:
        remembered = home.remembered()
        if remembered is None or not _answers(remembered.port):
            return None
        return home.dsn(remembered.port)
    except PermissionError as error:
        raise not_ours(home) from error


def not_ours(home: Home) -> BadSetting:
    """Build the error for a state directory of another user."""
    return BadSetting(
        f"The embedded server in {home.link} belongs to another user",
        next_step="Run as that user, or set HYPERTAPE_STATE_DIR to a directory of your own.",
    )


def write_private(file: Path, text: str) -> None:
    """Write `file` in one step, readable by its owner only."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    if os.geteuid() == 0:  # root at work in a user's directory leaves it the user's
        owner = file.parent.stat()
        os.chown(draft, owner.st_uid, owner.st_gid)
    draft.replace(file)


def _answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=2).close()
    except OSError:
        return False
    return True
