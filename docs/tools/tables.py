"""`docs/reference/tables.md`, made of a warehouse: `.venv/bin/python docs/tools/tables.py` writes it anew.

A test compares the page with the schema, so that it is never out of date.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg

from hypertape.settings import load_settings
from hypertape.warehouse.comments import described
from hypertape.warehouse.connect import connect, resolve_dsn

PAGE = Path(__file__).resolve().parents[1] / "reference" / "tables.md"
HEAD = """# Tables and views

*This page is made of the schema's own comments (`docs/tools/tables.py`), and a test compares both.
In psql `\\d+ load` says the same.*

How they are read: [reading by SQL](relations.md). Of the relations that exist for each market and interval the page has
one each: what is said of `market_data_1d` (vn) holds for `crypto_data_1d`, `us_data_1d` and a market of your own, and
with `published.` in front.
"""
ONE_OF_EACH = ("market_data", "market_data_1d", "market_data_1w", "ohlc_1m")
_SAME = re.compile(r"(market_data|crypto_data|us_data|ohlc)(_\\d+\\w+)?|.*_(timed|with_load)")


def page(connection: psycopg.Connection[Any]) -> str:
    """The page, from the catalogue of a warehouse whose schema is current."""
    found = described(connection)
    shown = [row for row in found if row["relation"] in ONE_OF_EACH or not _SAME.fullmatch(row["relation"])]
    return "\n".join([HEAD, *(_part(row) for row in shown)])


def _part(row: dict[str, Any]) -> str:
    columns = zip(row["names"], row["types"], row["texts"], strict=True)
    lines = [f"| `{name}` | {kind} | {_cell(text)} |" for name, kind, text in columns]
    about = f"{'View. ' if row['is_view'] else ''}{_cell(row['about'])}"
    return "\n".join(
        [f"## {row['relation']}\n", about, "\n| column | type | meaning |", "|---|---|---|", *lines, ""]
    )


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    """Write the page from the warehouse that the environment names."""
    with connect(resolve_dsn(load_settings())) as connection:
        PAGE.write_text(page(connection), encoding="utf-8")


if __name__ == "__main__":
    main()
