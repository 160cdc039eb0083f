"""The SQLite schemas a migration knows. A module of its own, so that a form may list them without loading Arrow."""

from __future__ import annotations

DUAL_WRITE, STOCKULA = "dual_write", "stockula"

SCHEMAS = ("auto", DUAL_WRITE, STOCKULA)
"""What may be asked for; `auto` takes what the file has."""
