"""The statements of `sql/queries`, one file each, by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from psycopg import sql


@cache
def sql_directory() -> Path:
    """Return the directory that holds `queries/`, `migrations/` and the rest: in the wheel, else in the checkout."""
    packaged = Path(__file__).parent / "_sql"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "sql"


@cache
def query(name: str) -> sql.SQL:
    """Return the statement of `sql/queries/<name>.sql`; its header says which parameters it takes."""
    text = (sql_directory() / "queries" / f"{name}.sql").read_text(encoding="utf-8")
    return sql.SQL(text)
