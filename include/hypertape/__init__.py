"""hypertape: a market-data warehouse that can prove every bar is there and right.

From a program: `import hypertape as ht; tape = ht.open()`, then `tape.read("vn", "1d", ["VIC"])`; docs/reading.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypertape.reader import Tape

__version__ = "0.1.0"


def open(address: str | None = None, *, key: str | None = None) -> Tape:
    """Open the warehouse for reading: by its address (DSN), or by `https://…` of its API with a key.

    Without an address the environment names the warehouse as it does for the command line (`HYPERTAPE_DATABASE_URL`,
    else the embedded server, which must run). Nothing is connected before the first question. What a read needs is
    loaded here and not by `import hypertape`, which every room does.
    """
    settings = import_module("hypertape.settings").load_settings()
    tape: Tape = import_module("hypertape.reader").open_tape(settings, address, key=key)
    return tape
