"""Names that a request may carry: a misspelt one is refused, because it would ask for something else.

`/tickers?symbols=VCB` would stream a whole market. A route without parameters, such as a page, takes any.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import Request
from fastapi.dependencies.utils import get_flat_dependant

from hypertape.errors import BadInput

REPEATED = ("symbol",)
"""Parameters that may be given more than once."""


async def known_parameters(request: Request) -> None:
    """Refuse (400) parameters that the route does not have, and one that is given twice where one is meant."""
    known = _names(_Route(request.scope.get("route")))
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


class _Route:
    """A route as a key: Starlette's compare by value and have no hash."""

    def __init__(self, route: Any) -> None:
        self.route = route

    def __hash__(self) -> int:
        return id(self.route)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Route) and self.route is other.route


@cache
def _names(key: _Route) -> frozenset[str]:
    dependant = getattr(key.route, "dependant", None)
    declared = {field.alias for field in get_flat_dependant(dependant).query_params} if dependant else set()
    extra = getattr(key.route, "openapi_extra", None) or {}
    return frozenset(declared | {parameter["name"] for parameter in extra.get("parameters", ())})
