"""What is secret in a setting: declared of it in `settings`, read from files, masked where it is shown.

Containers and service managers hand secrets over as files: `NAME_FILE` names one that holds `NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from hypertape.errors import BadSetting

MASK = "***"
"""What stands in the place of a secret."""

_MOST_BYTES = 65_536
_PASSWORD = re.compile(
    r"(://[^:/@\s]*:)(?:[^\s/?#]*|[^@\s]*)(@)"  # a password may have an @ in it, or a /
    r"|(\b(?:password|passfile|sslpassword)\s*=\s*)(?:'(?:\\.|[^'\\])*'|[^&\s]+)",
    re.IGNORECASE,
)


class Holds(Enum):
    """What a setting holds that is not for every eye: an address may have a password in it, a secret is one."""

    ADDRESS = "address"
    SECRET = "secret"


def masked(text: str, holds: Holds | None = None) -> str:
    """A text as it may be shown: a secret not at all, anything else without the passwords of addresses in it."""
    if holds is Holds.SECRET:
        return MASK if text else ""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[3]}{MASK}{found[2] or ''}", text)


def secret_in_file(variable: str, environment: Mapping[str, str]) -> str | None:
    """The content of the file that `<variable>_FILE` names, without white space around it; None where it names none.

    Raises BadSetting where both are set, or the file cannot be read or is empty. What is in it is never told.
    """
    path = environment.get(f"{variable}_FILE")
    if not path:
        return None
    if environment.get(variable):
        raise BadSetting(f"{variable} and {variable}_FILE are both set", next_step="Unset one of them.")
    try:
        with Path(path).open("rb") as file:
            text = file.read(_MOST_BYTES).decode().strip()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise BadSetting(
            f"{variable}_FILE={path} cannot be read: {why}", next_step="Correct or unset it."
        ) from error
    except UnicodeDecodeError:
        raise BadSetting(f"{variable}_FILE={path} is no text", next_step="Correct or unset it.") from None
    if not text:
        raise BadSetting(f"{variable}_FILE={path} is empty", next_step="Write the secret into it.")
    return text
