"""Series that a copy must not make: a ticker in other letters (`aapl`), beside the one that is meant."""

from __future__ import annotations

from collections.abc import Sequence

from hypertape.errors import UnknownTicker
from hypertape.markets import get_market, misspelled
from hypertape.stores import KnowsTickers, SeriesInfo, Store, TypedNames
from hypertape.stores.copy_report import SeriesCopy
from hypertape.stores.series_stats import NOTHING


def refused_names(source: Store, target: Store, wanted: Sequence[SeriesInfo]) -> list[SeriesCopy]:
    """The series that fail by their names, where those were typed and the target knows the tickers.

    A table's rows keep their spelling: a program wrote them.
    """
    if not isinstance(source, TypedNames) or not isinstance(target, KnowsTickers):
        return []
    failed = []
    typed = source.typed(wanted)
    for code in sorted({series.market for series in typed}):
        market, own = get_market(code), [series for series in typed if series.market == code]
        meant = misspelled(market, (series.ticker for series in own), target.known_tickers(market))
        for series in own:
            if series.ticker in meant:
                error = UnknownTicker(
                    f"The directory {series.ticker} is {meant[series.ticker]} in other letters",
                    next_step=f"Rename it to {meant[series.ticker]}, or leave it out: case tells tickers apart.",
                    market=series.market, ticker=series.ticker, interval=series.interval,
                )  # fmt: skip
                failed.append(SeriesCopy(series, "failed", NOTHING, error=error))
    return failed
