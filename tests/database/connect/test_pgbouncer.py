"""Everything through PgBouncer in transaction pooling, with one connection to the server.

One is enough for every verb: whoever held one in a transaction and wanted another would wait for itself for ever.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from migration_lab import dual_write_file

from hypertape.api.pool import Warehouse
from hypertape.errors import BadSetting, ClaimLost, PoolerTooOld
from hypertape.markets import all_markets, get_market
from hypertape.model import Interval, utc
from hypertape.settings import load_settings
from hypertape.steps.work_order import Round, WorkOrder
from hypertape.steps.worker import work
from hypertape.warehouse import cutover
from hypertape.warehouse.claims import Worker, working
from hypertape.warehouse.connect import connect, is_pooled, translate_errors
from hypertape.warehouse.schema import apply
from pooler import pooled
from served import serving
from stockula_files import bar, stockula_file

Run = Callable[..., tuple[int, str, str]]
BARS = """ticker,time,open,high,low,close,volume
{0},2025-01-02,1000,1100,900,1050,1000
{0},2025-01-03,1050,1200,1000,1150,1500
{0},2025-01-06,1150,1200,800,900,-5
"""


@pytest.fixture(scope="module")
def direct(new_warehouse: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    with new_warehouse() as dsn:
        yield dsn


@pytest.fixture(scope="module")
def through(direct: str) -> Iterator[str]:
    """The same warehouse behind a pooler that has one connection to it."""
    with pooled(direct) as dsn:
        yield dsn


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for ticker in ("AAA", "BBB"):
        (tmp_path / "csv" / ticker).mkdir(parents=True)
        (tmp_path / "csv" / ticker / "1D.csv").write_text(BARS.format(ticker))
    return tmp_path / "csv"


@pytest.fixture
def run(through: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hypertape_here: Run) -> Run:
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", through)
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HYPERTAPE_WORKER_FRESH", "0")
    return hypertape_here


def test_a_pooler_is_known(through: str, direct: str):
    with connect(through) as connection:
        assert is_pooled(connection)
    with connect(direct) as connection:
        assert not is_pooled(connection)


def test_the_schema_is_applied_at_the_server_itself(
    run: Run, direct: str, through: str, monkeypatch: pytest.MonkeyPatch
):
    code, _, told = run("schema", "apply")
    assert code != 0
    assert "HYPERTAPE_DIRECT_DATABASE_URL" in told
    with connect(through) as connection, pytest.raises(BadSetting, match="is a pooler"):
        apply(connection, all_markets().values())
    monkeypatch.setenv("HYPERTAPE_DIRECT_DATABASE_URL", direct)
    assert run("schema", "apply")[0] == 0
    assert run("schema", "verify")[0] == 0


def test_every_verb_does_with_one_connection(run: Run, tree: Path, tmp_path: Path):
    """In the order of a day's work; each is told why where its exit code is not 0."""
    of_vn, source = ("--market", "vn", "--interval", "1d"), ("--source-dir", str(tree))
    lite = tmp_path / "mirror.db"
    steps: list[tuple[tuple[str, ...], tuple[int, ...]]] = [
        (("sync", *of_vn, *source), (0, 3)),  # old bars: a check says that they are late
        (("mirror", "add", "files", f"sqlite:{lite}", "--market", "vn"), (0,)),
        (("worker", "-m", "vn", "-i", "1d", *source, "--once"), (0, 3)),
        (("backfill", "vn", "1d", *source, "--tickers", "AAA", "--mode", "overwrite", "--no-dry-run",
          "--start-date", "2025-01-01", "--end-date", "2025-01-10"), (0, 3)),
        (("import", "--input", str(tree), *of_vn, "--verify"), (0, 3, 4)),
        (("validate", *of_vn), (0, 3)),
        (("export", "--output", str(tmp_path / "out"), *of_vn), (0,)),
        (("mirror", "deliver", "files"), (0,)),
        (("mirror", "parity", "files"), (0,)),
        (("migrate", "sqlite", str(stockula_file(tmp_path / "stockula.db", [bar("AAA", "2025-01-02")]))), (0, 3, 4)),
        (("gaps", "find", *of_vn), (0, 3)),
        (("pin", "create", "once", *of_vn), (0,)),
        (("copy", "warehouse", f"csv:{tmp_path / 'copy'}", *of_vn), (0,)),
        (("gaps", "heal", *of_vn, *source), (0, 3)),
        (("reconcile", "vn", "1d", "--against", "csv_tree", *source), (0, 3)),
        (("pin", "verify", "once"), (0,)),
        (("condition", *of_vn), (0,)),
        (("forget", "vn", "1d", "--tickers", "BBB", "--no-dry-run"), (0,)),
        (("rollups", "verify", "--market", "vn"), (0,)),
        (("quarantine", "list", "--json"), (0,)),
        (("findings", "list", "--json"), (0,)),
        (("digest", *of_vn), (0,)),
        (("worker", "list", "--all", "--json"), (0,)),
        (("doctor", "--json"), (0, 1)),
    ]  # fmt: skip
    said = {words[:2]: run(*words) for words, _ in steps}
    wrong = {words: said[words[:2]] for words, codes in steps if said[words[:2]][0] not in codes}
    assert wrong == {}
    pooler = [line for line in json.loads(said["doctor", "--json"][1]) if line["what"] == "pooler"]
    assert [line["level"] for line in pooler] == ["note"]


def test_carrying_back_to_sqlite_goes_to_the_server_itself(
    warehouse: str, tmp_path: Path, hypertape_here: Run, monkeypatch: pytest.MonkeyPatch
):
    """One connection holds the loads while another one reads; the way there does with one."""
    file = dual_write_file(tmp_path, tickers=1, bars=5)
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path / "state"))
    with pooled(warehouse) as dsn:
        monkeypatch.setenv("HYPERTAPE_DATABASE_URL", dsn)
        assert hypertape_here("rollback", "to-warehouse", f"sqlite:{file}")[0] == 0
        code, _, told = hypertape_here("rollback", "to-sqlite")
        assert code != 0
        assert "HYPERTAPE_DIRECT_DATABASE_URL" in told
        with connect(warehouse) as connection:
            assert [each.truth for each in cutover.history(connection)] == [cutover.WAREHOUSE]
        monkeypatch.setenv("HYPERTAPE_DIRECT_DATABASE_URL", warehouse)
        assert hypertape_here("rollback", "to-sqlite")[0] == 0


def test_it_is_served_through_it(run: Run, through: str, tree: Path):
    """`hypertape serve` as a process, with several requests at once."""
    assert run("sync", "-m", "vn", "-i", "1d", "--source-dir", str(tree))[0] in (0, 3)
    code, said, _ = run("keys", "create", "reader")
    assert code == 0
    headers = {"Authorization": f"Bearer {said.strip()}"}
    with serving(through) as served, httpx.Client(base_url=served.url, headers=headers) as client:

        def bars(ticker: str) -> int:
            answer = client.get("/tickers", params={"symbol": ticker, "start_date": "2025-01-01"})
            return len(answer.raise_for_status().json()[ticker])

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(bars, ["AAA", "BBB"] * 10)) == {2}
        for path in ("/health", "/overview", "/workers", "/findings"):
            assert client.get(path).status_code == 200, path
        assert served.stop() == -signal.SIGTERM  # uvicorn ends as it was told


def test_the_reading_api_lends_what_it_has(through: str):
    """More requests at once than there are connections to the server."""
    warehouse = Warehouse(lambda: through, size=4)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(
                pool.map(
                    lambda n: warehouse.run(lambda c: c.execute("select %s::int", (n,)).fetchone()), range(40)
                )
            )
    finally:
        warehouse.close()
    assert [row[0] for row in found if row is not None] == list(range(40))


def test_as_many_workers_as_connections(direct: str, tree: Path, tmp_path: Path):
    """Four workers with their heartbeats and their tails, and four connections: nobody stands still."""
    every = timedelta(days=1)
    order = WorkOrder(
        get_market("vn"),
        (Interval.D1,),
        every,
        every,
        source={"name": "csv_tree", "directory": str(tree)},
        check=False,
    )
    settings = load_settings(state_dir=tmp_path / "state", worker_tickers=1, worker_fresh=0, worker_lease=30)
    rounds: list[Round] = []
    with connect(direct, autocommit=True) as connection:
        connection.execute("delete from claim")
    with pooled(direct, size=4) as dsn, ThreadPoolExecutor(4) as pool:

        def go(_: int) -> None:
            work(
                dsn, order, settings=settings, clock=lambda: utc(2025, 2, 1), stop=threading.Event(), once=True,
                on_round=rounds.append,
            )  # fmt: skip

        list(pool.map(go, range(4)))
    assert sorted(ticker for done in rounds for ticker in done.asked) == ["AAA", "BBB"]


def test_claims_are_fenced_through_a_pooler(through: str):
    with working(through, "test") as worker, connect(through, autocommit=True) as connection:
        claims = worker.take(connection, "k", ["a"])
        with connection.transaction():
            worker.require(connection, claims)
        worker.leave(connection)
        other = Worker("test")
        other.beat(connection)
        assert other.take(connection, "k", ["a"])
        with pytest.raises(ClaimLost), connection.transaction():
            worker.require(connection, claims)
        left = connection.execute("show idle_in_transaction_session_timeout").fetchone()
    assert left == ("0",), "no setting is left for the next client"


@pytest.mark.parametrize("state", ["42P05", "26000"])
def test_a_pooler_that_loses_prepared_statements_is_named(connection, state: str):
    def lose() -> None:
        connection.execute(
            f"do $$ begin raise exception 'prepared statement' using errcode = '{state}'; end $$"
        )

    with pytest.raises(PoolerTooOld, match="max_prepared_statements"), translate_errors():
        lose()
