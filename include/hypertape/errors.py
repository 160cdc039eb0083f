"""Every error hypertape raises, in one tree.

HypertapeError
├── TransientError            worth trying again: the retry policy retries these
│   ├── SourceUnavailable     the vendor did not answer, or answered with a server error
│   ├── RateLimited           the vendor asked us to slow down
│   ├── CircuitOpen           the vendor failed so often that nobody asks it for now
│   ├── DatabaseUnreachable   no server answers at the address
│   ├── DatabaseBusy          deadlock, lock timeout, too many connections, server shutting down
│   ├── ClaimLost             a unit of work was given to another worker while this one was silent
│   ├── SpoolFull             the database is away and the spool beside the stream has no room
│   ├── NotTaken              a channel for messages did not take one; it is kept
│   ├── StoreAway             a CSV tree or SQLite file is not there, or no store answers
│   └── BatchIncomplete       some tickers of a batch failed in a way that may pass; the rest is stored
└── TerminalError             trying again changes nothing: the retry policy fails at once
    ├── BadInput              an argument, file or cell that cannot be used
    │   ├── UnknownMarket, UnknownTicker, UnknownInterval, UnknownSource
    │   ├── SourceFileMissing, SourceFileEmpty
    │   ├── BadSetting        a setting of the environment
    │   └── BadProject        a file of the user's own project
    ├── SourceSchemaChanged   the vendor's answer has another shape than it had
    ├── RowsLost              rows came in that are neither bars nor refused: our fault, not the data's
    ├── NoData                the vendor knows the ticker and has nothing for the window
    ├── BatchRefused          some tickers of a batch failed for good; the rest is stored
    ├── SuspectScale          prices look to be in another unit; nothing was written
    ├── FeedRefused           the other side of a feed or sink refuses us: logon, queue, permission
    ├── CheckFailed           a critical quality check found bad data
    ├── CheckBroken           a quality rule itself does not run: our fault, not the data's
    ├── CheckEnded            a critical rule ran beyond its time and was ended: nothing is known of it
    ├── DatabaseRefused       wrong password, missing role, missing permission
    │   └── PoolerTooOld      a pooler in between loses prepared statements
    ├── DiskFull              the server or the state directory has no room
    ├── RolledBack            SQLite is the truth: the warehouse takes nothing else for now
    ├── Incomplete            a read asked for every bar, and some are not there
    ├── PinBroken             a pin no longer reads as it did: what it named was dropped, forgotten or written over
    ├── SchemaMissing         the warehouse has no (or an older) schema
    ├── MigrationChanged      a migration that already ran has another text now
    ├── TierChanged           the schema was built on the other tier
    ├── ServerFailed          the embedded server does not start
    ├── ServerReplaced        the server's programs were replaced while it runs
    ├── ProgramMissing        a program of PostgreSQL (`pg_dump`) is not there, or is older than the server
    ├── ProgramFailed         a program of PostgreSQL ended with an error
    ├── BackupBroken          a backup is not whole: its file, its manifest or what it restores to
    └── AirflowFailed         Airflow does not start, or refuses a request

The class docstring is the default message. An error carries where it happened, and its message ends with what to
do next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import ClassVar, NamedTuple


def closest(name: str, valid: Iterable[str], most: int = 20) -> list[str]:
    """The valid values to name in a message: all, or of many those spelled most like `name`, then the first ones."""
    known = sorted(valid)
    if len(known) <= most:
        return known
    return list(dict.fromkeys([*get_close_matches(name.upper(), known, most), *known]))[:most]


_MOST_NAMED = 10
"""Names that one message repeats of those that it was asked about."""


def others(left: int, became: str) -> str:
    """What a message says of those that did not fail: `the others are stored`, where there are some."""
    return f"the others are {became}" if left > 0 else "there are no others"


EXIT_CODES = {
    0: "done",
    1: "failed for good: mend what the message names; `doctor` and `db status` also exit 1 where they find something",
    2: "bad input: an option, a name, a file or a setting that cannot be used, or nothing to work on",
    3: "a critical check found bad data, sources disagree, a pin no longer reads as it did, or a backup is not whole",
    4: "done in part: some tickers failed for good (also those the source does not know), all else is stored",
    5: "the warehouse's schema is not this program's: `hypertape schema apply`, or another database",
    75: "failed in a way that may pass: try again",
    130: "stopped by Ctrl-C: run the same again, what is stored stays",
    141: "the reader of the output went away (`| head`)",
}
"""What the command line's exit codes mean."""


class HypertapeError(Exception):
    """Something went wrong in hypertape."""

    exit_code: ClassVar[int] = 1
    next_step: ClassVar[str] = ""

    def __init__(
        self,
        message: str | None = None,
        *,
        next_step: str | None = None,
        market: str | None = None,
        ticker: str | None = None,
        interval: str | None = None,
        window: object | None = None,
    ) -> None:
        self.what = message or (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]
        self.advice = type(self).next_step if next_step is None else next_step
        self.market = market
        self.ticker = ticker
        self.interval = interval
        self.window = window
        super().__init__(self._text())

    @property
    def where(self) -> str:
        """Return market, ticker, interval and window as far as they are known: `vn VIC 1d [a, b)`."""
        known = (self.market, self.ticker, self.interval, self.window)
        return " ".join(str(part) for part in known if part is not None)

    def _text(self) -> str:
        place = f" ({self.where})" if self.where else ""
        what = self.what.rstrip(".")
        advice = f" {self.advice}" if self.advice else ""
        return f"{what}{place}.{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        # Airflow and multiprocessing pickle exceptions; keyword-only arguments need help.
        return (_rebuild, (type(self), self.__dict__.copy()))


def _rebuild(kind: type[HypertapeError], state: dict[str, object]) -> HypertapeError:
    error = kind.__new__(kind)
    error.__dict__.update(state)
    Exception.__init__(error, error._text())
    return error


class TransientError(HypertapeError):
    """Something failed that may work when tried again."""

    exit_code = 75  # EX_TEMPFAIL
    next_step = "Try again in a moment."


class TerminalError(HypertapeError):
    """Something failed that will fail again until it is changed."""


class SourceUnavailable(TransientError):
    """The source did not answer."""

    next_step = "Try again later, or name another source with --source."


class RateLimited(TransientError):
    """The source asked us to slow down."""

    next_step = "Wait before trying again, or lower its rate in HYPERTAPE_SOURCE_RATES."
    retry_after: float | None = None
    """Seconds the source asked us to wait, where it said so."""


class CircuitOpen(TransientError):
    """The source failed so often that it is not asked for now."""

    next_step = "See `hypertape source status`; it is tried again by itself."


class DatabaseUnreachable(TransientError):
    """No database server answers."""

    next_step = "Start it (`hypertape db up`) or correct HYPERTAPE_DATABASE_URL."


class DatabaseBusy(TransientError):
    """The database could not serve the statement now."""


class ClaimLost(TransientError):
    """A unit of work was given to another worker while this one was silent."""

    next_step = "Nothing is to be done: the other worker does it."


class StoreAway(TransientError):
    """The store is not there."""

    next_step = "Mount it or free it; what it missed is kept and delivered then."


class NotTaken(TransientError):
    """A channel did not take a message."""

    next_step = "Mend its address in HYPERTAPE_NOTIFY or its server; `hypertape notify test` tries it."


class SpoolFull(TransientError):
    """The spool has no room, so nothing more is accepted."""

    next_step = "Bring the database back, or allow more with HYPERTAPE_SPOOL_MEGABYTES; then send it again."


class BatchIncomplete(TransientError):
    """Some tickers of the batch failed; the others are stored."""

    next_step = "A retry fetches only the failed ones."


class BadInput(TerminalError):
    """The input cannot be used."""

    exit_code = 2


class UnknownMarket(BadInput):
    """There is no such market."""

    @classmethod
    def named(cls, name: str, valid: Iterable[str]) -> UnknownMarket:
        """Build the error for `name`, listing the valid markets."""
        return cls(f"There is no market {name!r}", next_step=f"Markets: {', '.join(sorted(valid))}.")


class UnknownTicker(BadInput):
    """The market has no such ticker."""

    next_step = "List it in tickers/<market>.csv of your project, or correct the spelling."

    @classmethod
    def among(cls, place: str, names: Sequence[str], valid: Sequence[str]) -> UnknownTicker:
        """Build the error for names that are not among a place's tickers, with those most like them."""
        some = closest(names[0], valid)
        shown = ", ".join(some) + (f" … ({len(valid)} in all)" if len(valid) > len(some) else "")
        what = "is no ticker" if len(names) == 1 else "are no tickers"
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        named = f"{', '.join(names[:_MOST_NAMED])}{more}"
        return cls(f"{named} {what} of {place}", next_step=f"There are: {shown}.")


class UnknownInterval(BadInput):
    """There is no such interval."""


class UnknownSource(BadInput):
    """There is no such source."""


class SourceFileMissing(BadInput):
    """The source's file or directory does not exist."""

    next_step = "Check --source-dir: it holds one directory per ticker with 1D.csv, 1h.csv or 1m.csv."


class SourceFileEmpty(BadInput):
    """The source's file is empty."""

    next_step = "Export it again: a bar file has a header line and one line per bar."


class BadSetting(BadInput):
    """A setting of the environment cannot be used."""


class BadProject(BadInput):
    """A file of the project cannot be used."""

    next_step = "Mend the line that is named; `hypertape config check` looks at all files."


class SourceSchemaChanged(TerminalError):
    """The source's answer has another shape than expected."""

    next_step = "Compare the raw answer with the source's documentation; the parser needs an update."


class RowsLost(TerminalError):
    """Rows came in of which nobody can say what became; nothing of the answer was used."""

    next_step = "This is a defect of hypertape, not of the data: report it with the raw answer or file."


class NoData(TerminalError):
    """The source has no bars for the window."""

    next_step = "Check the ticker's listing dates, or try another source."


class BatchRefused(TerminalError):
    """Some tickers of the batch failed for good; the others are stored."""

    exit_code = 4
    next_step = "See each ticker's error in `load`."


class SuspectScale(TerminalError):
    """The prices look to be in another unit, by what the market says is plausible or by the stored neighbours; nothing
    was written."""

    next_step = "Check the source's price unit (--legacy-scale multiplies thousands), then load again."


class FeedRefused(TerminalError):
    """The feed refuses us."""

    next_step = "Check the account, the password and the names in the feed's address."


class CheckFailed(TerminalError):
    """A critical quality check failed."""

    exit_code = 3
    next_step = "Read the report (`hypertape report --output report.html`) for the offending keys."


class CheckBroken(TerminalError):
    """A quality rule does not run."""

    next_step = "This is a defect of the rule, not of the data: see its error in `quality_result`."


class CheckEnded(TerminalError):
    """A critical rule was ended before it was done: its time was up, or somebody cancelled its statement."""

    next_step = (
        "It is no defect of the rule or the data: validate again (`hypertape validate`), or allow more time with "
        "HYPERTAPE_RULE_SECONDS."
    )


class DatabaseRefused(TerminalError):
    """The database refused the connection or the statement."""

    next_step = "Check user, password and permissions in HYPERTAPE_DATABASE_URL."


class PoolerTooOld(DatabaseRefused):
    """A pooler of transactions loses prepared statements."""

    next_step = (
        "Use PgBouncer 1.21 or newer with max_prepared_statements = 200, or name the server itself in "
        "HYPERTAPE_DATABASE_URL."
    )


class DiskFull(TerminalError):
    """There is no room left on the disk."""

    next_step = "Free room (nothing of the interrupted load was stored), then run it again."


class RolledBack(TerminalError):
    """SQLite is the truth; the warehouse only follows it."""

    next_step = "Cut over again with `hypertape rollback to-warehouse`, or write to SQLite."


class PinBroken(TerminalError):
    """A pin no longer reads as it did."""

    exit_code = 3
    next_step = "What is gone is gone: make a new pin. `hypertape pin verify NAME` lists all of it."


class MissingBars(NamedTuple):
    """A stretch of a series without its bars, [start, end) in UTC; `bars` is None where their number is not known."""

    ticker: str
    start: datetime
    end: datetime
    bars: int | None
    reason: str
    detail: str | None

    def __str__(self) -> str:
        why = f"{self.reason}: {self.detail}" if self.detail else self.reason
        return f"{self.ticker} {self.start:%Y-%m-%dT%H:%M} to {self.end:%Y-%m-%dT%H:%M} ({why})"


class Incomplete(TerminalError):
    """A read asked for every bar, and some are not there; `missing` are the stretches with their reasons."""

    next_step = (
        "Fill them (`hypertape gaps heal`, `hypertape backfill`), or read without complete=True. "
        "`hypertape gaps list` shows what is known of them."
    )
    missing: tuple[MissingBars, ...] = ()

    @classmethod
    def of(cls, place: str, missing: Sequence[MissingBars]) -> Incomplete:
        """Build the error for some stretches; the message names the first of them."""
        some = "; ".join(str(each) for each in missing[:5])
        more = f" … and {len(missing) - 5} more" if len(missing) > 5 else ""
        error = cls(f"{place}: {len(missing)} gaps: {some}{more}")
        error.missing = tuple(missing)
        return error


class SchemaMissing(TerminalError):
    """The warehouse schema is missing or older than this program."""

    exit_code = 5
    next_step = "Run `hypertape schema apply`."


class MigrationChanged(TerminalError):
    """A migration that already ran has another text now."""

    exit_code = 5
    next_step = "Restore its text and write the change as a new migration."


class TierChanged(TerminalError):
    """The schema was built on another tier than the server offers now."""

    exit_code = 5
    next_step = "Point HYPERTAPE_DATABASE_URL at a new database and load or copy the bars into it."


class ServerFailed(TerminalError):
    """The embedded PostgreSQL server does not start."""


class ServerReplaced(TerminalError):
    """The server's programs were replaced while it runs, so it cannot load its own libraries."""

    next_step = "Restart it: `hypertape db down`, then `hypertape db up` (another server: by its service)."


class ProgramMissing(TerminalError):
    """A program of PostgreSQL is not there, or is older than the server."""


class ProgramFailed(TerminalError):
    """A program of PostgreSQL ended with an error."""

    next_step = "See what it said; `hypertape doctor` looks at the server."


class BackupBroken(TerminalError):
    """A backup is not whole."""

    exit_code = 3
    next_step = (
        "Make a new one (`hypertape backup create`); `hypertape backup prune --broken` removes this one."
    )


class AirflowFailed(TerminalError):
    """Airflow does not start, or refuses a request."""
