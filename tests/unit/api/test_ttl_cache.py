"""What is kept for some seconds, and not longer."""

from __future__ import annotations

import itertools

from hypertape.api.ttl_cache import TtlCache


def test_a_value_is_made_once_until_it_is_old() -> None:
    now = [0.0]
    cache: TtlCache[int] = TtlCache(10, tick=lambda: now[0])
    values = itertools.count()
    assert [cache.get("a", lambda: next(values)) for _ in range(3)] == [0, 0, 0]
    assert cache.has("a")
    now[0] = 10.0
    assert not cache.has("a")
    assert cache.get("a", lambda: next(values)) == 1


def test_clearing_forgets_everything() -> None:
    cache: TtlCache[int] = TtlCache(10, tick=lambda: 0.0)
    cache.get("a", lambda: 1)
    cache.clear()
    assert cache.get("a", lambda: 2) == 2


def test_made_up_keys_do_not_pile_up() -> None:
    cache: TtlCache[int] = TtlCache(10, most=5, tick=lambda: 0.0)
    for key in range(1000):
        cache.get(key, lambda: 0)
    assert sum(cache.has(key) for key in range(1000)) <= 5


def test_a_failure_is_not_kept() -> None:
    cache: TtlCache[int] = TtlCache(10, tick=lambda: 0.0)
    for _ in range(2):
        try:
            cache.get("a", lambda: 1 // 0)
        except ZeroDivisionError:
            continue
    assert cache.get("a", lambda: 7) == 7
