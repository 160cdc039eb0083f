"""Suites as Great Expectations runs them. Importing this costs seconds: only `run.validate` does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from psycopg import sql
from sqlalchemy.exc import DBAPIError

from hypertape.errors import CheckBroken
from hypertape.quality.gx import gx, gxe
from hypertape.quality.project_rules import rules_for, text_of
from hypertape.quality.results import SAMPLE_KEYS
from hypertape.quality.rules import Rule
from hypertape.quality.scope import Scope, names_for
from hypertape.queries import query

_COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)


class Offenders(gxe.UnexpectedRowsExpectation):  # type: ignore[misc]
    """Rows that a rule's statement returns, each carrying the count of all in `offenders` and all their `tickers`.

    The class it comes from runs the statement twice (rows and count) and returns no rows unless all are asked for.
    """

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.table",)

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        return self._verdict(metrics["unexpected_rows_query.table"])

    def _verdict(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        count = rows[0]["offenders"] if rows else 0
        tickers = list(rows[0]["tickers"]) if rows else []
        sample = [
            {name: value for name, value in row.items() if name not in ("offenders", "tickers")}
            for row in rows
        ]
        details = {"unexpected_rows": sample, "tickers": tickers}
        return {"success": not rows, "result": {"observed_value": count, "details": details}}


class OffendersOfProject(Offenders):
    """Rows that a rule of the user's project returns.

    Its text is the user's: neither Great Expectations nor SQLAlchemy may look for anything in it (braces, colons,
    percent signs), so it goes to the driver as it is; `meta` carries it.
    """

    metric_dependencies: ClassVar[tuple[str, ...]] = ()

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        meta = self.meta
        if meta["broken"]:
            raise CheckBroken(meta["broken"], next_step="")
        try:
            with execution_engine.get_connection() as connection:
                found = connection.exec_driver_sql(meta["sql"], execution_options={"no_parameters": True})
                rows = [{name: _json(value) for name, value in row.items()} for row in found.mappings()]
        except DBAPIError as error:
            raise CheckBroken(_told(meta, error.orig), next_step="") from error
        return self._verdict(rows)


def _json(value: object) -> object:
    known = (str, int, float, bool, type(None), datetime)
    return (
        [_json(one) for one in value]
        if isinstance(value, list)
        else value
        if isinstance(value, known)
        else str(value)
    )


def _told(meta: Mapping[str, Any], error: Any) -> str:
    """What the server said, with the line of the user's file where it says a place."""
    place = getattr(error.diag, "statement_position", None)
    before = meta["sql"][: int(place or 1) - 1]
    line = before[meta["starts"] :].count("\n") + 1
    said = error.diag.message_primary or str(error)
    return f"({type(error).__name__}) {meta['file']}, line {line if place else 1}: {said}"


def build_suite(scope: Scope) -> gx.ExpectationSuite:
    """The suite of one (market, interval) over a window, named after the relation.

    Each expectation carries severity and, as meta, the rule's name, description and target columns.
    """
    rules = rules_for(scope.market, scope.interval)
    return gx.ExpectationSuite(
        name=scope.relation, expectations=[_expectation(scope, rule) for rule in rules]
    )


def rows_statement(scope: Scope) -> str:
    """The window's rows, as the text of a query asset."""
    return _text(query("quality_rows").format(**names_for(scope)))


def _expectation(scope: Scope, rule: Rule) -> gxe.Expectation:
    meta: dict[str, Any] = {
        "name": rule.name,
        "description": rule.description,
        "target": rule.target,
        "unit": rule.unit,
        "statement": "" if rule.expectation else rule.query_name,
    }
    common = {"severity": rule.severity, "meta": meta}
    if rule.file is not None:
        meta |= _own(scope, rule)
        return OffendersOfProject(unexpected_rows_query=_NOTHING, **common)
    if rule.expectation:
        return getattr(gxe, rule.expectation)(**rule.arguments, **common)
    return Offenders(unexpected_rows_query=_offenders(scope, rule), **common)


def _offenders(scope: Scope, rule: Rule) -> str:
    """The rule's statement inside quality_offenders."""
    found = query(rule.query_name).format(**names_for(scope, rule))
    return _text(query("quality_offenders").format(rule=found, sample_keys=sql.Literal(SAMPLE_KEYS)))


_NOTHING = "select * from {batch} limit 0"
"""What the class demands; the rule's own statement is another."""


def _own(scope: Scope, rule: Rule) -> dict[str, Any]:
    """A project's rule inside quality_offenders: the statement, where its own text starts, and why it is broken."""
    template = query("quality_offenders").format(
        rule=sql.SQL("{{rule}}"), sample_keys=sql.Literal(SAMPLE_KEYS)
    )
    head, _, tail = _text(template).replace("{batch}", f"({rows_statement(scope)})").partition("{{rule}}")
    body = text_of(rule, names_for(scope, rule))
    return {"sql": head + body + tail, "starts": len(head), "file": str(rule.file), "broken": rule.broken}


def _text(statement: sql.Composable) -> str:
    """Without comments: an apostrophe in one would look like an open string to Great Expectations."""
    return _COMMENT.sub("", statement.as_string(None)).strip()
