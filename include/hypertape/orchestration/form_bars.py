"""The forms of the DAGs that ask a source (`bars_*`, `backfill_bars`, `heal_gaps_*`, `corporate_actions`), and what
a run asks of its plan."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Context, Param

from hypertape.errors import BadInput
from hypertape.markets import all_markets
from hypertape.model import (
    HEAL_ATTEMPTS,
    HEALABLE,
    MODES,
    STORED_INTERVALS,
    Interval,
    Market,
    Window,
    asked_window,
    parse_instant,
)
from hypertape.orchestration.form_fields import (
    choice_field,
    chosen_source,
    flag_field,
    ledger_run_id,
    list_field,
    source_fields,
    text_field,
    time_field,
    vendor_fields,
)
from hypertape.orchestration.pools import default_source, source_names, usual_sources
from hypertape.settings import Settings

_MEANING = {
    "missing": "missing: ask where bars are missing, keep what is stored",
    "overwrite": "overwrite: read the window again, write what differs",
    "restate": "restate: read the tickers' whole history again, at any scale",
}

_BACKFILL, _SCHEDULED = "backfill", "scheduled"
_EVERY_TICKER = "One per line. Empty: all the source lists, else the market's file."


def bars_form(market: Market, interval: Interval, settings: Settings) -> dict[str, Param]:
    """Build the form of a bar DAG. Every field is optional: an empty form is what a scheduled run does."""
    usual = f"{' then '.join(usual_sources(market, settings))}, the next where one fails"
    return {
        "tickers": list_field("Tickers", _EVERY_TICKER),
        "start": time_field(
            "Start", "First instant (UTC) to load, together with End. Both empty: from the watermark on.", interval
        ),
        "end": time_field(
            "End", "First instant (UTC) not to load any more: the 5th loads up to and with the 4th.", interval
        ),
        **source_fields(usual, settings.legacy_scale, market),
        **vendor_fields(),
    }  # fmt: skip


def plan_arguments(context: Context) -> dict[str, Any]:
    """Return what a run asks of `steps.plan.plan`, as keyword arguments.

    A backfill run and a run with Start and End own their window exactly; any other run continues at the
    watermark. What the schedule makes shares its round with workers. Raises BadInput for a form that contradicts
    itself.
    """
    params, run = context["params"], context["dag_run"]
    backfill = run.run_type == _BACKFILL
    asked = None if backfill else _asked_window(params)
    return {
        "run_id": ledger_run_id(run),
        "data_interval": asked or _data_interval(run),
        "exact": backfill or asked is not None,
        "source": chosen_source(params),
        "tickers": params["tickers"],
        "shared": run.run_type == _SCHEDULED and not run.clear_number,  # who clears it wants it asked for
    }


def backfill_form() -> dict[str, Param]:
    """Build the form of `backfill_bars`. As it stands it is a rehearsal of all of one market's daily history."""
    markets, intervals = all_markets(), [interval.value for interval in STORED_INTERVALS]
    groups = sorted({group for market in markets.values() for group in market.groups})
    return {
        "market": Param(next(iter(markets)), type="string", enum=list(markets), title="Market"),
        "interval": Param(intervals[0], type="string", enum=intervals, title="Interval"),
        "tickers": list_field("Tickers", f"{_EVERY_TICKER[:-1]}, unless groups are named."),
        "groups": list_field("Groups", "Groups of the market's file; they add to the tickers.", groups),
        "start": time_field("Start", "First date (UTC). Empty: where the market's history starts."),
        "end": time_field(
            "End", "First date not to load any more: the 5th loads up to and with the 4th. Empty: up to now."
        ),
        "mode": Param(MODES[0], type="string", enum=list(MODES), values_display=_MEANING, title="Mode"),
        **source_fields("the market's, the next where one fails", None),
        **vendor_fields(),
        "reason": text_field("Reason", "Why; kept with every load. Mode restate needs one."),
        "dry_run": flag_field(
            True, "Dry run",
            "Only plan: what is there, what is missing, how many calls, how long. Nothing is asked.",
        ),
    }  # fmt: skip


def backfill_wishes(context: Context) -> dict[str, Any]:
    """Return what a run asks of `steps.backfill_plan.plan_backfill`, as keyword arguments.

    A cleared run keeps its name in the ledgers, so that it continues where it was. Raises BadInput for a date that is
    none.
    """
    from hypertape.steps.backfill_request import BackfillRequest  # noqa: PLC0415  (parsing a DAG needs no driver)

    params, run = context["params"], context["dag_run"]
    request = BackfillRequest(
        mode=params["mode"],
        tickers=params["tickers"],
        groups=params["groups"],
        start=parse_instant(params["start"]) if params["start"] else None,
        end=parse_instant(params["end"]) if params["end"] else None,
        source=chosen_source(params),
        reason=params["reason"],
    )
    return {
        "market": params["market"],
        "interval": params["interval"],
        "request": request,
        "run_id": f"{run.dag_id}__{run.run_id}",
        "dry_run": params["dry_run"],
    }


def heal_form(market: Market, settings: Settings) -> dict[str, Param]:
    """Build the form of `heal_gaps_*`. Every field is optional: an empty form is what a scheduled run does."""
    return {
        "tickers": list_field("Tickers", "One per line. Empty: all that have gaps."),
        "reasons": Param(
            list(HEALABLE), type="array", items={"type": "string", "enum": list(HEALABLE)}, examples=list(HEALABLE),
            title="Reasons",
            description="Only gaps with one of these. A refused row, an inferred holiday or halt are asked for once.",
        ),
        "attempts": Param(
            HEAL_ATTEMPTS, type="integer", minimum=1, maximum=100, title="Attempts",
            description="A gap that was answered so often without its bars rests. More asks for resting ones again.",
        ),
        **source_fields(f"the usual one, {default_source(market, settings)}", settings.legacy_scale, market),
        "dry_run": flag_field(
            False, "Dry run", "Only look for gaps and show what would be asked for, in the log of plan."
        ),
    }  # fmt: skip


def heal_wishes(context: Context) -> dict[str, Any]:
    """Return what a run asks of `steps.heal.plan_heal`, as keyword arguments."""
    params = context["params"]
    return {
        "run_id": ledger_run_id(context["dag_run"]),
        "tickers": params["tickers"],
        "reasons": params["reasons"],
        "max_attempts": params["attempts"],
        "source": chosen_source(params),
    }


def actions_form() -> dict[str, Param]:
    """Build the form of `corporate_actions`. As it stands, and on schedule, it asks for 400 days of every market."""
    usual = "each market's usual one"
    return {
        "market": choice_field("Market", "Empty: all.", list(all_markets()), nothing="all"),
        "tickers": list_field("Tickers", f"{_EVERY_TICKER} Name the market as well."),
        "start": time_field("Start", "First date (UTC). Empty: 400 days before the end."),
        "end": time_field("End", "First date not to ask for. Empty: up to now."),
        "source": choice_field("Source", f"Empty: {usual}.", source_names(), nothing=usual),
    }


def actions_wishes(context: Context) -> dict[str, Any]:
    """Return what a run asks of `steps.actions.plan_actions`, as keyword arguments."""
    params = context["params"]
    return {
        "market": params["market"],
        "run_id": ledger_run_id(context["dag_run"]),
        "tickers": params["tickers"],
        "start": parse_instant(params["start"]) if params["start"] else None,
        "end": parse_instant(params["end"]) if params["end"] else None,
        "source": {"name": params["source"]},
    }


def _asked_window(params: Any) -> Window | None:
    start, end = params["start"], params["end"]
    if bool(start) != bool(end):
        raise BadInput("Start and End belong together", next_step="Fill in both, or leave both empty.")
    if not start:
        return None
    begin = parse_instant(start)
    return asked_window(begin, parse_instant(end), earliest=begin, now=datetime.now(UTC))


def _data_interval(run: Any) -> Window:
    """The run's data interval. A run without a logical date has none: it reaches up to when it was asked for."""
    end = run.data_interval_end or run.run_after
    return Window(run.data_interval_start or end, end)
