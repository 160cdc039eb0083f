"""The end of a log, as it is shown when something does not start."""

from __future__ import annotations

from pathlib import Path

from hypertape.orchestration.supervisor import tail


def test_tail(tmp_path: Path) -> None:
    log = tmp_path / "api-server.log"
    assert tail(log) == ""
    log.write_text("\n".join(str(n) for n in range(100)))
    assert tail(log, 3) == "97\n98\n99"
