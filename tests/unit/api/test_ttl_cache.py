"""What is kept for some seconds, and not longer."""

from __future__ import annotations

import itertools

from hypertape.api.ttl_cache import Kept


def test_a_value_is_made_once_until_it_is_old() -> None:
    now = [0.0]
    kept: Kept[int] = Kept(10, tick=lambda: now[0])
    values = itertools.count()
    assert [kept.get("a", lambda: next(values)) for _ in range(3)] == [0, 0, 0]
    assert kept.has("a")
    now[0] = 10.0
    assert not kept.has("a")
    assert kept.get("a", lambda: next(values)) == 1


def test_clearing_forgets_everything() -> None:
    kept: Kept[int] = Kept(10, tick=lambda: 0.0)
    kept.get("a", lambda: 1)
    kept.clear()
    assert kept.get("a", lambda: 2) == 2


def test_made_up_keys_do_not_pile_up() -> None:
    kept: Kept[int] = Kept(10, most=5, tick=lambda: 0.0)
    for key in range(1000):
        kept.get(key, lambda: 0)
    assert sum(kept.has(key) for key in range(1000)) <= 5


def test_a_failure_is_not_kept() -> None:
    kept: Kept[int] = Kept(10, tick=lambda: 0.0)
    for _ in range(2):
        try:
            kept.get("a", lambda: 1 // 0)
        except ZeroDivisionError:
            continue
    assert kept.get("a", lambda: 7) == 7
