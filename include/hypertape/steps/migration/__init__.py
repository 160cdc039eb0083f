"""A migration of SQLite files: inspect → plan → copy → verify → after_load → report.

`files` says what is in them, `plan` writes the units of work to the ledger, `worker` holds some of them for a process,
`copy` copies these with the engine of the stores, `tables` does so for what is no series, `run` joins the steps.
"""

from __future__ import annotations

DUAL_WRITE, STOCKULA = "dual_write", "stockula"

SCHEMAS = ("auto", DUAL_WRITE, STOCKULA)
"""What may be asked for; `auto` takes what the file has. Here, so that a form may list them without loading Arrow."""
