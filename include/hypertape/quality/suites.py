"""Suites as Great Expectations runs them. Importing this costs seconds: only `run.validate` does."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import great_expectations as gx
import great_expectations.expectations as gxe
from psycopg import sql

from hypertape.quality.results import SAMPLE_KEYS
from hypertape.quality.rules import Rule, rules_for
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
        rows = metrics["unexpected_rows_query.table"]
        count = rows[0]["offenders"] if rows else 0
        tickers = list(rows[0]["tickers"]) if rows else []
        sample = [
            {name: value for name, value in row.items() if name not in ("offenders", "tickers")}
            for row in rows
        ]
        details = {"unexpected_rows": sample, "tickers": tickers}
        return {"success": not rows, "result": {"observed_value": count, "details": details}}


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
    common = {
        "severity": rule.severity,
        "meta": {
            "name": rule.name,
            "description": rule.description,
            "target": rule.target,
            "unit": rule.unit,
            "statement": "" if rule.expectation else rule.query_name,
        },
    }
    if rule.expectation:
        return getattr(gxe, rule.expectation)(**rule.arguments, **common)
    return Offenders(unexpected_rows_query=_offenders(scope, rule), **common)


def _offenders(scope: Scope, rule: Rule) -> str:
    """The rule's statement inside quality_offenders."""
    found = query(rule.query_name).format(**names_for(scope, rule))
    return _text(query("quality_offenders").format(rule=found, sample_keys=sql.Literal(SAMPLE_KEYS)))


def _text(statement: sql.Composable) -> str:
    """Without comments: an apostrophe in one would look like an open string to Great Expectations."""
    return _COMMENT.sub("", statement.as_string(None)).strip()
