"""Which series hold made-up bars is told of each, and not of their neighbours."""

from __future__ import annotations

from api_lab import D1, DAYS, NOW, VN, arrow, client_of, open_app, put, walk

from hypertape.model import Window, utc
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars


def test_one_series_of_the_sample_leaves_its_neighbours_real(warehouse: str) -> None:
    put(warehouse, VN, D1, {"VCB": walk(DAYS[:5], 1), "FPT": walk(DAYS[:5], 2)})
    request = LoadRequest(VN, D1, "lab", "sample", Window(utc(1900), utc(2100)), NOW)
    with connect(warehouse) as connection:
        load_bars(connection, arrow({"SYNBANK": walk(DAYS[:5], 3)}), request)
    with client_of(open_app(warehouse)) as client:
        series = client.get("/series?mode=vn").json()["series"]
        assert {each["ticker"]: each["synthetic"] for each in series} == {
            "FPT": False,
            "SYNBANK": True,
            "VCB": False,
        }
        one = client.get("/series?symbol=FPT&symbol=SYNBANK").json()["series"]
        assert [each["ticker"] for each in one] == ["FPT", "SYNBANK"]
        (place,) = next(m for m in client.get("/overview").json()["markets"] if m["market"] == "vn")[
            "intervals"
        ]
    assert (place["tickers"], place["synthetic"], place["synthetic_tickers"]) == (3, True, 1)
    assert place["synthetic_named"] == ["SYNBANK"]
