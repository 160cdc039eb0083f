"""The spool keeps what was appended, in order, across deaths, and says when it cannot."""

from __future__ import annotations

import os

import pytest

from hypertape.errors import BadInput, SpoolFull
from hypertape.stream.spool import Spool

RECORDS = [f"record {n}".encode() * (n + 1) for n in range(20)]


def emptied(spool: Spool) -> list[bytes]:
    found = []
    while (record := spool.head()) is not None:
        found.append(record)
        spool.advance()
    return found


@pytest.mark.parametrize("segment_bytes", [1, 500, 1 << 20], ids=["a segment each", "several", "one segment"])
def test_in_order_and_gone_when_stored(tmp_path, segment_bytes):
    spool = Spool(tmp_path, most_bytes=1 << 20, segment_bytes=segment_bytes)
    for record in RECORDS[:10]:
        spool.append(record)
    assert [spool.head(), spool.head()] == RECORDS[:1] * 2, "a record stays until it is stored"
    spool.advance()
    for record in RECORDS[10:]:
        spool.append(record)
    assert spool.records == 19
    assert emptied(spool) == RECORDS[1:]
    assert (spool.records, spool.size, list(tmp_path.glob("*.segment"))) == (0, 0, [])
    spool.append(b"again")
    assert emptied(spool) == [b"again"]


@pytest.mark.parametrize("segment_bytes", [1, 500, 1 << 20])
def test_what_a_dead_process_left_is_read_first(tmp_path, segment_bytes):
    first = Spool(tmp_path, most_bytes=1 << 20, segment_bytes=segment_bytes)
    for record in RECORDS:
        first.append(record)
    first.advance()  # stored, but its segment may still be there: it may be read again
    first.close()
    second = Spool(tmp_path, most_bytes=1 << 20, segment_bytes=segment_bytes)
    second.append(b"new")
    found = emptied(second)
    assert found[-20:] == [*RECORDS[1:], b"new"]
    assert found[:-20] in ([], RECORDS[:1])


@pytest.mark.parametrize(
    "rest",
    [b"\x07", b"\x64\0\0\0\1\2\3\4only a part", b"\0" * 40, b"\3\0\0\0\1\2\3\4abc"],
    ids=["half a frame", "half a record", "zeros", "a record whose bytes did not arrive"],
)
def test_a_record_that_a_crash_cut_short_was_never_there(tmp_path, rest):
    spool = Spool(tmp_path, most_bytes=1 << 20)
    for record in RECORDS[:3]:
        spool.append(record)
    spool.close()
    (path,) = tmp_path.glob("*.segment")
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(rest)
    assert emptied(Spool(tmp_path, most_bytes=1 << 20)) == RECORDS[:3]
    assert whole > 0


def test_damage_is_set_aside_and_stops_nobody(tmp_path, caplog):
    spool = Spool(tmp_path, most_bytes=1 << 20, segment_bytes=200)
    for record in RECORDS[:12]:
        spool.append(record)
    spool.close()
    first, *others = sorted(tmp_path.glob("*.segment"))
    assert others
    data = bytearray(first.read_bytes())
    data[20] ^= 1
    first.write_bytes(data)
    found = emptied(Spool(tmp_path, most_bytes=1 << 20))
    assert found == RECORDS[12 - len(found) : 12]
    assert 0 < len(found) < 12
    assert first.with_suffix(".damaged").read_bytes() == data, "what may be saved of it is kept"
    assert "is damaged at byte 8" in caplog.text


def test_full_is_a_clear_refusal_and_keeps_what_is_there(tmp_path):
    spool = Spool(tmp_path, most_bytes=300)
    spool.append(b"x" * 200)
    with pytest.raises(SpoolFull, match=r"holds 216 of 300 bytes.*HYPERTAPE_SPOOL_MEGABYTES"):
        spool.append(b"y" * 100)
    assert emptied(spool) == [b"x" * 200]
    spool.append(b"y" * 100)
    assert emptied(spool) == [b"y" * 100]


def test_a_disk_that_does_not_write_is_a_refusal_too(tmp_path):
    spool = Spool(tmp_path, most_bytes=1 << 20)
    spool.append(b"one")
    os.close(spool._writing)  # the next write fails as it does on a broken disk
    with pytest.raises(SpoolFull, match="cannot be written"):
        spool.append(b"two")
    spool.append(b"three")
    assert emptied(spool) == [b"one", b"three"]


def test_one_process_has_it(tmp_path):
    spool = Spool(tmp_path, most_bytes=1 << 20)
    with pytest.raises(BadInput, match="Another process writes to the spool"):
        Spool(tmp_path, most_bytes=1 << 20)
    spool.close()
    Spool(tmp_path, most_bytes=1 << 20).close()
