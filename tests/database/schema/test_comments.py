"""Every table, view and column says what it is, in the database itself; the reference page is made of that."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hypertape.markets import all_markets
from hypertape.warehouse import schema
from hypertape.warehouse.comments import glossary, uncommented
from hypertape.warehouse.connect import connect

pytestmark = pytest.mark.database

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def tables() -> Any:
    """docs/tools/tables.py, which is no module of the package."""
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tools" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nothing_is_without_a_comment(warehouse: str) -> None:
    with connect(warehouse) as connection:
        assert uncommented(connection) == []


def test_the_page_is_what_the_schema_says(warehouse: str, tables: Any) -> None:
    with connect(warehouse) as connection:
        made = tables.page(connection)
    assert (ROOT / "docs" / "reference" / "tables.md").read_text(encoding="utf-8") == made, (
        "make it anew: .venv/bin/python docs/tools/tables.py"
    )
    assert "| `ticker` | text | The series' name in its market, as it is now. |" in made


def test_a_column_that_is_new_gets_its_words_and_one_that_nobody_knows_is_found(warehouse: str) -> None:
    with psycopg.connect(warehouse) as connection:
        connection.execute("alter table market add column tries integer, add column nobody_knows_it integer")
        connection.execute("comment on column market.title is 'mine'")
        connection.commit()
        assert schema.apply(connection, all_markets().values()) == []
        left = [(row[1], row[3], row[4]) for row in uncommented(connection)]
        said = connection.execute("select col_description('market'::regclass, 3)").fetchone()
    assert left == [("market", "nobody_knows_it", None)]
    assert said is not None


def test_the_glossary_says_each_thing_once() -> None:
    words = glossary()
    entries = list(zip(words["relations"], words["names"], strict=True))
    assert len(entries) == len(set(entries))
    assert all(text.endswith((".", "…")) for text in words["texts"])
