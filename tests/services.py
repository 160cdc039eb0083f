"""Servers that tests/stream runs and no wheel brings: find them, or as a command (`make services`) install them.

RabbitMQ, and the Erlang under it, from Debian. As with the browser: where HYPERTAPE_BROWSER=required says that this is
CI a machine without it is a failure, and so it is in tests/stream, which has nothing else to publish to.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

NONE = (
    "there is no RabbitMQ for tests/stream. Install it (Debian, as root: apt-get install rabbitmq-server; it need not "
    "run as a service), or name the directory of its scripts in HYPERTAPE_RABBITMQ_BIN"
)
_PLACES = ("/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
_MINUTES = 15


def find_rabbitmq() -> Path | None:
    """The directory of RabbitMQ's own scripts (not of the packages' wrappers, which change the user)."""
    named = os.environ.get("HYPERTAPE_RABBITMQ_BIN")
    places = map(Path, [named] if named else _PLACES)
    found = next((place for place in places if (place / "rabbitmq-server").is_file()), None)
    return found if found and shutil.which("epmd") else None


def main() -> None:
    """Install RabbitMQ unless it is there. Without it the tests themselves say so: one place, one message."""
    if find_rabbitmq() is not None:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        # Debian starts a service when it can; the tests start their own, so none is wanted.
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for command in (
            ["apt-get", "update", "--quiet=2"],
            ["apt-get", "install", "--quiet=2", "--no-install-recommends", "rabbitmq-server"],
        ):
            print(f"services: {' '.join(command)}", flush=True)
            try:
                subprocess.run(
                    command, check=True, env=environment, timeout=60 * _MINUTES, stdin=subprocess.DEVNULL
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
                print(f"services: {error}", flush=True)
    print(f"services: {find_rabbitmq() or NONE}")


if __name__ == "__main__":
    main()
