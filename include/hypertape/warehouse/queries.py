"""The statements of `sql/queries`: see `hypertape.queries`, which other rooms import too."""

from hypertape.queries import query, sql_directory

__all__ = ["query", "sql_directory"]
