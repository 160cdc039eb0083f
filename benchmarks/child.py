"""Commands that run in a process of their own: what they print, or, when one fails, all that tells why."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_LINES = 40
"""Lines of each stream that are shown of a command that failed."""


class CommandFailed(Exception):
    """A command ended with another code than 0: the command, its code, and how its output ended."""

    def __init__(self, command: Sequence[str], code: int, stdout: str, stderr: str) -> None:
        ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        said = [
            f"--- end of {name}\n{_end(text)}"
            for name, text in (("stdout", stdout), ("stderr", stderr))
            if text
        ]
        super().__init__("\n".join([f"{shlex.join(command)} {ended}", *(said or ["it printed nothing"])]))


def output_of(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, given: str | None = None
) -> str:
    """Run a command, `given` on its stdin, and return what it prints. Raises CommandFailed."""
    done = subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        raise CommandFailed(command, done.returncode, done.stdout, done.stderr)
    return done.stdout


def environment(place: Path, *packages: str) -> str:
    """Make an environment, which the caller throws away, and return its Python. Raises CommandFailed."""
    output_of([sys.executable, "-m", "uv", "venv", "--quiet", str(place)])
    python = str(place / "bin" / "python")
    output_of([sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, *packages])
    return python


def _end(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-_LINES:])
