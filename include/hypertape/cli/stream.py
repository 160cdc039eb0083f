"""`hypertape stream`: ticks from feeds into the warehouse and out to listeners."""

from __future__ import annotations

import asyncio
import json
import logging.config
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hypertape.cli.common import now, warehouse, warehouse_dsn
from hypertape.cli.stream_output import plain, show_gaps, show_letters, show_status, show_summary
from hypertape.errors import BadInput, BatchRefused, CheckFailed, DatabaseUnreachable
from hypertape.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Ticks: run feeds, see how they do, replay what was not stored.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
SourceOption = Annotated[str | None, typer.Option("--source", help="Only of this feed.")]

_EXAMPLES = "\n\n".join(
    [
        "Examples:",
        "hypertape stream run jsonl:ticks.jsonl",
        "hypertape stream run 'fix:quotes.example:5201?sender=ME&target=THEM' --to websocket --port 8601",
        "producer | hypertape stream run jsonl:-",
    ]
)


@app.command(epilog=_EXAMPLES)
def run(
    feeds: Annotated[
        list[str], typer.Argument(metavar="FEED…", help="jsonl:FILE, csv:FILE, fix:HOST:PORT?…, amqp:QUEUE.")
    ],
    to: Annotated[
        str, typer.Option("--to", help="Where ticks go: database, websocket, rabbitmq.")
    ] = "database",
    host: Annotated[str, typer.Option(help="Address to listen on; loopback unless named.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Port of /ws, /metrics and /status (websocket: 8601); 0: any free one."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run feeds until they end, or for ever; SIGTERM and Ctrl-C write what was delivered and end.

    A tick is accepted once it is in the database, or on the disk while the database is away. Ends with 0, with
    4 where records are no ticks or could not be stored (see `stream dead-letters`), or with the code of the
    feed's error.
    """
    _run(feeds, to, host, port, as_json)


@app.command(epilog="Example: hypertape stream status --json")
def status(
    as_json: JsonOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 unless a stream is alive.")] = False,
) -> None:
    """Say which streams run and how they do: lag, rates, queue, spool, open gaps, dead letters."""
    from hypertape.stream.status import spooled_bytes, stream_status

    with warehouse() as connection:
        found = stream_status(connection, now())
    found["spool_bytes_here"] = spooled_bytes(load_settings().spool)
    if as_json:
        typer.echo(json.dumps(found, default=plain))
    else:
        show_status(found)
    if strict and not any(stream["alive"] for stream in found["streams"]):
        raise CheckFailed("No stream is alive", next_step="Start one: `hypertape stream run FEED…`.")


@app.command(
    epilog="Examples:\n\nhypertape stream replay missed.jsonl --source fix:ME-THEM\n\n"
    "hypertape stream replay --dead-letter"
)
def replay(
    file: Annotated[str | None, typer.Argument(help="A .jsonl or .csv file, or a feed's address.")] = None,
    dead_letter: Annotated[
        bool, typer.Option("--dead-letter", help="Store the dead letters, after the mend.")
    ] = False,
    spool: Annotated[
        bool, typer.Option("--spool", help="Store what a stream that is gone left on this disk.")
    ] = False,
    source: Annotated[
        str | None, typer.Option("--source", help="Whose ticks they are, as `stream gaps` names it.")
    ] = None,
    closes: Annotated[
        str | None, typer.Option("--closes", help="Gaps that the file covers whole: their ids, by commas.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Store what was not stored: a file of what was missed, the dead letters, or the spool. Gaps in numbers that
    this fills are closed; of a broken connection or a silence only you know what covers it (--closes).

    The same tick twice is one, so that too much may be replayed.
    """
    if sum([file is not None, dead_letter, spool]) != 1 or (closes is not None and file is None):
        raise BadInput(
            "Name a file, --dead-letter or --spool",
            next_step="One of them: `hypertape stream replay missed.jsonl`.",
        )
    _checked_schema()
    _log_to_stderr()
    if file is not None:
        from hypertape.steps.stream import feed_address
        from hypertape.stream.gaps import close_gaps

        covered = _ids(closes) if closes is not None else []
        _run([feed_address(file, source)], "database", "", None, as_json, replay=True)
        with warehouse() as connection:
            close_gaps(connection, covered, "replay")
            connection.commit()
    elif dead_letter:
        _replay_letters(source, as_json)
    else:
        _replay_spool(as_json)


@app.command(epilog="Example: hypertape stream gaps --strict")
def gaps(
    source: SourceOption = None,
    closed: Annotated[bool, typer.Option("--closed", help="The closed ones too.")] = False,
    close: Annotated[
        str | None, typer.Option("--close", help="Close these ids by hand, separated by commas.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why they are closed by hand.")] = "by hand",
    most: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    as_json: JsonOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 when one is open.")] = False,
) -> None:
    """List what feeds know that they missed. A replay closes what it fills; the others are closed by hand."""
    from hypertape.stream.gaps import close_gaps, feed_gaps

    with warehouse() as connection:
        if close is not None:
            close_gaps(connection, _ids(close), reason)
            connection.commit()
        rows = feed_gaps(connection, source=source, closed=closed, limit=most)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], default=plain))
    elif rows:
        show_gaps(rows)
    else:
        typer.echo("There is no such gap.", err=True)
    if strict and any(row.closed_at is None for row in rows):
        raise CheckFailed(
            "A feed's gap is open", next_step="Replay what is missing: `hypertape stream replay FILE`."
        )


@app.command("dead-letters", epilog="Example: hypertape stream dead-letters --output refused.jsonl")
def dead_letters(
    source: SourceOption = None,
    replayed: Annotated[
        bool, typer.Option("--replayed", help="Those that were stored after all, too.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write the records to a file, to mend and replay them.")
    ] = None,
    settle: Annotated[
        str | None, typer.Option("--settle", help="These ids, by commas, are dealt with.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """List what nobody could store, each with its reason."""
    from hypertape.stream.letters import dead_letters as letters
    from hypertape.stream.letters import mark_replayed

    with warehouse() as connection:
        if settle is not None:
            mark_replayed(connection, _ids(settle))
            connection.commit()
        rows = letters(connection, source=source, replayed=replayed, limit=most)
    if output is not None:
        output.write_bytes(b"".join(row.record + b"\n" for row in rows))
        typer.echo(f"{len(rows)} records are in {output}.", err=True)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], default=plain))
    elif rows:
        show_letters(rows)
    else:
        typer.echo("There is no dead letter.", err=True)


@app.command(epilog="Example: hypertape stream refresh")
def refresh(as_json: JsonOption = False) -> None:
    """Bring the candles up to date where ticks came and nobody did, and prove them equal to their ticks.

    A running stream does so itself; the DAG refresh_ticks does it where none runs. Exits 3 where they differ.
    """
    from hypertape.steps.candles import refresh_ticks

    with warehouse():
        pass
    done = refresh_ticks(warehouse_dsn(), f"refresh-{os.getpid()}")
    if as_json:
        typer.echo(json.dumps(done.to_json()))
    elif done.ranges is None:
        typer.echo("Somebody else refreshes at this moment.", err=True)
    else:
        typer.echo(f"{len(done.ranges)} ranges refreshed, {done.buckets} buckets equal to their ticks.")


def _run(
    feeds: list[str], to: str, host: str, port: int | None, as_json: bool, *, replay: bool = False
) -> None:
    """Run a stream to its end, show what it did, and end with what went wrong."""
    from hypertape.steps.stream import read_targets, run_stream

    targets = read_targets(to)
    needed = "database" in targets or "websocket" in targets or port is not None  # listeners' keys are there
    if needed:
        _checked_schema()
    _log_to_stderr()

    def listening(bound: int) -> None:
        typer.echo(f"listening on {host}:{bound}", err=True)

    running = run_stream(
        load_settings(),
        warehouse_dsn() if needed else "",
        feeds,
        targets,
        clock=now,
        host=host,
        port=port,
        on_listening=listening,
        replay=replay,
    )
    summary, stopped = asyncio.run(running)
    if as_json:
        typer.echo(json.dumps(summary.to_json(), default=str))
    else:
        show_summary(summary)
    if summary.error is not None:
        raise summary.error
    if summary.dead_letters and not stopped:
        raise BatchRefused(
            f"{summary.dead_letters} records are no ticks or could not be stored; all else is",
            next_step="See `hypertape stream dead-letters`.",
        )


def _replay_letters(source: str | None, as_json: bool) -> None:
    from hypertape.steps.stream import replay_dead_letters

    done = asyncio.run(replay_dead_letters(load_settings(), warehouse_dsn(), source))
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        typer.echo(
            f"{done.stored} stored, {done.refused} refused again, {done.unreadable} are still no ticks; "
            f"{done.gaps_closed} gaps closed."
        )
    if done.refused or done.unreadable:
        raise BatchRefused(
            f"{done.refused + done.unreadable} dead letters remain",
            next_step="Mend them: `hypertape stream dead-letters --output FILE`, then `stream replay FILE`.",
        )


def _replay_spool(as_json: bool) -> None:
    from hypertape.steps.stream import replay_spool

    ticks, notices = asyncio.run(replay_spool(load_settings(), warehouse_dsn()))
    if as_json:
        typer.echo(json.dumps({"tick_batches": ticks, "notice_batches": notices}))
    else:
        typer.echo(f"{ticks} batches of ticks and {notices} of notices were stored.")


def _checked_schema() -> None:
    """Fail at once where the schema is not current; a warehouse that is away is what the spool is for."""
    try:
        with warehouse():
            pass
    except DatabaseUnreachable as error:
        typer.echo(f"{error} Ticks go to the spool meanwhile.", err=True)


def _log_to_stderr() -> None:
    from hypertape.cli.serve import LOGGING

    logging.config.dictConfig(LOGGING)


def _ids(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
        raise BadInput(f"{text!r} are no ids", next_step="Write them as 3,4,5; the lists show them.")
    return [int(part) for part in parts]
