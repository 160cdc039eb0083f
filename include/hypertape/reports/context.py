"""What a report is told of the world around the warehouse: where Airflow is, who minds what, and the report before."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from hypertape.errors import BadInput
from hypertape.model import parse_instant
from hypertape.settings import Settings
from hypertape.warehouse.findings.owners import EVERYTHING, Owners, owner_of, read_owners

MADE_BY_AIRFLOW = ("manual", "scheduled", "backfill", "asset_triggered", "operator_triggered")
"""How a run id of Airflow begins. Those of the command line begin otherwise."""

_RUN = re.compile(rf"(?P<dag>\w+?)__(?P<run>(?:{'|'.join(MADE_BY_AIRFLOW)})__.+?)(?:__\d+)?")
"""`bars_vn_1d__manual__2024-01-05T08:30:00+00:00`, with `__2` when it was cleared once."""

_AS_OF = re.compile(r'<meta name="as-of" content="([^"]+)">')
_HEAD = 2_000


@dataclass(frozen=True, slots=True)
class ReportContext:
    """What is not in the ledgers. `before` is when the report was made that this one follows (UTC)."""

    airflow_url: str | None = None
    owners: Owners = field(default_factory=dict)
    before: datetime | None = None

    @classmethod
    def of(cls, settings: Settings, replaces: Path | None = None) -> ReportContext:
        """As the settings have it; a report in the file that is to be replaced is the one before.

        Owners that cannot be read stop no run: the report says so in their place.
        """
        try:
            owners = read_owners(settings.owners)
        except BadInput as error:
            owners = {EVERYTHING: error.what}
        return cls(settings.airflow_url, owners, made_at(replaces) if replaces else None)

    def page_of(self, run_id: str | None) -> str | None:
        """The address of a run's page in Airflow; None where no Airflow is named or none has made the run."""
        found = _RUN.fullmatch(run_id or "")
        if not self.airflow_url or found is None:
            return None
        at = urlsplit(self.airflow_url)
        place = at._replace(
            netloc=at.netloc.rpartition("@")[2]
        ).geturl()  # a report goes to many, a login to none
        return f"{place.rstrip('/')}/dags/{found['dag']}/runs/{quote(found['run'], safe='')}"

    def owner(self, kind: str, market: str | None, interval: str | None) -> str:
        """Who minds a finding; empty where nobody is named."""
        return owner_of(self.owners, kind, market, interval)


def made_at(report: Path) -> datetime | None:
    """When the cumulative report in a file was made (UTC); None where there is none."""
    try:
        with report.open(encoding="utf-8", errors="replace") as file:
            found = _AS_OF.search(file.read(_HEAD))
    except OSError:
        return None
    return parse_instant(found[1]) if found else None
