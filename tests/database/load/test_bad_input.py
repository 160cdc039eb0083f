"""What goes wrong with input and surroundings: for each, what is said and what is kept.

Every case runs the whole chain (`steps.sync`) on a small directory of CSV files. `GOOD` is a healthy ticker beside the
broken one: it is always stored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from lab import new_ticker, query, value

from hypertape.errors import (
    BadInput,
    DatabaseRefused,
    DatabaseUnreachable,
    DiskFull,
    SourceFileMissing,
    UnknownInterval,
    UnknownMarket,
    UnknownSource,
)
from hypertape.model import utc
from hypertape.settings import Settings
from hypertape.steps.sync import sync
from hypertape.warehouse.embedded.server import EmbeddedServer

NOW = utc(2024, 1, 5, 12)
HEADER = "ticker,time,open,high,low,close,volume"
MONDAY, TUESDAY, WEDNESDAY = (f"BAD,2024-01-0{day},10,11,9,10,100" for day in (1, 2, 3))


@dataclass(frozen=True)
class Case:
    """One file of the ticker BAD, what is said about it and what is kept of it."""

    name: str
    content: str | None
    error: str | None = None  # a pattern of the ticker's message; None: it does not fail
    stored: tuple[str, ...] = ()  # days whose bars are stored
    quarantined: tuple[tuple[str, str], ...] = ()  # rule and a part of the offending value
    load: dict[str, int] = field(default_factory=dict)  # columns of the ticker's row in `load`
    end: str = "2024-01-05"


def lines(*rows: str) -> str:
    return "\n".join((HEADER, *rows)) + "\n"


CASES = [
    Case(
        "missing file",
        None,
        error=r"There is no 1D\.csv or 1d\.csv in .*BAD \(crypto BAD 1d\)\. Check --source-dir: it holds one directory",
    ),
    Case(
        "empty file",
        "",
        error=r"The file is empty \(crypto BAD 1d\)\. Export it again: a bar file has a header",
    ),
    Case(
        "header only",
        HEADER + "\n",
        error=r"The file has a header and no rows \(crypto BAD 1d\)\. Export it again",
    ),
    Case(
        "wrong header",
        "date,o,h,l,c,v\n2024-01-01,10,11,9,10,100\n",
        error=r"The header is 'date,o,h,l,c,v', expected 'ticker,time,open,.*'.*\. Export the file with that header",
    ),
    Case(
        "text in a price",
        lines(MONDAY, "BAD,2024-01-02,10,eleven,9,10,100", WEDNESDAY),
        stored=("2024-01-01", "2024-01-03"),
        quarantined=(("text_in_number", "eleven"),),
        load={"fetched": 3, "inserted": 2, "quarantined": 1},
    ),
    Case(
        "an empty price",
        lines(MONDAY, "BAD,2024-01-02,10,,9,10,100"),
        stored=("2024-01-01",),
        quarantined=(("not_finite", "high=nan"),),
    ),
    Case(
        "negative volume",
        lines(MONDAY, "BAD,2024-01-02,10,11,9,10,-5", WEDNESDAY),
        stored=("2024-01-01", "2024-01-03"),
        quarantined=(("negative_volume", "volume=-5.0"),),
        load={"fetched": 3, "inserted": 2, "quarantined": 1},
    ),
    Case(
        "a price of zero",
        lines(MONDAY, "BAD,2024-01-02,10,11,0,10,5"),
        stored=("2024-01-01",),
        quarantined=(("non_positive_price", "low=0.0"),),
    ),
    Case(
        "high below low",
        lines("BAD,2024-01-01,10,8,9,10,5", TUESDAY),
        stored=("2024-01-02",),
        quarantined=(("high_below_low", "high=8.0"),),
    ),
    Case(
        "open above high: stored as delivered",
        lines("BAD,2024-01-01,12,11,9,10,5", TUESDAY),
        stored=("2024-01-01", "2024-01-02"),
        load={"fetched": 2, "inserted": 2, "quarantined": 0, "flagged": 1},
    ),
    Case(
        "duplicate rows: the last wins",
        lines("BAD,2024-01-01,5,6,4,5,1", TUESDAY, MONDAY, TUESDAY),
        stored=("2024-01-01", "2024-01-02"),
        load={"fetched": 4, "inserted": 2, "duplicates": 2, "quarantined": 0},
    ),
    Case(
        "unsorted rows",
        lines(WEDNESDAY, MONDAY, TUESDAY),
        stored=("2024-01-01", "2024-01-02", "2024-01-03"),
        load={"fetched": 3, "inserted": 3, "duplicates": 0, "quarantined": 0},
    ),
    Case(
        "a time off the grid",
        lines(MONDAY, "BAD,2024-01-02T00:00:01,10,11,9,10,100"),
        stored=("2024-01-01",),
        quarantined=(("off_grid", "2024-01-02T00:00:01"),),
    ),
    Case(
        "a time that is none",
        lines(MONDAY, "BAD,yesterday,10,11,9,10,100"),
        stored=("2024-01-01",),
        quarantined=(("bad_time", "yesterday"),),
    ),
    Case(
        "a window that reaches into the future ends now",
        lines(MONDAY, "BAD,2024-01-09,10,11,9,10,100"),
        stored=("2024-01-01",),
        load={"fetched": 1, "quarantined": 0},
        end="2024-01-31",
    ),
    Case(
        "a future bar outside it is not asked for",
        lines(MONDAY, "BAD,2024-01-09,10,11,9,10,100"),
        stored=("2024-01-01",),
        load={"fetched": 1, "quarantined": 0},
    ),
    Case(
        "another ticker's row",
        lines(MONDAY, "GOOD,2024-01-02,10,11,9,10,100"),
        stored=("2024-01-01",),
        quarantined=(("wrong_ticker", "GOOD"),),
    ),
    Case(
        "a row cut short",
        lines(MONDAY, "BAD,2024-01-02,10,11"),
        stored=("2024-01-01",),
        quarantined=(("wrong_field_count", "4 fields, expected 7"),),
    ),
    Case(
        "nothing but rows outside the window",
        lines("BAD,2019-01-01,10,11,9,10,100"),
        load={"fetched": 0, "inserted": 0, "expected": 4, "missing": 4},
    ),
]


@dataclass(frozen=True)
class Place:
    """A directory of CSV files and a warehouse; GOOD and BAD stand for tickers of the test's own."""

    dsn: str
    connection: psycopg.Connection
    tree: Path
    state: Path
    good: str = field(default_factory=lambda: new_ticker("GOOD"))
    bad: str = field(default_factory=lambda: new_ticker("BAD"))

    def named(self, text: str) -> str:
        """The text with the test's own tickers in it."""
        return re.sub(r"\b(GOOD|BAD)\b", lambda found: getattr(self, found.group().lower()), text)

    def write(self, ticker: str, content: str | None, name: str = "1D.csv") -> None:
        """Write a bar file, or only its directory."""
        directory = self.tree / self.named(ticker)
        directory.mkdir(parents=True, exist_ok=True)
        if content is not None:
            (directory / name).write_text(self.named(content))

    def run(
        self,
        market="crypto",
        interval="1d",
        *,
        dsn=None,
        tree=None,
        source="csv_tree",
        end="2024-01-05",
        **others,
    ):
        """Run the chain over January 2024."""
        return sync(
            dsn or self.dsn,
            market,
            interval,
            now=NOW,
            start=utc(2024, 1, 1),
            end=utc(2024, 1, int(end[-2:])),
            source={"name": source, "directory": str(self.tree if tree is None else tree)},
            settings=Settings(state_dir=self.state),
            check=False,
            **others,
        )

    def query(self, statement: str, *parameters: object) -> list[tuple]:
        """All rows of a statement about our tickers."""
        return query(self.connection, self.named(statement), *parameters)

    def days(self, ticker: str) -> tuple[str, ...]:
        """The days that have a stored bar."""
        rows = self.query(f"select time from crypto_data_1d where ticker = '{ticker}' order by time")
        return tuple(f"{time:%Y-%m-%d}" for (time,) in rows)

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        tables = ("bars.crypto_data_1d", "load", "series", "rollup_pending", "quarantine", "symbols")
        return {name: value(self.connection, f"select count(*) from {name}") for name in tables}


@pytest.fixture
def place(common, common_warehouse, tmp_path):
    place = Place(common_warehouse, common, tmp_path / "tree", tmp_path / "state")
    place.write("GOOD", lines(*(f"GOOD,2024-01-0{day},10,11,9,10,100" for day in range(1, 5))))
    return place


# one broken file beside a good one


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_file(place, case):
    place.write("BAD", case.content)
    result = place.run(end=case.end, tickers=[place.bad, place.good])

    assert place.days("GOOD") == ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04")
    assert place.days("BAD") == case.stored
    assert place.query("select 1 from crypto_data_1d where ticker = 'BAD' and close <> 10") == [], (
        "the last one wins"
    )

    said = result.failed.get(place.bad)
    assert (said is None) == (case.error is None), said
    assert said is None or re.search(place.named(case.error), said), said
    assert place.good not in result.failed

    kept = place.query(
        "select rule, value, row_text, load_id from quarantine where ticker = 'BAD' order by rule"
    )
    assert len(kept) == len(case.quarantined)
    for (rule, shown, row, load_id), (expected_rule, part) in zip(
        kept, sorted(case.quarantined), strict=True
    ):
        assert rule == expected_rule
        assert place.named(part) in shown
        assert "2024-01-0" in row or "yesterday" in row, "the whole row is kept"
        assert place.query("select ticker from load where load_id = %s", load_id) == [(place.bad,)]

    columns = "".join(f", {name}" for name in case.load)
    ((status, error, *counts),) = place.query(f"select status, error{columns} from load where ticker = 'BAD'")
    assert (status, error) == (("failed", said) if case.error else ("loaded", None))
    assert dict(zip(case.load, counts, strict=True)) == case.load
    assert place.query("select status, inserted from load where ticker = 'GOOD'") == [("loaded", 4)]


@pytest.mark.parametrize("case", [case for case in CASES if case.quarantined], ids=lambda case: case.name)
def test_the_corrected_file_is_loaded_and_the_refused_row_stays_on_record(place, case):
    place.write("BAD", case.content)
    kept = "select count(*) from quarantine where ticker = 'BAD'"
    for _ in range(2):
        place.run(end=case.end, tickers=[place.bad])
        assert place.query(kept) == [(1,)], "refused twice, kept once"
    place.write("BAD", lines(MONDAY, TUESDAY, WEDNESDAY))
    assert place.run(end=case.end, tickers=[place.bad]).failed == {}
    assert place.days("BAD") == ("2024-01-01", "2024-01-02", "2024-01-03")
    assert place.query(kept) == [(1,)]


def test_an_unknown_ticker_fails_alone(place):
    result = place.run(tickers=[place.good, place.bad])
    said = rf"no directory of that name \(crypto {place.bad} 1d\)\. It has: {place.good}\."
    assert re.search(said, result.failed[place.bad])
    assert place.query("select status from load where ticker = 'BAD'") == [("failed",)]
    assert place.days("GOOD") != ()
    assert place.query("select ticker from symbols where ticker in ('GOOD', 'BAD')") == [(place.good,)], (
        "no misspelling"
    )


def test_prices_in_thousands_fail_alone(place):
    place.write("BAD", lines(MONDAY, TUESDAY, WEDNESDAY))
    place.run()
    place.write("BAD", lines(*(f"BAD,2024-01-0{day},10000,11000,9000,10000,100" for day in (2, 3, 4))))
    place.write("GOOD", lines("GOOD,2024-01-01,10.5,11,9,10,100"))
    result = place.run()
    assert list(result.failed) == [place.bad]
    assert re.search(
        r"about ×1000 of the stored neighbours.*Check the source's price unit", result.failed[place.bad]
    )
    assert place.days("BAD") == ("2024-01-01", "2024-01-02", "2024-01-03")
    assert place.query("select 1 from crypto_data_1d where ticker = 'BAD' and close <> 10") == []
    assert result.counts["updated"] == 1, "the other ticker's correction"


# questions that cannot be asked


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        pytest.param(
            {"market": "mars"}, UnknownMarket, r"no market 'mars'\. Markets: crypto, us, vn", id="market"
        ),
        pytest.param(
            {"interval": "7d"}, UnknownInterval, r"no interval '7d'\. Intervals: .*1mo.*1M", id="interval"
        ),
        pytest.param({"interval": "1M"}, BadInput, r"1mo bars are rolled up.*Load 1d", id="a rollup"),
        pytest.param(
            {"source": "crystal_ball"},
            UnknownSource,
            r"'crystal_ball'\. Sources: ccxt, csv_tree, ",
            id="source",
        ),
        pytest.param(
            {"tree": "/does/not/exist"}, SourceFileMissing, r"no directory .*--source-dir", id="directory"
        ),
        pytest.param(
            {"tree": ""}, BadInput, r"needs a directory\. Name it with --source-dir", id="no directory"
        ),
        pytest.param(
            {"interval": "1h"},
            BadInput,
            r"lists no tickers for crypto 1h\. Name them with",
            id="no such files",
        ),
    ],
)
def test_a_question_that_cannot_be_asked(place, asked, error, said):
    before = place.counts()
    with pytest.raises(error, match=said) as caught:
        place.run(**asked)
    assert caught.value.exit_code == 2
    assert place.counts() == before


# a database that does not answer, or refuses


def test_an_unreachable_database(place):
    with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1:1/w: .*refused.*hypertape db up") as caught:
        place.run(dsn="postgresql://u:secret@127.0.0.1:1/w")
    assert "secret" not in str(caught.value)
    assert not place.state.exists(), "nothing was fetched for a warehouse that is not there"


def test_a_role_that_may_not_log_in(place):
    stranger = psycopg.conninfo.make_conninfo(
        place.dsn, user="hypertape_nobody_of_this_name", password="wrong"
    )
    with pytest.raises(
        DatabaseRefused, match=r"Check user, password and permissions in HYPERTAPE_DATABASE_URL"
    ):
        place.run(dsn=stranger)
    assert not place.state.exists()


def test_a_wrong_password(place, state_dir):
    """On a server of ours, which asks for one; a test server may trust everybody."""
    server = EmbeddedServer(Settings(state_dir=state_dir))
    wrong = psycopg.conninfo.make_conninfo(server.up(), password="wrong")
    with pytest.raises(
        DatabaseRefused, match=r"password authentication failed.*Check user, password and permissions"
    ):
        place.run(dsn=wrong)
    assert not place.state.exists()


def test_a_database_that_is_not_there(place):
    with pytest.raises(DatabaseRefused, match=r'database "nowhere" does not exist'):
        place.run(dsn=psycopg.conninfo.make_conninfo(place.dsn, dbname="nowhere"))


# no room


SAYS_FULL = """
create or replace function full_disk() returns trigger language plpgsql as $$ begin
    raise exception 'could not extend file "base/1/2": No space left on device' using errcode = 'disk_full';
end $$;
create trigger full_disk before insert on {} for each statement execute function full_disk();
"""


@pytest.mark.parametrize("table", ["load", "bars.crypto_data_1d", "rollup_pending"])
def test_a_server_without_room_stores_nothing_of_the_batch(place, table):
    """The server's own error, raised in each stage of the load; real small disks are in test_embedded_places."""
    before = place.counts()
    place.connection.execute(SAYS_FULL.format(table))
    try:
        with pytest.raises(
            DiskFull, match=r"No space left on device.*Free room \(nothing of the interrupted load was"
        ):
            place.run()
    finally:
        place.connection.execute(f"drop trigger full_disk on {table}; drop function full_disk()")
    assert place.counts() == before
    assert place.run().counts["inserted"] == 4


@pytest.mark.parametrize("name", ["bars", "clean"])
def test_a_landing_area_without_room(place, name):
    """/dev/full answers every write as a full disk does."""
    directory = place.state / "landing" / "full" / "0"
    directory.mkdir(parents=True)
    (directory / f"{name}.parquet").symlink_to("/dev/full")
    before = place.counts()
    with pytest.raises(DiskFull, match=r"The landing area is full.*Free room"):
        place.run(run_id="full")
    assert place.counts() == before
    assert place.run(run_id="another").counts["inserted"] == 4
