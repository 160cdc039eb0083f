"""The DAG files, parsed once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_environment import DAGS
from skipping import pytest_runtest_makereport  # noqa: F401  (no test is skipped here in CI)


@pytest.fixture(scope="session")
def dag_bag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(DAGS, bundle_path=DAGS)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tickers of daily bars in thousands; one bar cannot be."""
    days = ("2025-01-02", "2025-01-03", "2025-01-06", "2025-01-07")
    made = tmp_path_factory.mktemp("csv")
    for ticker, close in (("AAA", "12.5"), ("BBB", "31.45")):
        directory = made / "market_data" / ticker
        directory.mkdir(parents=True)
        lines = [f"{ticker},{day},{close},{close},{close},{close},1000" for day in days]
        if ticker == "BBB":
            lines[1] = f"BBB,{days[1]},30,29,31,30,1000"
        (directory / "1D.csv").write_text(
            "ticker,time,open,high,low,close,volume\n" + "\n".join(lines) + "\n"
        )
    return made
