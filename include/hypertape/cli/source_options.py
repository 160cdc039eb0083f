"""The options that choose a source, the same for every verb that asks one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

SourceOption = Annotated[
    str | None, typer.Option(help="The only source asked; default: the market's, one after the other.")
]
DirectoryOption = Annotated[
    Path | None, typer.Option(help="Directory of csv_tree: <TICKER>/1D.csv, 1h.csv, 1m.csv.")
]
LegacyOption = Annotated[
    bool, typer.Option("--legacy-scale", help="Prices are in the legacy unit (vn: thousands).")
]
ExchangeOption = Annotated[
    str | None, typer.Option(help="Exchange of the source ccxt, as ccxt names it; default: binance.")
]
ReplayOption = Annotated[
    str | None,
    typer.Option(metavar="RUN", help="Read the raw answers kept of this run; its windows, no network."),
]


def chosen_source(
    name: str | None,
    directory: Path | None = None,
    legacy_scale: bool = False,
    exchange: str | None = None,
    replay: str | None = None,
) -> dict[str, Any]:
    """The source options as the plan takes them; a directory alone means csv_tree, an exchange alone ccxt."""
    if directory is not None and name is None:
        name = "csv_tree"
    if exchange is not None and name is None:
        name = "ccxt"
    return {
        "name": name,
        "directory": str(directory) if directory else None,
        "legacy_scale": True if legacy_scale else None,
        "exchange": exchange,
        "replay": replay,
    }
