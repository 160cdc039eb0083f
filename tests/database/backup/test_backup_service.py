"""The service `backup` of docker-compose.yaml: its script, once, over a real warehouse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_script_makes_and_proves_a_backup_and_prunes(warehouse: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HYPERTAPE_DATABASE_URL": warehouse,
        "HYPERTAPE_BACKUP_URL": str(tmp_path / "backups"),
        "HYPERTAPE_STATE_DIR": str(tmp_path / "state"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    subprocess.run(["sh", ROOT / "deploy" / "backup.sh", "once"], env=environment, check=True)
    listed = subprocess.run(
        ["hypertape", "backup", "list", "--json"], env=environment, check=True, capture_output=True, text=True
    )
    (made,) = json.loads(listed.stdout)
    assert made["verified_at"]
    assert made["state"] == "verified"
