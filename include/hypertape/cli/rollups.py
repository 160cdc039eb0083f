"""`hypertape rollups` and `hypertape reindicate`: what is derived from the bars, proven over all of history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from hypertape.cli.common import TickersOption, console, now, progress, split, table, warehouse, warehouse_dsn
from hypertape.cli.empty_results import require_known
from hypertape.cli.listing import JsonOption, show
from hypertape.errors import BadInput, CheckFailed
from hypertape.markets import all_markets, get_market
from hypertape.model import Interval, parse_instant
from hypertape.settings import load_settings

if TYPE_CHECKING:
    from hypertape.steps.prove import Proved

app = typer.Typer(
    no_args_is_help=True, help="Rollups: prove them equal to their bars over all of history, and mend them."
)

_COLUMNS = ("market", "interval", "compared", "differing", "left", "first", "tickers")


@app.command()
def verify(
    market: Annotated[
        list[str] | None, typer.Option("--market", "-m", help="A market; default: all. May be repeated.")
    ] = None,
    interval: Annotated[
        list[str] | None,
        typer.Option(
            "--interval", "-i", help="A rollup, or 1d, 1h, 1m for the averages of the bars; default: all."
        ),
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help="Only months from this date on (UTC).")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Compute anew what differs, and compare again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare every bucket with its bars by the month: `hypertape rollups verify -m vn --since 2020-01-01 --repair`.

    The averages that bars carry are compared too. Exits 3 when something differs and is not mended.
    """
    from hypertape.steps.prove import verify_rollups

    at = now()
    markets = [get_market(code) for code in market] if market else list(all_markets().values())
    intervals = [Interval.parse(text) for text in interval] if interval else None
    begin = parse_instant(since) if since else None
    with warehouse():
        pass
    with progress() as on_step:
        found = verify_rollups(
            warehouse_dsn(), markets, run_id=f"verify__{at:%Y%m%dT%H%M%S}", now=at, settings=load_settings(),
            intervals=intervals, since=begin, repair=repair, on_step=on_step,
        )  # fmt: skip
    _show("rollups", found, as_json=as_json)
    _end(found, "hypertape rollups verify --repair")


def reindicate(
    market: Annotated[str, typer.Argument(help="Market: vn, crypto, us, or one of the project's.")],
    interval: Annotated[str, typer.Argument(help="Interval: 1d, 1h or 1m.")],
    tickers: TickersOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what differs; exits 3 then.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute averages and previous values of stored bars where they differ: `hypertape reindicate vn 1d --dry-run`.

    For bars that somebody wrote, changed or deleted by SQL of their own. The bars themselves are taken as they stand.
    """
    from hypertape.steps.prove import reindicate as run

    at, of_market, of_interval = now(), get_market(market), Interval.parse(interval)
    if not of_interval.is_stored:
        raise BadInput(
            f"{of_interval.value} is rolled up and carries no stored averages",
            next_step="Intervals: 1d, 1h, 1m. Rollups: `hypertape rollups verify --repair`.",
        )
    with warehouse() as connection:
        if tickers:
            require_known(connection, markets=[of_market.code], tickers=split(tickers))
    with progress() as on_step:
        found = run(
            warehouse_dsn(), of_market.code, of_interval, run_id=f"reindicate__{at:%Y%m%dT%H%M%S}", now=at,
            settings=load_settings(), tickers=split(tickers), dry_run=dry_run, on_step=on_step,
        )  # fmt: skip
    _show("averages", found, as_json=as_json)
    _end(found, f"hypertape reindicate {of_market.code} {of_interval.value}")


def _show(title: str, found: Sequence[Proved], *, as_json: bool) -> None:
    if show((each.to_json() for each in found), as_json=as_json):
        return
    wrong = [each for each in found if each.differing]
    lines = [
        (
            each.market,
            each.interval,
            each.compared,
            each.differing,
            each.left,
            each.first,
            ", ".join(each.tickers),
        )
        for each in wrong
    ]
    if wrong:
        console().print(table(title, _COLUMNS, lines))
    for what in ("buckets", "bars"):
        compared = sum(each.compared for each in found if each.what == what)
        if compared:
            count = sum(each.differing for each in wrong if each.what == what)
            console().print(f"{compared} {what} compared, {count} differ.", highlight=False)


def _end(found: Sequence[Proved], mend: str) -> None:
    if left := [each for each in found if each.left]:
        places = ", ".join(dict.fromkeys(f"{each.market} {each.interval}" for each in left))
        raise CheckFailed(
            f"What is derived differs from the bars in {places}", next_step=f"`{mend}` mends it."
        )
