"""`/tickers?format=arrow`: what JSON says, as a stream of Arrow's."""

from __future__ import annotations

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from hypertape.reader.ipc import MEDIA_TYPE, as_stream, from_stream

ASKED = [
    "symbol=VCB&symbol=FPT&limit=30",
    "symbol=VCB&interval=1m&start_date=2024-03-20",
    "interval=1W&symbol=FPT&limit=5",
    "interval=4h&symbol=VCB&limit=9&ema=12",
    "mode=all&symbol=VNM&start_date=2023-01-01",
    "symbol=VCB&legacy=true&limit=3&ma=false",
    "symbol=NOBODY",
]


def rows_of(client: TestClient, asked: str) -> list[dict[str, object]]:
    answer = client.get(f"/tickers?{asked}&format=arrow")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == MEDIA_TYPE
    with pa.ipc.open_stream(answer.content) as stream:
        table = stream.read_all()
    assert table.schema.field("time").type == pa.timestamp("us", tz="UTC")
    return table.to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("asked", ASKED)
def test_it_says_what_json_says(client: TestClient, asked: str) -> None:
    daily = "interval=" not in asked or "1W" in asked
    told = client.get(f"/tickers?{asked}&provisional=false").json()
    expected = [{**bar, "symbol": name} for name, bars in told.items() for bar in bars]
    found = []
    for row in rows_of(client, asked):
        time = row["time"]
        row["time"] = f"{time:%Y-%m-%d}" if daily else f"{time:%Y-%m-%dT%H:%M:%S}"
        found.append({name: value for name, value in row.items() if value is not None})
    assert found == expected
    assert bool(found) == ("NOBODY" not in asked)


def test_marks_come_on_request_only(client: TestClient) -> None:
    assert "provisional" not in rows_of(client, "symbol=VCB&limit=1")[0]
    marked = rows_of(client, "symbol=VCB&limit=2&provisional=true")
    assert [row["provisional"] for row in marked] == [False, False]


def test_formats_have_versions_of_their_own(client: TestClient) -> None:
    tags = {
        client.get(f"/tickers?symbol=VCB&format={kind}").headers.get("etag")
        for kind in ("json", "csv", "arrow")
    }
    assert len(tags) == 3


def test_a_stream_that_is_cut_is_told() -> None:
    table = pa.table({"a": list(range(10_000))})
    pieces = list(as_stream(table.schema, table.to_batches(max_chunksize=1_000)))
    assert pa.Table.from_batches(from_stream(iter(pieces))).equals(table)
    whole = b"".join(pieces)
    for size in (1, 7, 100_000):
        cut = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert pa.Table.from_batches(from_stream(iter(cut))).equals(table), "however it is cut into pieces"
    for cut_at in (len(whole) - 8, len(whole) // 2, 10):
        with pytest.raises(pa.ArrowInvalid):
            list(from_stream(iter([whole[:cut_at]])))
