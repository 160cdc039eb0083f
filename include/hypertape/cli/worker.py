"""`hypertape worker`: the steps of the DAGs in a loop, beside any number of other workers."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from hypertape.cli.backfill import GroupsOption
from hypertape.cli.common import (
    TickersOption,
    console,
    end_with,
    now,
    of,
    split,
    table,
    warehouse,
    warehouse_dsn,
)
from hypertape.cli.listing import JsonOption, show
from hypertape.cli.source_options import (
    DirectoryOption,
    ExchangeOption,
    LegacyOption,
    SourceOption,
    chosen_source,
)
from hypertape.errors import BadInput, HypertapeError
from hypertape.markets import get_market
from hypertape.model import format_instant
from hypertape.settings import Settings, load_settings

if TYPE_CHECKING:
    from hypertape.monitoring.worker_meters import WorkerMeters
    from hypertape.steps.work_order import Round, WorkOrder
    from hypertape.warehouse.progress import WorkerState

_EXAMPLES = "\n\n".join(
    [
        "Examples:",
        "hypertape worker --market vn --intervals 1d,1h,1m",
        "hypertape worker -m crypto --intervals 1m --tickers BTC,ETH --every 30s",
        "hypertape worker -m vn --shard 1/4",
        "hypertape worker -m vn --metrics-port 9108",
        "hypertape worker list --json",
    ]
)

_NOTHING = (
    "Nothing is due: every series was loaded just now or asked for in this round, or others work on it."
)

app = typer.Typer(
    help="Load what is due, round after round; any number of workers share the series of a market.",
    epilog=_EXAMPLES,
)


@app.callback(invoke_without_command=True)
def worker(
    context: typer.Context,
    market: Annotated[
        str | None, typer.Option("--market", "-m", help="Market: vn, crypto, us, or one of the project's.")
    ] = None,
    intervals: Annotated[
        str | None,
        typer.Option(
            "--intervals", "--interval", "-i", help="Intervals, separated by commas; default: the market's."
        ),
    ] = None,
    tickers: TickersOption = None,
    groups: GroupsOption = None,
    every: Annotated[
        str | None, typer.Option(help="Between rounds while the market trades: 15s. HYPERTAPE_WORKER_EVERY.")
    ] = None,
    idle_every: Annotated[
        str | None, typer.Option(help="Between rounds otherwise: 5m. HYPERTAPE_WORKER_IDLE_EVERY.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(help="Only this part of the tickers, by a stable hash: 1/4, 2/4, …")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One round of what is due now, then end.")] = False,
    source: SourceOption = None,
    source_dir: DirectoryOption = None,
    legacy_scale: LegacyOption = False,
    exchange: ExchangeOption = None,
    check: Annotated[bool, typer.Option(help="Run the quality suite, move watermarks and publish.")] = True,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Serve /metrics, without a login, on this port; 0: any free one."
        ),
    ] = None,
    metrics_host: Annotated[
        str, typer.Option(help="Address of --metrics-port; loopback unless named.")
    ] = "127.0.0.1",
) -> None:
    """Take due series, load and check them, in a loop. SIGTERM and Ctrl-C finish the batch at hand and end.

    Workers coordinate through the warehouse: each series is asked for once a round, whoever does it, and what a dead
    worker held is taken by the others.
    """
    if context.invoked_subcommand is not None:
        return
    if market is None:
        raise BadInput("A worker needs a market", next_step="Name it: `hypertape worker --market vn`.")
    settings = load_settings(worker_every=every, worker_idle_every=idle_every)
    order = _order(
        market, intervals, tickers, groups, shard, chosen_source(source, source_dir, legacy_scale, exchange), check,
        settings,
    )  # fmt: skip
    with warehouse():
        pass  # the schema is current
    with _metrics(settings, metrics_host, metrics_port) as meters:
        _run(order, settings, once=once, meters=meters)


@app.command("list", epilog="Example: hypertape worker list --json")
def list_workers(
    everyone: Annotated[bool, typer.Option("--all", help="Those that ended well too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List workers of all kinds: who lives, what each does, since when, how its series ended; and the dead."""
    from hypertape.warehouse.claims import bury_dead_neighbours
    from hypertape.warehouse.progress import workers

    lease = timedelta(seconds=load_settings().worker_lease)
    with warehouse() as connection:
        bury_dead_neighbours(connection)
        found = workers(connection, lease=lease, everyone=everyone)
    if show((_named(each) for each in found), as_json=as_json):
        return
    if not found:
        typer.echo("There is no worker.", err=True)
        return
    columns = ("worker", "kind", "state", "doing", "since", "completed", "failed", "skipped", "last beat")
    console().print(table("workers", columns, [_line(each) for each in found]))


def _order(
    market: str,
    intervals: str | None,
    tickers: str | None,
    groups: str | None,
    shard: str | None,
    source: dict[str, object],
    check: bool,
    settings: Settings,
) -> WorkOrder:
    from hypertape.steps.plan import stored_interval
    from hypertape.steps.work_order import Shard, WorkOrder

    of_market = get_market(market)
    named = [of(market, name)[1].value for name in split(intervals) or ()]
    wanted = named or [interval.value for interval in of_market.intervals]
    return WorkOrder(
        of_market, tuple(stored_interval(name) for name in dict.fromkeys(wanted)),
        every=timedelta(seconds=settings.worker_every), idle_every=timedelta(seconds=settings.worker_idle_every),
        tickers=split(tickers), groups=split(groups), shard=Shard.parse(shard) if shard else None, source=source,
        check=check,
    )  # fmt: skip


@contextmanager
def _metrics(settings: Settings, host: str, port: int | None) -> Iterator[WorkerMeters | None]:
    """Serve what the worker counts while it works, where a port is named."""
    if port is None:
        yield None
        return
    from hypertape.monitoring.registry import listen, registry_of
    from hypertape.monitoring.worker_meters import WorkerMeters

    registry, _ = registry_of(settings, warehouse_dsn, clock=now, parts={})
    meters = WorkerMeters(registry)
    server, at = listen(registry, host, port)
    typer.echo(f"metrics on http://{host}:{at}/metrics", err=True)
    try:
        yield meters
    finally:
        server.shutdown()
        server.server_close()


def _counted(meters: WorkerMeters, done: Round) -> None:
    series = {
        name: len(getattr(done, name)) for name in ("asked", "skipped", "reclaimed", "lost", "failures")
    }
    series["failed"] = series.pop("failures")
    ok = done.error is None and not done.failures
    meters.round_ended(
        done.market.code, done.interval.value, series=series, rows=done.counts.to_json(), ok=ok, now=now()
    )


def _run(order: WorkOrder, settings: Settings, *, once: bool, meters: WorkerMeters | None = None) -> None:
    from hypertape.steps.worker import work

    screen = console()
    rounds: list[Round] = []

    def tell(done: Round) -> None:
        if once:
            rounds.append(done)
        if meters is not None:
            _counted(meters, done)
        for line in _sentences(done):
            screen.print(line, markup=False, highlight=False)

    def trouble(error: HypertapeError) -> None:
        if meters is not None:
            meters.waits(error)
        console(stderr=True).print(f"{format_instant(now())} waits: {error}", markup=False, highlight=False)

    with _told_to_stop() as stop:
        work(
            warehouse_dsn(),
            order,
            settings=settings,
            clock=now,
            stop=stop,
            once=once,
            on_round=tell,
            on_trouble=trouble,
        )
    if once and not any(done.asked or done.failures for done in rounds):
        typer.echo(_NOTHING, err=True)
    failed = {ticker: failure for done in rounds for ticker, failure in done.failures.items()}
    error = next((done.error for done in rounds if done.error is not None), None)
    end_with(error, failed, {ticker for ticker, failure in failed.items() if failure.transient})


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set; a second Ctrl-C ends at once."""
    stop = threading.Event()

    def end(number: int, _: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sentences(done: Round) -> Iterator[str]:
    """What a round did, a line for people; nothing where every series was fresh."""
    from hypertape.steps.failures import failure_lines

    if not (done.asked or done.failures or done.lost):
        return
    count = done.counts
    parts = [
        f"{len(done.asked)} series asked, {count.inserted} bars new, {count.updated} changed, "
        f"{count.unchanged} as they were, {count.quarantined} refused"
    ]
    parts += [f"{len(done.skipped)} skipped"] if done.skipped else []
    parts += [f"{len(done.reclaimed)} taken from dead workers"] if done.reclaimed else []
    parts += [f"{len(done.lost)} lost: this worker was silent for too long"] if done.lost else []
    yield f"{format_instant(done.begun)} {done.market.code} {done.interval.value}: {'; '.join(parts)}."
    yield from (f"  failed: {line}" for line in failure_lines(done.failures))
    if done.error is not None:
        yield f"  {done.error}"


def _named(each: WorkerState) -> dict[str, object]:
    return {
        "worker": each.worker_id, "kind": each.worker_type, "host": each.hostname, "state": each.state,
        "units": each.units, "holds": each.holds, "since": each.since, "started_at": each.started_at,
        "last_heartbeat": each.last_heartbeat, "gone_at": each.gone_at, "completed": each.completed,
        "failed": each.failed, "skipped": each.skipped, "last_ended": each.last_ended, "metadata": each.metadata,
    }  # fmt: skip


def _line(each: WorkerState) -> tuple[object, ...]:
    names = [name for held in each.holds.values() for name in held]
    doing = f"{', '.join(names[:2])}{f' and {len(names) - 2} more' if len(names) > 2 else ''}"
    since = each.since or each.started_at
    return (
        each.worker_id, each.worker_type, each.state, doing, format_instant(since), each.completed, each.failed,
        each.skipped, format_instant(each.last_heartbeat),
    )  # fmt: skip
