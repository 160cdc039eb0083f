"""Great Expectations against the warehouse: one batch, every expectation of a suite, what came out of each.

Importing this costs seconds: only `run.validate` does.
"""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import conninfo, sql
from sqlalchemy import URL, event

from hypertape.quality.gx import (
    Batch,
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
    gx,
)
from hypertape.quality.results import SAMPLE_KEYS
from hypertape.quality.scope import Scope
from hypertape.quality.suites import Offenders, build_suite, rows_statement
from hypertape.queries import query

logging.getLogger("great_expectations").setLevel(
    logging.WARNING
)  # at INFO it buries a task's log under its own doings

_VERDICT = {"result_format": "BOOLEAN_ONLY"}
_SAMPLE = {
    "result_format": "SUMMARY",
    "unexpected_index_column_names": ["ticker", "time"],
    "partial_unexpected_count": SAMPLE_KEYS,
}


_ENDED = "QueryCanceled"
"""psycopg's name for SQLSTATE 57014, in the message that SQLAlchemy and Great Expectations pass on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What Great Expectations said about one rule. `error` is set when the rule did not run."""

    rule: Mapping[str, str]
    severity: str
    success: bool
    result: Mapping[str, Any]
    error: str | None
    seconds: float

    @property
    def ended(self) -> bool:
        """True when the server ended the rule's statement: its time was up, or somebody asked for it."""
        return self.error is not None and _ENDED in self.error


def outcomes(dsn: str, scope: Scope, progress: Callable[[str], None], limit: timedelta) -> Iterator[Outcome]:
    """Run the scope's suite and yield one outcome per rule, in the suite's order within each of its two halves.

    A statement that takes longer than `limit` is ended; its rule's outcome is `ended`.

    The built-in expectations run together, because Great Expectations then makes one query of them; each is given
    an equal share of the time. Those that fail run again for their samples, which cost a scan each.
    """
    suite = build_suite(scope)
    together = [entry for entry in suite.expectations if not isinstance(entry, Offenders)]
    with _batch(dsn, scope, limit) as batch:
        progress(", ".join(entry.meta["name"] for entry in together))
        for expectation, outcome in zip(together, _run(batch, together, _VERDICT), strict=True):
            failed = not outcome.success and outcome.error is None
            yield next(_run(batch, [expectation], _SAMPLE)) if failed else outcome
        for entry in suite.expectations:
            if isinstance(entry, Offenders):
                progress(entry.meta["name"])
                yield from _run(batch, [entry], _SAMPLE)


def _run(batch: Batch, expectations: list[Any], result_format: Mapping[str, Any]) -> Iterator[Outcome]:
    """One outcome per expectation, in the given order."""
    started = clock.perf_counter()
    suite = gx.ExpectationSuite(name="part", expectations=expectations)
    found = [
        result.to_json_dict() for result in batch.validate(suite, result_format=dict(result_format)).results
    ]
    by_name = {result["expectation_config"]["meta"]["name"]: result for result in found}
    seconds = (clock.perf_counter() - started) / len(expectations)
    for expectation in expectations:
        yield _outcome(by_name[expectation.meta["name"]], seconds)


def _outcome(result: Mapping[str, Any], seconds: float) -> Outcome:
    config = result["expectation_config"]
    return Outcome(
        rule=config["meta"],
        severity=config["severity"],
        success=bool(result["success"]),
        result=result["result"],
        error=_error(result["exception_info"]),
        seconds=seconds,
    )


def _error(info: Mapping[str, Any]) -> str | None:
    """The message of a rule that did not run: it lies in `exception_info` itself or one level down, by metric.

    The statement that SQLAlchemy appends is left out: it is the rule's, known by name.
    """
    entries = [info] if "raised_exception" in info else list(info.values())
    messages = [str(entry.get("exception_message")) for entry in entries if entry.get("raised_exception")]
    return " ".join(messages[0].split("[SQL:")[0].split()) if messages else None


@contextmanager
def _batch(dsn: str, scope: Scope, limit: timedelta) -> Iterator[Batch]:
    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False),
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        ),
    )
    source = context.data_sources.add_postgres(
        "warehouse", connection_string=sqlalchemy_url(dsn), create_temp_table=False
    )
    statement = rows_statement(scope)
    batch = (
        source.add_query_asset("bars", query=statement).add_batch_definition_whole_table("window").get_batch()
    )
    engine = batch.data.execution_engine.engine
    _describe_without_rows(engine, statement)
    opening = query("quality_transaction").format(
        milliseconds=sql.Literal(limit // timedelta(milliseconds=1))
    )
    event.listen(engine, "begin", lambda opened: opened.exec_driver_sql(opening.as_string(None)))
    try:
        yield batch
    finally:
        engine.dispose()
        source.get_engine().dispose()


def sqlalchemy_url(dsn: str) -> str:
    """The DSN (libpq URI or keyword string) as SQLAlchemy writes it for psycopg 3.

    Everything but letters, digits and `_.-~` is percent-encoded, so a `$` of a password is never taken for one of
    Great Expectations' substitutions.
    """
    parts = {name: str(value) for name, value in conninfo.conninfo_to_dict(dsn).items() if value is not None}
    url = URL.create(
        "postgresql+psycopg",
        username=parts.pop("user", None),
        password=parts.pop("password", None),
        # Great Expectations demands a host in its place; a socket directory in the query wins over it.
        host="localhost" if parts.get("host", "").startswith("/") else parts.pop("host", "localhost"),
        port=int(parts.pop("port", 5432)),
        database=parts.pop("dbname", None),
        query=parts,
    )
    return url.render_as_string(hide_password=False)


def _describe_without_rows(engine: Any, statement: str) -> None:
    """Great Expectations runs the whole query only to learn its columns; a million rows would travel for that."""

    def rewrite(
        _conn: Any, _cursor: Any, text: str, parameters: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        return f"{text} limit 0" if text.strip() == statement else text, parameters

    event.listen(engine, "before_cursor_execute", rewrite, retval=True)
