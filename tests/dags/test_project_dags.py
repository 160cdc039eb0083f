"""DAGs of a user's project: a market's are there, and a broken file is one import error that costs no other DAG."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from airflow_environment import DAGS
from hypertape.steps.project import make_project

SCRIPT = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1], bundle_path=sys.argv[1])
asked = ("bars_jp_1d", "bars_vn_1d")
forms = {dag: list(bag.dags[dag].params.get_param("source").schema["enum"]) for dag in asked}
print(json.dumps([bag.import_errors, sorted(bag.dags), forms]))
"""


def test_a_market_has_its_dags_and_a_broken_file_costs_no_other(tmp_path: Path) -> None:
    make_project(tmp_path)
    for name in ("markets/_jp.toml", "tickers/_jp.csv", "sources/_acme.py"):
        (tmp_path / name).rename(tmp_path / name.replace("_", "", 1))
    (tmp_path / "markets" / "kr.toml").write_text('title = "Korea"\nzone = "Asia/Seoul"\n')
    (tmp_path / "checks" / "wrong.sql").write_text("select 1\n")
    (tmp_path / "sources" / "broken.py").write_text("import nowhere_at_all\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(DAGS)],
        env=os.environ | {"HYPERTAPE_PROJECT": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    errors, dags, forms = json.loads(done.stdout.splitlines()[-1])
    assert {"bars_jp_1d", "bars_jp_1h", "heal_gaps_jp_1d", "bars_vn_1d", "bars_us_1m"} <= set(dags)
    assert not [dag for dag in dags if "_kr_" in dag]
    assert "acme" in forms["bars_jp_1d"]
    assert "acme" in forms["bars_vn_1d"]
    ((file, told),) = errors.items()
    assert Path(file).name == "project_files.py"
    assert "kr.toml, line 2: there is no 'zone'. Did you mean timezone" in told
    assert "wrong.sql, line 1: there is no line -- name:" in told
    assert "broken.py, line 1: ModuleNotFoundError" in told
