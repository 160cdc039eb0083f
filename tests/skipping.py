"""What "skipped" means in tests/web and tests/dags: not run, so nothing is known. In CI it does not happen there.

A developer's machine may lack a browser; CI has everything these tests need (HYPERTAPE_BROWSER=required says that this
is CI), so that a skipped test is a failure there, whatever skipped it. Their conftest files take up the hook.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from browser import REQUIRED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where nothing may be skipped."""
    report = yield
    if REQUIRED and report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and in CI nothing here may be: {reason}"
    return report
