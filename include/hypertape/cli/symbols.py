"""`hypertape symbols`: what the vendors' lists say (new, renamed, gone), names of series, members of groups."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hypertape.cli.common import TickersOption, console, now, progress, split, table, warehouse, warehouse_dsn
from hypertape.cli.listing import JsonOption, show, show_table
from hypertape.cli.source_options import DirectoryOption, ExchangeOption, SourceOption, chosen_source
from hypertape.errors import BadInput, HypertapeError
from hypertape.markets import all_markets, get_market
from hypertape.model import Market, parse_instant
from hypertape.settings import load_settings

if TYPE_CHECKING:
    from hypertape.steps.listings import Followed

app = typer.Typer(
    no_args_is_help=True, help="Symbols: what the vendors list, names of series over time, members of groups."
)

MarketsOption = Annotated[
    str | None,
    typer.Option(
        "--market", "-m", help="Market: vn, crypto, us, or one of the project's; default: every one."
    ),
]
MarketArgument = Annotated[str, typer.Argument(help="Market: vn, crypto, us, or one of the project's.")]
STATES = ("listed", "delisted")


@app.command(epilog="Example: hypertape symbols sync -m vn")
def sync(
    market: MarketsOption = None,
    source: SourceOption = None,
    source_dir: DirectoryOption = None,
    exchange: ExchangeOption = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Believe a list that lacks many tickers it had before.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask for the list of symbols and tell what is new, renamed and gone since the one before. Nothing is dropped.

    The first source of a market that publishes a list is asked (Yahoo publishes none). What is gone stays, marked; gaps
    after that count as delisted.
    """
    from hypertape.steps.listings import follow_listing

    at, settings = now(), load_settings()
    markets = [get_market(market)] if market else list(all_markets().values())
    chosen = chosen_source(source, source_dir, exchange=exchange)
    found: list[Followed] = []
    failed: dict[str, HypertapeError] = {}
    with warehouse():
        pass  # a schema that is behind is told before a vendor is asked
    with progress() as on_step:
        for done, one in enumerate(markets):
            on_step("lists", done, len(markets))
            try:
                found.append(
                    follow_listing(
                        warehouse_dsn(), one, run_id=f"symbols__{at:%Y%m%dT%H%M%S}", now=at, settings=settings,
                        source=chosen, accept=accept,
                    )
                )  # fmt: skip
            except HypertapeError as error:
                failed[one.code] = error
        on_step("lists", len(markets), len(markets))
    _tell(found, failed, as_json=as_json)
    _end(markets, failed)


def _tell(found: list[Followed], failed: dict[str, HypertapeError], *, as_json: bool) -> None:
    if as_json:
        show([each.to_json() for each in found], as_json=True)
        return
    events = [(each.market, e.ticker, e.event, e.former, e.present) for each in found for e in each.events]
    if events:
        console().print(table("changes", ("market", "ticker", "event", "former", "present"), events))
    for each in found:
        others = "".join(f", {count} {what} left out" for what, count in sorted(each.others.items()))
        text = f"{each.market}: {each.source} lists {each.listed}, {each.delisted} as delisted{others}"
        console().print(f"{text}; {_compared(each)}", highlight=False)
    for code, error in failed.items():
        console(stderr=True).print(f"{code}: {error}", highlight=False)


def _compared(each: Followed) -> str:
    parts = ["the first list" if each.first else f"{len(each.events)} changes"]
    if each.missing:
        more = f" and {len(each.missing) - 10} more" if len(each.missing) > 10 else ""
        parts.append(f"{len(each.missing)} of ours are not in it: {', '.join(each.missing[:10])}{more}")
    return "; ".join([*parts, f"{each.unknown} of it are not ours"])


def _end(markets: list[Market], failed: dict[str, HypertapeError]) -> None:
    """A market whose sources publish no list fails a command that named it, and none that asks for all."""
    for error in failed.values():
        if len(markets) == 1 or not isinstance(error, BadInput):
            raise error


@app.command("list", epilog="Example: hypertape symbols list -m vn --state delisted")
def list_symbols(
    market: MarketsOption = None,
    tickers: TickersOption = None,
    state: Annotated[str | None, typer.Option(help="listed or delisted; default: both.")] = None,
    source: Annotated[str | None, typer.Option(help="Only what this source's lists say.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was never loaded; default: tickers of ours.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help="What changed, the newest first, instead of what is.")
    ] = False,
    since: Annotated[str | None, typer.Option(help="With --history: since this instant (UTC).")] = None,
    as_json: JsonOption = False,
) -> None:
    """List what the vendors' lists say of tickers, or with --history what changed in them."""
    from hypertape.warehouse import listings

    if state is not None and state not in STATES:
        raise BadInput(f"--state {state!r} is not known", next_step=f"Valid: {', '.join(STATES)}.")
    if since is not None and not history:
        raise BadInput("--since goes with --history", next_step="Add --history, or leave it out.")
    where: dict[str, Any] = {
        "market": get_market(market).code if market else None,
        "source": source,
        "tickers": split(tickers),
    }
    with warehouse() as connection:
        if history:
            rows = listings.listing_events(connection, since=parse_instant(since) if since else None, **where)
        else:
            rows = listings.listings(connection, state=state, ours=not everything, **where)
    columns = [
        name.replace("_", " ") for name in (rows[0] if rows else ("market", "ticker", "state", "source"))
    ]
    if not rows and not as_json:
        typer.echo(
            "No list says anything of such tickers: `hypertape symbols sync` asks for the lists.", err=True
        )
        return
    show_table("symbols", columns, [tuple(row.values()) for row in rows], as_json=as_json)


@app.command(epilog="Example: hypertape symbols rename us FB META --on 2022-06-09")
def rename(
    market: MarketArgument,
    old: Annotated[str, typer.Argument(help="Its name until then.")],
    new: Annotated[str, typer.Argument(help="Its name from then on.")],
    on: Annotated[str, typer.Option("--on", help="The first session under the new name: YYYY-MM-DD.")],
    kept_by: Annotated[
        str | None, typer.Option("--kept-by", help="Sources that go on with the old name: yahoo,csv_tree.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Let a ticker's series go on under a new name: bars, gaps, revisions, pins and what is published, at once.

    Nothing is loaded again or restated. Lists that still have the old name mean the new one, and who reads by the old
    one is told. Mirrors get the series whole under the new name and keep what they have. A vendor that has the old name
    in its list, or is named by --kept-by, is asked by that one; see `hypertape symbols spell`.
    """
    from hypertape.steps.rename import rename as run

    at = now()
    with warehouse():
        pass  # the schema is current
    day = parse_instant(on).date()
    run_id = f"rename__{at:%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:8]}"
    keepers = split(kept_by) or ()
    done = run(warehouse_dsn(), market, old, new, day, run_id=run_id, now=at, kept_by=keepers)
    found = {"market": done.market, "old": done.old, "new": done.new, "on": done.on.isoformat()}
    if show([{**found, "rows": dict(done.rows)}], as_json=as_json):
        return
    if not done.rows:
        console().print(f"{old} is called {new} since {done.on} already.", highlight=False)
        return
    console().print(
        table(f"{old} is called {new} since {done.on}", ("table", "rows"), list(done.rows.items()))
    )


@app.command(epilog="Example: hypertape symbols spell us META FB --source yahoo --on 2022-06-09")
def spell(
    market: MarketArgument,
    ticker: Annotated[str, typer.Argument(help="The ticker, by the name it has here.")],
    symbol: Annotated[str, typer.Argument(help="What the source calls it, whole: a suffix is not added.")],
    source: Annotated[str, typer.Option("--source", "-s", help="The source that calls it so.")],
    on: Annotated[
        str | None, typer.Option("--on", help="From this day on: YYYY-MM-DD; default: today.")
    ] = None,
) -> None:
    """Note what a source calls a ticker from a day on: it is asked for by that.

    `hypertape symbols spellings` lists what is noted. What a market's file says of its [symbols] holds for all days.
    """
    from hypertape.steps.spelling import spell_from

    with warehouse():
        pass  # the schema is current
    day = (parse_instant(on) if on else now()).date()
    spell_from(warehouse_dsn(), market, ticker, source, symbol, day)
    console().print(f"{source} calls {ticker} {symbol} since {day}.", highlight=False)


@app.command(epilog="Example: hypertape symbols spellings -m us --source yahoo")
def spellings(
    market: MarketsOption = None,
    source: Annotated[str | None, typer.Option("--source", "-s", help="Only of this source.")] = None,
    tickers: TickersOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what sources call tickers otherwise than the market's rule has it, and from when to when."""
    from hypertape.warehouse.symbology import spellings as find

    with warehouse() as connection:
        rows = find(connection, get_market(market).code if market else None, source, split(tickers))
    columns = ("market", "ticker", "source", "symbol", "since", "until")
    show_table("spellings", columns, [tuple(row.values()) for row in rows], as_json=as_json)


@app.command(epilog="Example: hypertape symbols members us --group DOW --on 2020-01-02")
def members(
    market: MarketArgument,
    group: Annotated[str | None, typer.Option("--group", "-g", help="One group; default: all.")] = None,
    on: Annotated[str | None, typer.Option("--on", help="The day: YYYY-MM-DD; default: today.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List who is in a market's groups, or was on a day, by the names they have now."""
    from hypertape.warehouse.symbology import members as find

    of_market, day = get_market(market), (parse_instant(on) if on else now()).date()
    with warehouse() as connection:
        found = find(connection, of_market, day, group)
        known = find(connection, of_market, day)
    if group is not None and group not in found and group not in known and group not in of_market.groups:
        groups = ", ".join(sorted({*known, *of_market.groups}))
        raise BadInput(f"{market} has no group {group}", next_step=f"Groups: {groups}.")
    rows = [(name, ticker) for name, tickers in found.items() for ticker in tickers]
    show_table("members", ("group", "ticker"), rows, as_json=as_json)
