"""Gate a landed batch and compute its 13 indicators with lookback from the warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from hypertape.quality.gate import gate
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
    place.write("refused", pa.concat_tables([place.read("rejects"), gated.rejects]))
    place.write_json("sifted", {"duplicates": gated.duplicates, "at": now.isoformat()})
    return {**reference, "failed": answer["failed"] if answer else {}}
