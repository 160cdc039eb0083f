"""What a list of symbols changes of the one before it."""

from __future__ import annotations

import pytest

from hypertape.model import utc
from hypertape.sources import Listed, Listing
from hypertape.warehouse.listings import Known, changes, lost


def known(ticker, name=None, kind="stock", exchange="HSX", gone=False):
    return Known(ticker, name, kind, exchange, utc(2025), utc(2025, 2) if gone else None)


def changed(before, now, kinds=("stock", "etf")):
    found = changes({row.ticker: row for row in before}, Listing(tuple(now), kinds))
    return [(e.event, e.ticker, e.former, e.present) for e in found]


@pytest.mark.parametrize(
    ("before", "now", "expected", "why"),
    [
        ([known("A")], [Listed("A", exchange="HSX")], [], "nothing changed"),
        (
            [known("A")],
            [Listed("A", exchange="HSX"), Listed("B")],
            [("listed", "B", None, None)],
            "a new one",
        ),
        ([known("A"), known("B")], [Listed("A")], [("delisted", "B", None, None)], "one is gone"),
        ([known("A")], [Listed("A", delisted=True)], [("delisted", "A", None, None)], "the vendor says so"),
        ([known("A", gone=True)], [Listed("A", delisted=True)], [], "it was known to be gone"),
        ([known("A", gone=True)], [], [], "and stays so"),
        ([known("A", gone=True)], [Listed("A")], [("relisted", "A", None, None)], "it is back"),
        (
            [known("I", kind="index")],
            [Listed("A")],
            [("listed", "A", None, None)],
            "the list has no indices at all",
        ),
        (
            [known("A", "One Company")],
            [Listed("B", "One Company")],
            [("renamed", "B", "A", "B")],
            "one went and one came with its name",
        ),
        (
            [known("A", "One Company")],
            [Listed("B", "One Company"), Listed("A", "One Company", delisted=True)],
            [("renamed", "B", "A", "B")],
            "also where the vendor lists the old one as delisted",
        ),
        (
            [known("A", "Fund"), known("C", "Fund")],
            [Listed("B", "Fund")],
            [("delisted", "A", None, None), ("listed", "B", None, None), ("delisted", "C", None, None)],
            "two had the name: nobody knows which",
        ),
        (
            [known("A")],
            [Listed("B")],
            [("delisted", "A", None, None), ("listed", "B", None, None)],
            "without names nobody knows",
        ),
        (
            [known("A", "Old"), known("B")],
            [Listed("A", "New", exchange="HNX"), Listed("B", "B's name")],
            [("other exchange", "A", "HSX", "HNX"), ("other name", "A", "Old", "New")],
            "a name that was not known before is no change",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_changed(before, now, expected, why):
    assert changed(before, now) == expected, why


def test_a_ticker_of_a_kind_the_list_has_not_is_not_lost():
    rows = {row.ticker: row for row in (known("VNINDEX", kind="index"), known("A"))}
    assert lost(rows, Listing((Listed("B"),), ("stock",))) == ["A"]
