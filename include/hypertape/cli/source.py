"""`hypertape source`: where bars come from, whether each source answers, and a source's circuit closed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hypertape.cli.common import console, warehouse
from hypertape.cli.listing import JsonOption, show_table
from hypertape.errors import BadInput, CheckFailed, CircuitOpen
from hypertape.markets import all_markets, get_market
from hypertape.model import format_instant
from hypertape.settings import load_settings

if TYPE_CHECKING:
    from hypertape.warehouse.source_state import SourceState

app = typer.Typer(
    no_args_is_help=True, help="Sources: which there are, whether they answer, and whose turn it is."
)


@app.command("list")
def list_sources(as_json: JsonOption = False) -> None:
    """List the sources, their rate (all workers together) and where each stands in its markets' order."""
    from hypertape.sources import rate_of, source_names

    settings = load_settings()
    rows = []
    for name in source_names():
        rate = rate_of(name, settings.rates)
        markets = [
            f"{m.code} ({m.sources.index(name) + 1})" for m in all_markets().values() if name in m.sources
        ]
        rows.append((name, f"{rate:g}/s" if rate else "-", ", ".join(markets), settings.endpoint_of(name)))
    show_table("sources", ("source", "rate", "markets (place)", "asked at"), rows, as_json=as_json)


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Show every source that was asked: its circuit, failures in a row, and how long a request would wait.

    Exits 75 while a source is left alone.
    """
    from hypertape.warehouse.source_state import source_states

    settings = load_settings()
    with warehouse() as connection:
        known = source_states(connection, settings.source_pause)
    if not known and not as_json:
        console().print(
            "No source was asked yet: `hypertape sync -m vn -i 1d` asks the first; `hypertape source list` names all.",
            highlight=False,
        )
        return
    columns = ("source", "circuit", "failures", "answered", "failed", "turn in", "tried in", "error")
    show_table("sources", columns, [_line(state) for state in known], as_json=as_json)
    away = [state.source for state in known if state.state != "closed"]
    if away:
        raise CircuitOpen(
            f"Left alone for now: {', '.join(away)}",
            next_step="Each is tried again by itself; `hypertape source reset NAME` does it at once.",
        )


@app.command()
def reset(
    names: Annotated[list[str], typer.Argument(help="Sources as `hypertape source status` names them.")],
) -> None:
    """Close the circuit of some sources and forget who waits, so that they are asked again at once."""
    from hypertape.warehouse.source_state import reset_sources, source_states

    settings = load_settings()
    with warehouse() as connection:
        done = reset_sources(connection, names)
        known = [state.source for state in source_states(connection, settings.source_pause)]
        unknown = sorted(set(names) - set(done))
        if unknown:
            raise BadInput(
                f"Nobody has asked a source {unknown[0]!r}",
                next_step=f"Known: {', '.join(known)}." if known else "No source was asked yet.",
            )
        connection.commit()
    console().print(f"Asked again from now on: {', '.join(done)}.", highlight=False)


@app.command("test")
def try_source(
    name: Annotated[str, typer.Argument(help="The source, as `hypertape source list` names it.")],
    market: Annotated[
        str | None,
        typer.Option("--market", "-m", help="Whose tickers are asked for; default: the source's first."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put a source through the conformance kit: short, refused, reordered, rescaled, restated, cut and empty answers.

    Its real client code asks a server on this machine that answers as the module's `stand_in` says, and misbehaves.
    Exits 3 where the source gets a point wrong.

    Example: hypertape source test vci
    """
    from hypertape.sources import vendor_of
    from hypertape.sources._conformance import try_source as tried

    vendor, markets = vendor_of(name), all_markets()
    usual = sorted(
        (it for it in markets.values() if name in it.sources), key=lambda it: it.sources.index(name)
    )
    points = tried(name, vendor, get_market(market) if market else [*usual, markets["us"]][0])
    rows = [(it.name, "right" if it.holds else "wrong", it.told) for it in points]
    show_table(f"source {name}", ("point", "result", "what it did"), rows, as_json=as_json)
    wrong = sum(not it.holds for it in points)
    if wrong:
        raise CheckFailed(f"{name} gets {wrong} of {len(points)} points wrong", next_step="Mend its module.")


def _line(state: SourceState) -> tuple[object, ...]:
    moments = [at and format_instant(at) for at in (state.last_ok_at, state.last_failed_at)]
    tried = f"{state.seconds_to_trial:.0f} s" if state.state != "closed" else None
    return (
        state.source, state.state, state.failures, *moments, f"{state.seconds_to_turn:.1f} s", tried, state.last_error,
    )  # fmt: skip
