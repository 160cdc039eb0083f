"""What stores inside the warehouse share: one connection, opened when it is first used."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import psycopg

from hypertape.markets import all_markets
from hypertape.warehouse.connect import connect
from hypertape.warehouse.schema import verify


class ConnectedStore:
    """A store over one connection to the warehouse at `dsn`; it is for one thread."""

    dsn: str

    @cached_property
    def connection(self) -> psycopg.Connection[Any]:
        """The connection, in autocommit. Raises SchemaMissing when the schema is not current."""
        connection = connect(self.dsn, autocommit=True)
        try:
            verify(connection, all_markets().values())
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the connection, if one was opened."""
        if "connection" in self.__dict__:
            self.connection.close()
            del self.__dict__["connection"]
