"""A migration of SQLite files: inspect → plan → copy → verify → refresh → report."""
