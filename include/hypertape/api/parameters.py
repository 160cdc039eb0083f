"""Names that a request may carry: a misspelt one is refused, because it would ask for something else.

`/tickers?symbols=VCB` would stream a whole market. A route without parameters, such as a page, takes any.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute

from hypertape.errors import BadInput

REPEATED = ("symbol",)
"""Parameters that may be given more than once."""

Names = Mapping[str, frozenset[str]]
"""By a route's path, the names of its parameters."""


def parameters_of(app: FastAPI) -> Names:
    """The parameters of every route, collected once when the app is whole."""
    return {route.path: _names(route) for route in app.routes if isinstance(route, APIRoute)}


def _names(route: APIRoute) -> frozenset[str]:
    declared = {field.alias for field in get_flat_dependant(route.dependant).query_params}
    described = (route.openapi_extra or {}).get("parameters", ())
    return frozenset(declared | {parameter["name"] for parameter in described})


async def known_parameters(request: Request) -> None:
    """Refuse (400) parameters that the route does not have, and one that is given twice where one is meant."""
    names: Names = request.app.state.parameters
    known = names.get(getattr(request.scope.get("route"), "path", ""))
    if not known:
        return
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            raise BadInput(
                f"There is no parameter {name[:100]!r}", next_step=f"Parameters: {', '.join(sorted(known))}."
            )
        if name not in REPEATED and given.count(name) > 1:
            raise BadInput(f"{name} is given {given.count(name)} times", next_step="Give it once.")


def without_value(query: str) -> set[str]:
    """Names that stand alone (`?legacy`): with a sign and nothing behind it (`?legacy=`) a form was left empty."""
    return {part for part in query.split("&") if "=" not in part}
