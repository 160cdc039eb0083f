"""The defaults, spellings, limits and errors of every route: each row with its reason."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from api_lab import DAYS, NOW, client_of, open_app
from starlette.testclient import TestClient

from hypertape.api.bar_encoder import CSV_HEADER
from hypertape.api.bar_query import MOST_BARS_EACH, MOST_SYMBOLS
from hypertape.model import AVERAGE_COLUMNS, SCORE_COLUMNS
from scrape import values

LAST, BEFORE = (f"{day:%Y-%m-%d}" for day in reversed(DAYS[-2:]))
USUAL = f"{DAYS[-252]:%Y-%m-%d}"
PRICES = ["time", "open", "high", "low", "close", "volume", "symbol"]


def ask(client: TestClient, query: str) -> Any:
    response = client.get(f"/tickers?{query}")
    assert response.status_code == 200, response.text
    return response.json()


def shape(answer: dict[str, list[Any]]) -> dict[str, tuple[int, str, str]]:
    return {name: (len(bars), bars[0]["time"], bars[-1]["time"]) for name, bars in answer.items()}


ANSWERS = [
    ("symbol=VCB", {"VCB": (252, USUAL, LAST)}, "252 newest days of the usual market"),
    (
        "symbol=VCB&symbol=NEW",
        {"VCB": (252, USUAL, LAST), "NEW": (3, "2024-03-27", LAST)},
        "a symbol may be repeated",
    ),
    ("symbol=NOPE", {}, "an unknown ticker is absent, and no error"),
    ("symbol=vcb", {}, "tickers keep their case"),
    ("symbol=VCB%00", {}, "nor is one that no ticker can be"),
    ("symbol=BTC", {}, "another market's ticker is not this market's"),
    ("symbol=BTC&mode=crypto&limit=1", {"BTC": (1, LAST, LAST)}, "which has its mode"),
    ("symbol=BTC&mode=cryptos&limit=1", {"BTC": (1, LAST, LAST)}, "and another name"),
    ("symbol=VCB&mode=stock&limit=1", {"VCB": (1, LAST, LAST)}, "as this one has"),
    ("symbol=VNM&mode=yahoo&limit=1", {"VNM": (1, "2023-03-24", "2023-03-24")}, "and the third"),
    (
        "symbol=VNM&mode=all&limit=1",
        {"VNM": (1, "2023-02-24", "2023-02-24"), "us:VNM": (1, "2023-03-24", "2023-03-24")},
        "a ticker of two markets is told apart by the second's name",
    ),
    ("symbol=us:VNM&mode=all&limit=1", {"VNM": (1, "2023-03-24", "2023-03-24")}, "and can be asked by it"),
    ("symbol=VCB&limit=2", {"VCB": (2, BEFORE, LAST)}, "a limit takes the newest"),
    ("symbol=VCB&limit=2&start_date=2023-01-01", {"VCB": (2, "2023-01-02", "2023-01-03")}, "with a start the oldest"),
    ("symbol=VCB&start_date=2023-01-01", {"VCB": (len(DAYS), "2023-01-02", LAST)}, "with a start alone all of them"),
    ("symbol=VCB&end_date=2024-03-28&limit=1", {"VCB": (1, BEFORE, BEFORE)}, "the end includes its day"),
    (
        "symbol=VCB&interval=1m&end_date=2024-03-28&limit=1",
        {"VCB": (1, "2024-03-28T04:29:00", "2024-03-28T04:29:00")},
        "to the last minute of it",
    ),
    (
        "symbol=VCB&interval=1m&end_date=2024-03-28T03:00:00&limit=1",
        {"VCB": (1, "2024-03-28T03:00:00", "2024-03-28T03:00:00")},
        "an instant as the end includes the bar that opens then",
    ),
    (
        "symbol=VCB&interval=1m&start_date=2024-03-28T10:00:00%2B07:00&limit=1",
        {"VCB": (1, "2024-03-28T03:00:00", "2024-03-28T03:00:00")},
        "an instant with a zone is brought to UTC",
    ),
    ("symbol=VCB&interval=1M&limit=1", {"VCB": (1, "2024-03-01", "2024-03-01")}, "1M is a month"),
    ("symbol=VCB&interval=1mo&limit=1", {"VCB": (1, "2024-03-01", "2024-03-01")}, "in our spelling too"),
    ("symbol=VCB&interval=1m&limit=1", {"VCB": (1, "2024-03-29T04:29:00", "2024-03-29T04:29:00")}, "1m is a minute"),
    ("symbol=VCB&interval=1H&limit=1", {"VCB": (1, "2024-03-29T07:00:00", "2024-03-29T07:00:00")}, "an hour"),
    ("symbol=VCB&interval=1h&limit=1", {"VCB": (1, "2024-03-29T07:00:00", "2024-03-29T07:00:00")}, "in both cases"),
    ("symbol=VCB&interval=4h&limit=1", {"VCB": (1, "2024-03-29T04:00:00", "2024-03-29T04:00:00")}, "made of hours"),
    ("symbol=VCB&interval=2W&limit=1", {"VCB": (1, "2024-03-25", "2024-03-25")}, "fortnights since 2000-01-03"),
    (
        "symbol=&limit=1&interval=1H",
        dict.fromkeys(("FPT", "VCB"), (1, "2024-03-29T07:00:00", "2024-03-29T07:00:00")),
        "an empty symbol is none, and none is the whole market",
    ),
    (
        "symbol=VCB&limit=&mode=&interval=&format=&start_date=",
        {"VCB": (252, USUAL, LAST)}, "empty is not given"),
    ("symbol=VCB&limit=1&cache=false", {"VCB": (1, LAST, LAST)}, "older servers' clients say so"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected", "reason"), ANSWERS, ids=[row[2] for row in ANSWERS])
def test_what_is_answered(client: TestClient, query: str, expected: dict[str, Any], reason: str) -> None:
    assert shape(ask(client, query)) == expected, reason


def test_no_symbol_is_the_whole_market(client: TestClient) -> None:
    assert sorted(ask(client, "limit=1")) == ["FPT", "NEW", "ONE", "VCB", "VNINDEX", "VNM"]
    everything = ask(client, "limit=1&mode=all")
    assert sorted(everything) == ["BTC", "FPT", "NEW", "ONE", "VCB", "VNINDEX", "VNM", "us:VNM"]


def test_a_null_indicator_has_no_key(client: TestClient) -> None:
    ((bar,),) = ask(client, "symbol=ONE").values()
    assert list(bar) == PRICES
    young = ask(client, "symbol=NEW")["NEW"]
    assert set(young[0]) == set(PRICES)
    assert not set(young[-1]) & {*AVERAGE_COLUMNS, *SCORE_COLUMNS}
    assert "close_changed" in young[-1]


def test_ma_false_keeps_the_changes(client: TestClient) -> None:
    (bar,) = ask(client, "symbol=VCB&limit=1&ma=false")["VCB"]
    assert set(bar) == {*PRICES, "close_changed", "volume_changed", "total_money_changed"}
    header, line = client.get("/tickers?symbol=VCB&limit=1&ma=false&format=csv").text.splitlines()
    assert header == CSV_HEADER
    assert line.split(",")[7:17] == [""] * 10


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ("ema", ["ema10", "ema100", "ema20", "ema200", "ema50"]),
        ("ema=true", ["ema10", "ema100", "ema20", "ema200", "ema50"]),
        ("ema=1", ["ema10", "ema100", "ema20", "ema200", "ema50"]),
        ("ema=26,12", ["ema12", "ema26"]),
        ("ema=false", []),
    ],
)
def test_an_ema_comes_on_request(client: TestClient, told: str, names: list[str]) -> None:
    (bar,) = ask(client, f"symbol=VCB&limit=1&{told}")["VCB"]
    assert sorted(name for name in bar if name.startswith("ema")) == names


def test_legacy_is_for_stocks_of_markets_with_another_unit(client: TestClient) -> None:
    for market, ticker, factor in (
        ("vn", "VCB", 1000),
        ("vn", "VNINDEX", 1),
        ("crypto", "BTC", 1),
        ("us", "VNM", 1),
    ):
        query = f"symbol={ticker}&mode={market}&limit=1"
        (bar,), (legacy,) = (ask(client, query + more)[ticker] for more in ("", "&legacy"))
        for name in ("open", "high", "low", "close"):
            assert legacy[name] == round(bar[name] / factor, 9), ticker
        assert legacy["volume"] == bar["volume"]
        assert legacy.get("ma10_score") == bar.get("ma10_score")
        if factor == 1:
            assert legacy == bar


def test_the_csv_header_is_the_documents(client: TestClient) -> None:
    response = client.get("/tickers?symbol=NOPE&format=csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.text == (
        "symbol,time,open,high,low,close,volume,ma10,ma20,ma50,ma100,ma200,ma10_score,ma20_score,ma50_score,"
        "ma100_score,ma200_score,close_changed,volume_changed,total_money_changed\n"
    )


MANY = urlencode([("symbol", f"T{k}") for k in range(MOST_SYMBOLS + 1)])
ERRORS = [
    ("/tickers?interval=1x", "There is no interval '1x'. Intervals: 1D, 1H, 1m,", "an interval that is none"),
    ("/tickers?interval=1d%20", "There is no interval '1d '.", "nearly one"),
    ("/tickers?interval=1MO", "1M is a month, 1m a minute", "the advice tells month and minute apart"),
    ("/tickers?start_date=yesterday", "start_date='yesterday' is not a date. Write YYYY-MM-DD", "no date"),
    (
        "/tickers?end_date=2024-02-30",
        "end_date='2024-02-30' is not a date.",
        "a day that is not in the calendar",
    ),
    ("/tickers?start_date=0001-01-01T00:00:00%2B14:00", "is not a date.", "before the year 1"),
    (
        "/tickers?start_date=2024-02-02&end_date=2024-02-01",
        "is after end_date=2024-02-01",
        "the wrong way round",
    ),
    ("/tickers?limit=0", "limit='0' is not a count.", "none at all"),
    ("/tickers?limit=-1", "limit='-1' is not a count.", "less than none"),
    ("/tickers?limit=ten", "limit='ten' is not a count.", "a word"),
    ("/tickers?limit=1.5", "limit='1.5' is not a count.", "a fraction"),
    ("/tickers?limit=%D9%A3", "is not a count.", "a digit of another script"),
    ("/tickers?limit=" + "9" * 30, "is not a count.", "more digits than a number here has"),
    (
        f"/tickers?limit={MOST_BARS_EACH + 1}",
        "is more than 100000. Leave it out and give a start_date",
        "too many",
    ),
    (f"/tickers?{MANY}", "1001 symbols are more than 1000. Ask for some at a time", "too many symbols"),
    (
        "/tickers?mode=jp",
        "There is no mode 'jp'. Modes: vn (or stock), crypto (or cryptos), us (or yahoo), all.",
        "no market",
    ),
    ("/tickers?format=xml", "format='xml' is not known. Valid: json, csv, arrow.", "no format"),
    ("/tickers?legacy=perhaps", "legacy='perhaps' is neither true nor false.", "no flag"),
    ("/tickers?ma=2", "ma='2' is neither true nor false.", "no flag either"),
    ("/tickers?ema=12,0", "ema='0' is not a count.", "an EMA over nothing"),
    ("/tickers?ema=12,", "ema='12,' is no list of lengths.", "half a list"),
    ("/tickers?ema=1,2,3,4,5,6,7,8,9,10,11", "is no list of lengths.", "too many lengths"),
    ("/tickers?ema=1001", "ema=1001 is more than 1000.", "too long an EMA"),
    ("/tickers/group?mode=x", "There is no mode 'x'.", "modes are the same everywhere"),
    ("/coverage?mode=all", "Coverage is of one market.", "a calendar is one market's"),
    ("/coverage?interval=5m", "5m bars are not loaded.", "what is rolled up is not loaded"),
    ("/coverage?by=year", "by='year' is not known.", "no bucket"),
    ("/coverage?by=day&start_date=2020-01-01", "at most 100 days by day", "too many buckets"),
    ("/gaps?reason=lazy", "reason='lazy' is not known. Valid: holiday,", "no reason"),
    ("/gaps?limit=5001", "limit=5001 is more than 5000. Follow `next`", "too long a page"),
    ("/gaps?after=x", "after='x' is no cursor.", "no cursor"),
    ("/gaps?after=WyJhIl0", "is no cursor.", "a cursor of something else"),
    ("/revisions?after=WzFd", "is no cursor.", "a cursor of another list"),
    ("/quality?status=fine", "status='fine' is not known.", "no status"),
    ("/loads?load_id=0", "load_id='0' is not a count.", "no load"),
    ("/api/v1/symbols/x", "symbol_id: ", "no number"),
]


@pytest.mark.parametrize(("path", "words", "reason"), ERRORS, ids=[row[2] for row in ERRORS])
def test_bad_input_is_400_and_says_what_is_valid(
    client: TestClient, path: str, words: str, reason: str
) -> None:
    response = client.get(path)
    assert response.status_code == 400, reason
    assert list(response.json()) == ["error"]
    assert words in response.json()["error"]
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/api/v1/symbols/999999", 404), ("/api/v1/symbols/-1", 404)]
)
def test_what_is_not_there_is_404_in_the_same_form(client: TestClient, path: str, status: int) -> None:
    response = client.get(path)
    assert response.status_code == status
    assert list(response.json()) == ["error"]


def test_an_answer_that_could_be_too_large_is_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypertape.api.bar_query.MOST_BARS", 700)
    assert client.get("/tickers?limit=100").status_code == 200
    response = client.get("/tickers?start_date=2000-01-01")
    assert response.status_code == 400
    assert "Name fewer symbols, a shorter window or a limit" in response.json()["error"]
    assert client.get("/tickers?start_date=2024-03-01").status_code == 200, (
        "the window counts, not the series"
    )


def test_a_warehouse_that_is_away_is_503_without_its_address() -> None:
    with client_of(open_app("postgresql://someone:secret@127.0.0.1:1/nowhere")) as client:
        response = client.get("/tickers?symbol=VCB")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert "127.0.0.1" not in response.text
    assert "secret" not in response.text


def test_a_warehouse_without_a_schema_is_503_with_advice(empty_database: str) -> None:
    with client_of(open_app(empty_database)) as client:
        response = client.get("/tickers?symbol=VCB")
    assert response.status_code == 503
    assert "hypertape schema apply" in response.json()["error"]


def test_a_restarted_server_costs_no_request(warehouse: str) -> None:
    import psycopg

    with client_of(open_app(warehouse)) as client:
        assert client.get("/tickers?symbol=VCB").status_code == 200
        with psycopg.connect(warehouse, autocommit=True) as server:
            server.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid() and application_name = 'hypertape api'"
            )
        assert client.get("/tickers?symbol=VCB").status_code == 200


def test_health_counts_and_tells_the_time(client: TestClient) -> None:
    content = client.get("/health").json()
    assert content["status"] == "ok"
    assert content["now"] == NOW.isoformat().replace("+00:00", "Z")
    assert content["tier"] in ("timescaledb", "plain")
    assert content["stores"] == ["warehouse"]
    vn = content["markets"]["vn"]
    assert vn["zone"] == "Asia/Ho_Chi_Minh"
    assert isinstance(vn["trading_hours"], bool)
    assert vn["intervals"]["1D"]["tickers"] == 6
    assert vn["intervals"]["1D"]["last_bar"] == "2024-03-29T00:00:00Z"
    assert vn["intervals"]["1m"]["bars"] > 1000
    assert vn["intervals"]["1H"]["last_sync"] is not None


def test_coverage_counts_against_the_calendar(client: TestClient) -> None:
    content = client.get("/coverage?symbol=VCB&symbol=NEW&start_date=2024-02-01&end_date=2024-03-31").json()
    assert content["buckets"] == ["2024-02", "2024-03"]
    assert content["expected"] == [16, 21], "February had the Lunar New Year"
    assert content["tickers"]["VCB"]["bars"] == [21, 21], "the lab's bars know no holidays"
    assert content["tickers"]["NEW"] == {"first": "2024-03-27T00:00:00Z", "bars": [0, 3]}
    days = client.get(
        "/coverage?symbol=VCB&interval=1m&by=day&start_date=2024-03-28&end_date=2024-03-31"
    ).json()
    assert days["buckets"] == ["2024-03-28", "2024-03-29", "2024-03-30", "2024-03-31"]
    assert days["expected"][2:] == [0, 0], "a weekend"
    assert days["tickers"]["VCB"]["bars"][0] == 128


def test_a_count_of_everything_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    year = "/coverage?interval=1m&start_date=2023-04-01&end_date=2024-03-31"
    assert client.get(year).status_code == 200
    for number in ("MOST_COUNTS", "MOST_BARS"):
        with monkeypatch.context() as patch:
            patch.setattr(f"hypertape.api.routes.coverage.{number}", 20)
            response = client.get(year)
        assert response.status_code == 400
        assert "name symbols, or narrow start_date and end_date." in response.json()["error"]


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 5000])
def test_coverage_leads_through_all_tickers(client: TestClient, limit: int) -> None:
    """Page by page it counts what it counts at once."""
    window = "/coverage?start_date=2024-02-01&end_date=2024-03-31"
    whole = client.get(window).json()
    assert whole["next"] is None
    seen, after = {}, ""
    while after is not None:
        page = client.get(f"{window}&limit={limit}&after={after}").json()
        assert 0 < len(page["tickers"]) <= limit
        seen, after = {**seen, **page["tickers"]}, page["next"]
    assert seen == whole["tickers"]
    assert len(seen) == 6


def test_coverage_with_a_limit_counts_what_fits(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    year = "/coverage?interval=1m&start_date=2023-04-01&end_date=2024-03-31"
    expected = client.get(year).json()["expected"]
    monkeypatch.setattr("hypertape.api.routes.coverage.MOST_BARS", int(1.5 * sum(expected)))
    assert client.get(year).status_code == 400, "two tickers are more than one and a half"
    first = client.get(f"{year}&limit=5000").json()
    second = client.get(f"{year}&limit=5000&after={first['next']}").json()
    assert [*first["tickers"], *second["tickers"]] == ["FPT", "VCB"]
    assert second["next"] is None
    monkeypatch.setattr("hypertape.api.routes.coverage.MOST_BARS", sum(expected) - 1)
    assert client.get(f"{year}&limit=1").status_code == 400, "not even one fits"


def test_tickers_are_found_by_a_part_of_their_name(client: TestClient) -> None:
    window = "/coverage?start_date=2024-02-01&end_date=2024-03-31"
    assert list(client.get(f"{window}&contains=vn").json()["tickers"]) == ["VNINDEX", "VNM"]
    for nothing in ("NOPE", "%25", "_", "%00"):
        assert client.get(f"{window}&contains={nothing}").json()["tickers"] == {}
    assert client.get(f"{window}&after=x").status_code == 400
    named = client.get("/series?mode=vn&interval=1D&contains=Vn").json()
    assert [row["ticker"] for row in named["series"]] == ["VNINDEX", "VNM"]


def test_series_are_listed_without_a_bar_being_read(client: TestClient) -> None:
    whole = client.get("/series").json()
    places = [(row["market"], row["interval"], row["ticker"]) for row in whole["series"]]
    assert places == sorted(places)
    assert len(places) == 12
    assert ("crypto", "1d", "BTC") in places
    seen, after = [], ""
    while after is not None:
        page = client.get(f"/series?limit=5&after={after}").json()
        seen, after = seen + page["series"], page["next"]
    assert seen == whole["series"]
    assert client.get("/series?interval=1W").status_code == 400


def test_lists_lead_through_all_their_rows(client: TestClient) -> None:
    whole = client.get("/loads").json()["loads"]
    assert len(whole) == 12
    seen, after = [], ""
    while after is not None:
        page = client.get(f"/loads?limit=5&after={after}").json()
        seen, after = seen + page["loads"], page["next"]
    assert seen == whole
    assert [row["ticker"] for row in client.get("/loads?mode=crypto").json()["loads"]] == ["BTC"]
    assert client.get("/loads?run_id=nobody").json() == {"loads": [], "next": None}
    symbols = client.get("/api/v1/symbols?limit=5000").json()["symbols"]
    first = client.get(f"/api/v1/symbols/{symbols[0]['symbol_id']}").json()
    assert first == symbols[0]


def test_groups_and_names(client: TestClient) -> None:
    groups = client.get("/tickers/group").json()
    assert "VCB" in groups["NGAN_HANG"]
    assert client.get("/tickers/group?mode=crypto").json()["CRYPTO_TOP_100"]
    everywhere = client.get("/tickers/group?mode=all").json()
    assert everywhere["ETF"] == groups["ETF"], "the usual market's groups keep their names"
    assert "us:ETF" in everywhere
    names = client.get("/tickers/name?mode=all").json()
    assert names["VCB"] == "Vietcombank"
    assert names["VNM"] != names["us:VNM"]


def test_metrics_are_prometheus_text(client: TestClient) -> None:
    client.get("/api/v1/symbols/1")
    response = client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert values(response.text, "hypertape_tickers", market="vn", interval="1d") == [6]
    route = "/api/v1/symbols/{symbol_id}"
    assert values(response.text, "hypertape_api_requests_total", route=route, status="200")
    assert values(response.text, "hypertape_api_request_seconds_bucket", route=route, le="+Inf")


def test_the_description_tells_every_route_and_parameter(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert {"/tickers", "/health", "/gaps", "/api/v1/symbols/{symbol_id}"} <= set(document["paths"])
    told = {parameter["name"] for parameter in document["paths"]["/tickers"]["get"]["parameters"]}
    assert told == {
        "symbol", "interval", "start_date", "end_date", "limit", "mode", "format", "legacy", "ma", "ema",
        "indicators", "cache", "state", "pin", "provisional",
    }  # fmt: skip
    page = client.get("/docs")
    assert "GET /tickers" in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
