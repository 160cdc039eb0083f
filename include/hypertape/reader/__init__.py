"""Reading bars from a program: `import hypertape as ht; tape = ht.open()`.

The same `Tape` over a warehouse's address and over the address of its API; both answer the same bits. Bars come as
Arrow: `.to_pandas()`, `polars.from_arrow(…)` and DuckDB take them as they are.
"""

from __future__ import annotations

from hypertape.reader.tape import Tape, open_tape

__all__ = ["Tape", "open_tape"]
