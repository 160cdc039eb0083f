"""Why a list is empty: a name nobody knows, nothing loaded yet, or really nothing of the kind."""

from __future__ import annotations

from collections.abc import Sequence

from hypertape.cli.common import Connection, console
from hypertape.errors import UnknownTicker
from hypertape.markets import all_markets, get_market
from hypertape.queries import query
from hypertape.warehouse.symbology import former_names, unknown_tickers


def say_nothing(
    connection: Connection,
    what: str,
    *,
    markets: Sequence[str] | None = None,
    intervals: Sequence[str] | None = None,
    tickers: Sequence[str] | None = None,
) -> None:
    """Say on stderr why there is none of `what` (`no gap`). Raises UnknownTicker for a ticker nobody knows."""
    held = require_known(connection, markets=markets, intervals=intervals, tickers=tickers)
    where = " ".join([", ".join(markets or ()), ", ".join(intervals or ())]).strip() or "any market"
    if held:
        text = f"There is {what}."
    else:
        market, interval = (markets or ["vn"])[0], (intervals or ["1d"])[0]
        text = f"Nothing of {where} is loaded yet: `hypertape sync -m {market} -i {interval}`."
    console(stderr=True).print(text, highlight=False)


def require_known(
    connection: Connection,
    *,
    markets: Sequence[str] | None = None,
    intervals: Sequence[str] | None = None,
    tickers: Sequence[str] | None = None,
) -> list[str]:
    """Return the stored tickers. Raises UnknownTicker for one that is neither stored nor in a market's file."""
    given = {
        "markets": list(markets) if markets else None,
        "intervals": list(intervals) if intervals else None,
    }
    held = [row[0] for row in connection.execute(query("held_tickers"), given).fetchall()]
    files = {
        t
        for code, market in all_markets().items()
        if not markets or code in markets
        for t in market.by_ticker
    }
    unknown = [ticker for ticker in tickers or () if ticker not in files and ticker not in held]
    if unknown:
        for code in markets or all_markets():
            if former_names(connection, get_market(code), unknown):
                raise unknown_tickers(connection, get_market(code), unknown, held, code)
        raise UnknownTicker.among(", ".join(markets or ()) or "any market", unknown, held or sorted(files))
    return held
