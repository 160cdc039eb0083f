"""From an address to a store."""

import pickle

import pytest
from store_lab import CRYPTO, D1, NOW, VN, blocks, frame

from hypertape.errors import BadInput
from hypertape.settings import Settings
from hypertape.stores import Selection
from hypertape.stores.addresses import FORMS, CsvFormat, CsvOptions, Opening, open_store, parse_address
from hypertape.stores.csv import CsvStore
from hypertape.stores.warehouse import WarehouseStore


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("warehouse", ("warehouse", "")),
        ("csv:data", ("csv", "data")),
        ("csv:/a:b", ("csv", "/a:b")),
        ("sqlite:/data/vn_data.db", ("sqlite", "/data/vn_data.db")),
        ("stockula:stockula.db", ("stockula", "stockula.db")),
        ("parquet:s3://bucket/tape", ("parquet", "s3://bucket/tape")),
    ],
)
def test_an_address_is_a_kind_and_a_place(address, expected):
    assert parse_address(address) == expected


@pytest.mark.parametrize(
    "address", ["", "csv", "csv:", "warehouse:", "warehouse:x", "parquet:", "CSV:x", "addresses:x", "/data"]
)
def test_what_names_no_store_lists_the_forms(address):
    with pytest.raises(BadInput, match="names no store") as raised:
        parse_address(address)
    assert all(form in str(raised.value) for form in FORMS)


def test_a_tilde_is_the_home_as_in_a_shell(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_address("csv:~/tree") == ("csv", f"{tmp_path}/tree")
    assert parse_address("sqlite:a~b") == ("sqlite", "a~b")
    opened = open_store("sqlite:~/files", settings=Settings(), now=NOW, run_id="run")
    assert opened.address == f"sqlite:{tmp_path}/files"


@pytest.mark.parametrize("place", ["files", "files/one.db"], ids=["a directory", "a file"])
def test_an_address_given_in_full_is_not_moved_by_the_variables(tmp_path, place):
    files = {market: tmp_path / "production" / f"{market}.db" for market in ("vn", "crypto")}
    settings = Settings(vn_database_path=files["vn"], crypto_database_path=files["crypto"])
    store = open_store(f"sqlite:{tmp_path}/{place}", settings=settings, now=NOW, run_id="run")
    for market in (VN, CRYPTO):
        store.write(market, D1, blocks(frame("AAA", 3)))
        assert str(store.path(market.code)).startswith(f"{tmp_path}/{place}")
    assert not (tmp_path / "production").exists()
    assert len(list(store.series(Selection()))) == 2


def test_a_csv_address_opens_a_tree(tmp_path):
    options = CsvOptions(CsvFormat.LEGACY, market="vn")
    store = open_store(f"csv:{tmp_path}", settings=Settings(), now=NOW, run_id="run", csv=options)
    assert store == CsvStore(tmp_path, options)
    assert store.address == f"csv:{tmp_path}"


def test_the_warehouse_is_the_settings_unless_a_dsn_is_given():
    settings = Settings(database_url="postgresql://one/a")
    stores = [Opening("warehouse", settings, NOW, "run", dsn).open() for dsn in (None, "postgresql://two/b")]
    assert all(isinstance(store, WarehouseStore) for store in stores)
    assert [store.dsn for store in stores] == ["postgresql://one/a", "postgresql://two/b"]
    for store in stores:
        store.close()


def test_an_opening_travels_to_another_process(tmp_path):
    opening = Opening(f"csv:{tmp_path}", Settings(), NOW, "run", csv=CsvOptions(legacy_scale=True))
    assert pickle.loads(pickle.dumps(opening)) == opening
