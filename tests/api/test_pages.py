"""The pages' files and the routes they ask, without a browser: tests/web has one."""

from __future__ import annotations

import re
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import psycopg
import pytest
from api_lab import DAYS, NOW
from starlette.testclient import TestClient

from hypertape.api.routes.pages import DIRECTORY, PAGES, POLICY

VENDOR = DIRECTORY / "vendor"
FIRST, LAST = (f"{day:%Y-%m-%d}" for day in (DAYS[0], DAYS[-1]))


class Elements(HTMLParser):
    """What a document loads, and what it has of its own to run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "link", "img"):
            self.loads.append(given.get("src") or given.get("href") or "inline")
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        self.inline += ["style element"] if tag == "style" else []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_only_its_own_files_and_runs_nothing_inline(client: TestClient, name: str) -> None:
    answer = client.get(f"/pages/{name}")
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    elements = Elements(answer.text)
    assert elements.inline == []
    assert [each for each in elements.loads if each != "data:,"] == ["files/style.css", f"files/{name}.js"]
    for each in elements.loads:
        if each != "data:,":
            assert client.get(f"/pages/{each}").status_code == 200


def test_there_are_these_pages() -> None:
    assert PAGES == ("markets", "quality", "run", "stream", "ticker")


def test_scripts_import_what_is_served_and_write_text_only() -> None:
    scripts = sorted(DIRECTORY.glob("*.js"))
    assert {*PAGES, "common"} < {script.stem for script in scripts}
    for script in scripts:
        text = script.read_text()
        for imported in re.findall(r'from "\./([^"]+)"', text):
            assert (DIRECTORY / imported).is_file(), imported
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), script
        assert "http://" not in text.replace("http://www.w3.org/", ""), script


def test_a_browser_that_has_a_file_is_not_sent_it_again(client: TestClient) -> None:
    first = client.get("/pages/files/common.js")
    assert first.headers["cache-control"] == "private, no-cache"
    again = client.get("/pages/files/common.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/pages/files/common.js", headers={"If-None-Match": '"other"'}).status_code == 200
    page = client.get("/pages/markets")
    known = {"If-None-Match": page.headers["etag"]}
    assert client.get("/pages/markets", headers=known).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "files/nothing.js",
        "files/..%2Fapp.py",
        "..%2F..%2Fsettings.py",
        "files/%00",
        "%00",
    ],
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    answer = client.get(f"/pages/{path}")
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_the_vendored_library_is_the_one_that_is_written_down() -> None:
    noted = re.search(r"`([0-9a-f]{64})`", (VENDOR / "README.md").read_text())
    assert noted is not None
    assert sha256((VENDOR / "lightweight-charts.mjs").read_bytes()).hexdigest() == noted[1]
    assert "Apache License" in (VENDOR / "lightweight-charts.LICENSE").read_text()


def test_the_overview_counts_in_sessions(client: TestClient) -> None:
    answer = client.get("/overview").json()
    markets = {market["market"]: market for market in answer["markets"]}
    daily = {entry["interval"]: entry for entry in markets["vn"]["intervals"]}["1d"]
    assert daily["tickers"] == 6
    assert daily["last_time"] == f"{LAST}T00:00:00Z"
    assert daily["behind"] > 500
    assert daily["late"]
    assert daily["last_run"] is None
    assert markets["us"]["zone"] == "America/New_York"
    assert markets["vn"]["last_session"]["date"] <= f"{NOW:%Y-%m-%d}"
    assert answer["failing"] == []


def test_runs_are_found_by_every_name_they_have(client: TestClient, filled: str) -> None:
    runs = client.get("/runs").json()["runs"]
    (name,) = {run["run_id"] for run in runs}
    assert sum(run["inserted"] for run in runs if run["market"] == "vn") > 1000
    assert {(run["market"], run["interval"]) for run in runs} >= {("vn", "1d"), ("vn", "1m"), ("us", "1d")}
    assert len(client.get("/runs?mode=vn&interval=1D").json()["runs"]) == 1
    assert len(client.get(f"/runs?run_id={name}").json()["runs"]) == len(runs)
    for query in ("run_id=nobody", "dag_id=bars_vn_1d&run_id=nobody", "run_id=%00"):
        assert client.get(f"/runs?{query}").json() == {"runs": []}
    assert client.get("/runs?interval=1W").status_code == 400


def test_a_cleared_run_is_found_by_airflows_id(client: TestClient, filled: str) -> None:
    with psycopg.connect(filled) as connection:
        (run_id,) = connection.execute("select run_id from load limit 1").fetchone() or ("",)
        connection.execute(
            "update load set run_id = %s", ("bars_vn_1d__manual__2024-01-05T00:00:00+00:00__2",)
        )
    query = "dag_id=bars_vn_1d&run_id=manual__2024-01-05T00:00:00%2B00:00"
    try:
        assert {run["run_id"].rpartition("__")[2] for run in client.get(f"/runs?{query}").json()["runs"]} == {
            "2"
        }
    finally:
        with psycopg.connect(filled) as connection:
            connection.execute("update load set run_id = %s", (run_id,))


def bars_below(dsn: str, relation: str, start: str, end: str) -> Any:
    with psycopg.connect(dsn) as connection:
        statement = f"select count(*) from bars.{relation} where ticker = 'VCB' and time >= %s and time < %s"
        return (connection.execute(statement, (start, end)).fetchone() or (None,))[0]


@pytest.mark.parametrize(
    ("interval", "time", "relation", "end", "why"),
    [
        ("1D", LAST, "market_data_1d", "2024-03-30", "a stored bar"),
        ("1W", "2024-03-25", "market_data_1d", "2024-04-01", "a week of days"),
        ("1M", "2024-02-01", "market_data_1d", "2024-03-01", "a month, which has no fixed length"),
        ("5m", f"{LAST}T02:00:00", "market_data_1m", f"{LAST} 02:05+00", "five minutes"),
        (
            "4h",
            f"{LAST}T04:00:00",
            "market_data_1h",
            f"{LAST} 08:00+00",
            "hours, which are joined at read time",
        ),
    ],
)
def test_a_bar_names_the_loads_below_it(
    client: TestClient, filled: str, interval: str, time: str, relation: str, end: str, why: str
) -> None:
    found = client.get(f"/origin?mode=vn&symbol=VCB&interval={interval}&time={time}").json()
    assert found["total"] == 1
    start = f"{time}+00" if "T" in time else time
    assert found["loads"][0]["bars"] == bars_below(filled, relation, start, end), why
    assert found["loads"][0]["status"] == "loaded"


def test_a_bar_that_is_none_has_no_load(client: TestClient) -> None:
    for query in ("symbol=NOPE&time=2024-03-29", "symbol=VCB&time=1999-01-01", "symbol=%00&time=2024-03-29"):
        assert client.get(f"/origin?mode=vn&{query}").json()["loads"] == []
    for query in (
        "symbol=VCB&time=x",
        "symbol=VCB",
        "symbol=VCB&time=9999-12-31&interval=1M",
        "symbol=VCB&mode=all&time=2024-01-01",
    ):
        assert client.get(f"/origin?{query}").status_code == 400, query


def test_refused_rows_and_actions_are_listed(client: TestClient, filled: str) -> None:
    with psycopg.connect(filled) as connection:
        connection.execute(
            "insert into quarantine (load_id, run_id, market, interval, ticker, time, rule, source, row_text) "
            "select max(load_id), 'lab', 'vn', '1d', '<b>', '2024-03-01', 'ohlc_order', 'lab', 'x' from load"
        )
        connection.execute(
            "insert into splits (market, ticker, time, ratio) values ('vn', 'VCB', '2024-03-01', 2)"
        )
        connection.execute(
            "insert into dividends (market, ticker, time, amount) values ('vn', 'VCB', '2024-03-04', 500)"
        )
        connection.execute(
            "insert into dividends (market, ticker, time, amount, withdrawn_at, withdrawn_run) values "
            "('vn', 'VCB', '2024-03-05', 500, '2024-03-08', 'moved')"
        )
    with psycopg.connect(filled) as connection:
        connection.execute(
            "insert into bar_flag (market, interval, ticker, time, rule, value, load_id) "
            "select 'vn', '1d', '<b>', '2024-03-01', 'ohlc_order', 'close=12.0', max(load_id) from load"
        )
    (flag,) = client.get("/flags?mode=vn&start_date=2024-03-01&end_date=2024-03-01").json()["flags"]
    assert (flag["ticker"], flag["time"][:10], flag["rule"]) == ("<b>", "2024-03-01", "ohlc_order")
    assert client.get("/flags?mode=vn&end_date=2024-02-29").json() == {"flags": [], "next": None}
    (row,) = client.get("/quarantine?mode=vn&rule=ohlc_order").json()["quarantine"]
    assert (row["ticker"], row["released_at"]) == ("<b>", None)
    assert client.get("/quarantine?mode=us").json() == {"quarantine": [], "next": None}
    kinds = [
        (each["kind"], each["value"]) for each in client.get("/actions?mode=vn&symbol=VCB").json()["actions"]
    ]
    assert kinds == [("dividend", 500.0), ("split", 2.0)]
    assert (
        client.get("/actions?mode=vn&symbol=VCB&end_date=2024-03-01").json()["actions"][0]["kind"] == "split"
    )
    answer = client.get("/quality/trend?mode=vn").json()
    assert [(day["interval"], day["quarantined"], day["checks"]) for day in answer["trend"]] == [("1d", 1, 0)]
    assert [each["ticker"] for each in answer["offenders"]] == ["<b>"]
    assert client.get("/quality/trend?days=9999").status_code == 400
