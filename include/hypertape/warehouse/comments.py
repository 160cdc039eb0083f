"""What every table, view and column is, in the database: a script's own `comment on`, else the glossary's words."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from hypertape.queries import query

Connection = psycopg.Connection[Any]

GLOSSARY = Path(__file__).with_name("glossary.csv")
"""`relation` (a pattern that matches a name whole, or * for all), `name` of a column (empty: the relation), `text`."""

_KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized view"}


@cache
def glossary() -> dict[str, list[str]]:
    """The columns of the glossary, as the statement takes them."""
    with GLOSSARY.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = (("relations", "relation"), ("names", "name"), ("texts", "text"))
    return {parameter: [row[column] for row in rows] for parameter, column in pairs}


def uncommented(connection: Connection) -> list[tuple[str, str, str, str, str | None]]:
    """What has no comment: schema, relation, its kind, column (empty: the relation), the glossary's words."""
    return connection.execute(query("comment_columns"), glossary()).fetchall()


def described(connection: Connection) -> list[dict[str, Any]]:
    """The public tables and views: `relation`, `is_view`, `about`, and of the columns `names`, `types` and `texts`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("described_relations")).fetchall()


def comment(connection: Connection) -> int:
    """Give what has no comment the glossary's, and return how many; the caller commits and owns what there is."""
    found = [row for row in uncommented(connection) if row[4] is not None]
    if found:
        connection.execute(sql.SQL(";\n").join(_statement(*row) for row in found))
    return len(found)


def _statement(schema: str, relation: str, kind: str, column: str, text: str | None) -> sql.Composed:
    what = sql.SQL("column" if column else _KINDS[kind])
    name = sql.Identifier(schema, relation, column) if column else sql.Identifier(schema, relation)
    return query("comment_on").format(what=what, name=name, text=sql.Literal(text))
