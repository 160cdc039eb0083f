"""What is wrong, with memory: `ledger` keeps it, observers read it off the other ledgers, `headline` says it.

changes = look(connection, Look(now=now, run_id=run_id))    # observe, open, keep current, close
headline(open_findings(connection, now))                   # one sentence, the same everywhere
"""

from hypertape.warehouse.findings.headline import Headline, headline
from hypertape.warehouse.findings.ledger import (
    Changes,
    Finding,
    Looked,
    Observation,
    acknowledge,
    findings,
    keep,
    open_findings,
    reopen,
)
from hypertape.warehouse.findings.look import Look, look

__all__ = [
    "Changes",
    "Finding",
    "Headline",
    "Look",
    "Looked",
    "Observation",
    "acknowledge",
    "findings",
    "headline",
    "keep",
    "look",
    "open_findings",
    "reopen",
]
