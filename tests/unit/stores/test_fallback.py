"""Ordered reads: who serves which ticker, and what happens when somebody does not answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from hypertape.digest import SeriesDigest
from hypertape.errors import DatabaseBusy, SourceFileMissing, StoreAway
from hypertape.frame import bar_frame, micros
from hypertape.markets import get_market
from hypertape.model import Interval, Market, Series, utc
from hypertape.settings import Settings
from hypertape.stores import BATCH_ROWS, Block, Selection, SeriesInfo, Store, Written
from hypertape.stores.breaker import Breaker, State
from hypertape.stores.fallback import FallbackReader, Served, reader_of, serving

VN, D1, NOW = get_market("vn"), Interval.D1, utc(2025, 6, 30, 12)
START = utc(2025, 1, 1)
DAYS = 10
ALL = range(DAYS)


@dataclass
class Shelf:
    """A store in memory: per ticker the days it has. Breaks where it is told to; `says` is what it tells of spans."""

    address: str
    days: Mapping[str, Iterable[int]]
    says: str = "span and rows"
    breaks: str | None = None
    block: int = 3
    asked: list[str] = field(default_factory=list)
    closed: int = 0

    def series(self, selection: Selection) -> Iterator[SeriesInfo]:
        self.asked.append("series")
        if self.breaks == "listing":
            raise DatabaseBusy("locked")
        for ticker, days in sorted(self.days.items()):
            series, times = Series("vn", ticker, D1), [START + timedelta(days=day) for day in sorted(days)]
            if selection.covers(series) and times:
                rows = len(times) if self.says == "span and rows" else None
                known = (rows, times[0], times[-1]) if self.says != "nothing" else (None, None, None)
                yield SeriesInfo(series, *known)

    def read(
        self, series: Series, *, start: datetime | None = None, rows: int = BATCH_ROWS
    ) -> Iterator[Block]:
        self.asked.append(series.ticker)
        if self.breaks == "reading":
            raise OSError(5, "Input/output error")
        days = [
            d for d in sorted(self.days[series.ticker]) if start is None or START + timedelta(days=d) >= start
        ]
        for at in range(0, len(days), self.block):
            if self.breaks == "later" and at:
                raise OSError(5, "Input/output error")
            yield Block(bars(series.ticker, days[at : at + self.block]))

    def write(self, market: Market, interval: Interval, blocks: Iterable[Block]) -> Written:
        raise AssertionError("nothing is written by a read")

    def digest(self, series: Series, *, start: datetime | None = None) -> SeriesDigest:
        raise AssertionError("nothing is digested by a read")

    def close(self) -> None:
        self.closed += 1


def bars(ticker: str, days: Iterable[int]) -> pa.Table:
    times = [micros(START + timedelta(days=day)) for day in days]
    prices = {name: [10.0 + day for day in days] for name in ("open", "high", "low", "close", "volume")}
    return bar_frame(ticker, pa.array(times).cast(pa.timestamp("us", "UTC")), prices)


def reader(*stores: Shelf, **options: object) -> FallbackReader:
    def opener(store: Shelf) -> Store:
        return store

    return FallbackReader({s.address: lambda s=s: opener(s) for s in stores}, **options)  # type: ignore[misc,arg-type]


def served(answers: Iterable[Served]) -> dict[str, tuple[tuple[str, ...], list[int]]]:
    """Per ticker the stores that served it and the days that came."""
    answers = list(answers)
    days: dict[str, list[int]] = {}
    for answer in answers:
        days.setdefault(answer.series.ticker, []).extend(
            (time - START).days for time in answer.block.bars["time"].to_pylist()
        )
    return {series.ticker: (stores, days[series.ticker]) for series, stores in serving(answers).items()}


def read(it: FallbackReader, *tickers: str, start: datetime | None = None, now: datetime = NOW):
    return served(it.read(VN, D1, tickers, start=start, now=now))


def test_the_first_store_serves_what_it_has_complete() -> None:
    first, second = Shelf("first", {"A": ALL, "B": ALL}), Shelf("second", {"A": ALL, "B": ALL})
    assert read(reader(first, second), "A", "B") == {"A": (("first",), [*ALL]), "B": (("first",), [*ALL])}
    assert second.asked == ["series"], "the second one is only asked what it has"


@pytest.mark.parametrize(
    ("days", "reason"),
    [
        ((), "the ticker is missing"),
        (range(DAYS - 1), "its last bar lags"),
        (range(1, DAYS), "its first bar is later"),
        ([0, 1, 2, *range(4, DAYS)], "a bar is missing in the middle"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_partial_answer_falls_through_for_that_ticker_alone(days: Iterable[int], reason: str) -> None:
    first, second = Shelf("first", {"A": ALL, "B": days}), Shelf("second", {"A": ALL, "B": ALL})
    assert read(reader(first, second), "A", "B") == {"A": (("first",), [*ALL]), "B": (("second",), [*ALL])}


@pytest.mark.parametrize(
    ("days", "stores"),
    [
        (ALL, ("first",)),
        (range(DAYS - 1), ("first", "second")),
        (range(2, DAYS), ("second",)),
        ((), ("second",)),
    ],
    ids=["complete", "ends too early: the next one goes on", "starts too late: passed over", "missing"],
)
def test_a_store_that_does_not_say_what_it_has_is_judged_while_it_is_read(
    days: Iterable[int], stores: tuple[str, ...]
) -> None:
    first, second = Shelf("first", {"A": days}, says="nothing"), Shelf("second", {"A": ALL})
    assert read(reader(first, second), "A") == {"A": (stores, [*ALL])}


def test_when_nobody_is_complete_the_newest_bars_win_and_the_answer_says_partial() -> None:
    first, second = Shelf("first", {"A": range(8)}), Shelf("second", {"A": range(2, DAYS)})
    answers = list(reader(first, second).read(VN, D1, ["A"], now=NOW))
    assert served(answers) == {"A": (("second",), [*range(2, DAYS)])}
    assert all(answer.partial for answer in answers)


def test_a_complete_answer_does_not_say_partial() -> None:
    assert not any(
        answer.partial for answer in reader(Shelf("first", {"A": ALL})).read(VN, D1, ["A"], now=NOW)
    )


def test_a_late_silent_store_is_still_better_than_nothing() -> None:
    first = Shelf("first", {"A": range(2, DAYS)}, says="nothing")
    second = Shelf("second", {"A": ALL}, breaks="reading")
    answers = list(reader(first, second).read(VN, D1, ["A"], now=NOW))
    assert served(answers) == {"A": (("first",), [*range(2, DAYS)])}
    assert all(answer.partial for answer in answers)


def test_a_window_counts_only_what_lies_in_it() -> None:
    first, second = Shelf("first", {"A": range(4, DAYS)}), Shelf("second", {"A": ALL})
    start = START + timedelta(days=5)
    assert read(reader(first, second), "A", start=start) == {"A": (("first",), [*range(5, DAYS)])}


def test_a_ticker_nobody_has_is_absent() -> None:
    assert read(reader(Shelf("first", {"A": ALL})), "A", "NOPE") == {"A": (("first",), [*ALL])}


def test_without_names_every_ticker_of_every_store_is_read() -> None:
    first, second = Shelf("first", {"A": ALL}), Shelf("second", {"B": ALL})
    assert read(reader(first, second)) == {"A": (("first",), [*ALL]), "B": (("second",), [*ALL])}


@pytest.mark.parametrize("breaks", ["listing", "reading"])
def test_a_store_that_does_not_answer_is_passed_over_and_named(breaks: str) -> None:
    first, second = Shelf("first", {"A": ALL}, breaks=breaks), Shelf("second", {"A": ALL})
    reading = reader(first, second).read(VN, D1, ["A"], now=NOW)
    assert served(reading) == {"A": (("second",), [*ALL])}
    assert list(reading.choice.failures) == ["first"]
    assert first.closed == 1, "it is opened anew when it is asked again"


def test_a_store_that_fails_in_the_middle_is_continued_by_the_next_without_a_bar_twice() -> None:
    first, second = Shelf("first", {"A": ALL}, breaks="later"), Shelf("second", {"A": ALL})
    assert read(reader(first, second), "A") == {"A": (("first", "second"), [*ALL])}


def test_when_no_store_answers_the_error_names_each_with_its_reason() -> None:
    stores = [Shelf("first", {}, breaks="listing"), Shelf("second", {}, breaks="listing")]
    with pytest.raises(StoreAway, match=r"No store answers: first: locked.*second: locked"):
        reader(*stores).read(VN, D1, ["A"], now=NOW)


def test_when_none_that_has_a_ticker_can_be_read_the_error_says_so() -> None:
    it = reader(Shelf("first", {"A": ALL}, breaks="reading"), Shelf("second", {"B": ALL}))
    with pytest.raises(
        StoreAway, match=r"No store that has vn/1d/A can be read: first: .*Input/output error"
    ):
        read(it, "A")


def test_the_breaker_spares_a_store_that_keeps_failing_and_tries_it_after_the_pause() -> None:
    first, second = Shelf("first", {"A": ALL}, breaks="listing"), Shelf("second", {"A": ALL})
    it = reader(first, second, failures=2, pause=timedelta(seconds=30))
    for _ in range(5):
        assert read(it, "A") == {"A": (("second",), [*ALL])}
    assert first.asked == ["series"] * 2
    assert it.read(VN, D1, ["A"], now=NOW).choice.resting == ["first"]
    first.breaks = None
    assert read(it, "A", now=NOW + timedelta(seconds=29)) == {"A": (("second",), [*ALL])}
    assert read(it, "A", now=NOW + timedelta(seconds=30)) == {"A": (("first",), [*ALL])}
    assert it.breakers["first"].state is State.CLOSED


def test_a_store_that_lists_well_and_reads_badly_opens_its_breaker_too() -> None:
    first, second = Shelf("first", {"A": ALL}, breaks="reading"), Shelf("second", {"A": ALL})
    it = reader(first, second, failures=3)
    for _ in range(5):
        assert read(it, "A") == {"A": (("second",), [*ALL])}
    assert first.asked.count("A") == 3


def test_breakers_outlive_a_reader_when_they_are_shared() -> None:
    first, second = Shelf("first", {"A": ALL}, breaks="listing"), Shelf("second", {"A": ALL})
    breakers: dict[str, Breaker] = {}
    for _ in range(4):
        read(reader(first, second, breakers=breakers, failures=2), "A")
    assert len(first.asked) == 2


def test_a_store_that_cannot_be_opened_is_a_failure_like_any_other() -> None:
    def missing() -> Store:
        raise SourceFileMissing("There is no directory")

    second = Shelf("second", {"A": ALL})
    it = FallbackReader({"first": missing, "second": lambda: second})
    assert read(it, "A") == {"A": (("second",), [*ALL])}


def test_closing_closes_what_was_opened() -> None:
    first, second = Shelf("first", {"A": ALL}), Shelf("second", {"A": ALL})
    with_both = reader(first, second)
    read(with_both, "A")
    with_both.close()
    assert (first.closed, second.closed) == (1, 1)


def test_the_reader_of_the_settings_asks_in_their_order(tmp_path: Path) -> None:
    for directory, days in (("one", range(DAYS - 1)), ("two", ALL)):
        (tmp_path / directory / "A").mkdir(parents=True)
        lines = [f"A,{(START + timedelta(days=day)):%Y-%m-%d},10,10,10,10,{day}" for day in days]
        text = "\n".join(["ticker,time,open,high,low,close,volume", *lines]) + "\n"
        (tmp_path / directory / "A" / "1D.csv").write_text(text)
    one, two = (f"csv:{tmp_path / directory}" for directory in ("one", "two"))
    given = {"read_stores": f"{one},{two}"}
    assert read(reader_of(Settings(**given), now=NOW, run_id="r"), "A") == {"A": ((one,), [*range(DAYS - 1)])}  # type: ignore[arg-type]
    (tmp_path / "one").rename(tmp_path / "gone")
    assert read(reader_of(Settings(**given), now=NOW, run_id="r"), "A") == {"A": ((two,), [*ALL])}  # type: ignore[arg-type]
    with pytest.raises(StoreAway, match="There is no directory"):
        read(reader_of(Settings(**given, fallback_to_csv=False), now=NOW, run_id="r"), "A")  # type: ignore[arg-type]
