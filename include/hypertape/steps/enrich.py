"""Gate a landed batch and compute its 13 indicators with lookback from the warehouse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from hypertape.quality.gate import Gated, gate
from hypertape.rows import RowCount, require_all
from hypertape.steps.landing import Landing
from hypertape.steps.plan import RunSpec
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.lookback import enrich_bars


def enrich(
    dsn: str, reference: Mapping[str, Any], *, plan_head: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Sift a batch and land `enriched` (clean bars with all 13 indicators) and `refused` (rows for quarantine).

    The indicators are those of the series as it stands now; the load computes what it stores again under its lock,
    because another load may have changed the neighbours in between.
    """
    head = RunSpec.from_json(plan_head)
    place = Landing(reference["landing"], head.run_id, reference["batch"]["index"])
    answer = place.read_json("answer")
    gated = gate(place.read("bars"), head.market, head.interval, now=now)
    with connect(dsn) as connection:
        enriched = enrich_bars(connection, head.market, head.interval, gated.bars)
    place.write("enriched", enriched)
    refused = pa.concat_tables([place.read("rejects"), gated.rejects])
    rows = _account(answer or {}, gated, refused)
    place.write("refused", refused)
    place.write_json(
        "sifted", {"duplicates": gated.duplicates, "at": now.isoformat(), "rows": rows.to_json()}
    )
    return {**reference, "failed": answer["failed"] if answer else {}}


def _account(answer: Mapping[str, Any], gated: Gated, refused: pa.Table) -> RowCount:
    """What became of the batch's rows, of those that came in as the source counted them. Raises RowsLost."""
    came = sum((RowCount.from_json(count) for count in answer.get("rows", {}).values()), RowCount())
    duplicates = came.duplicates + sum(gated.duplicates.values())
    by_rule = Counter(refused["rule"].to_pylist())
    count = RowCount(came.rows_in, len(gated.bars), duplicates, by_rule, came.outside)
    require_all({"the batch": count}, "The gate")
    return count
