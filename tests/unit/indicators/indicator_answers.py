"""Writes answers/sample_1d.csv: a made-up series with its indicators in exact decimal arithmetic.

Run it by hand to write the file anew: `python tests/unit/indicators/indicator_answers.py`. A test holds the file to it.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

AVERAGES = (10, 20, 50, 100, 200)
PRICE, PERCENT, WHOLE = Decimal("0.01"), Decimal("0.0001"), Decimal("1")
PATH = Path(__file__).parent / "answers" / "sample_1d.csv"
HEADER = (
    "ticker,time,open,high,low,close,volume,"
    + ",".join(f"ma{n}" for n in AVERAGES)
    + ","
    + ",".join(f"ma{n}_score" for n in AVERAGES)
    + ",close_changed,volume_changed,total_money_changed"
)


def series(bars: int = 260) -> list[tuple[Decimal, Decimal]]:
    """Close and volume: a deterministic zigzag, lots of 100, with some zero volumes and one price that repeats."""
    closes = [Decimal(2_000_000 + (k * k * 7919) % 90_001 - 1_500 * (k % 37)) / 100 for k in range(bars)]
    volumes = [Decimal(0 if k % 41 in (5, 6) else (k * 104_729) % 30_011 * 100) for k in range(bars)]
    closes[30] = closes[29]
    return list(zip(closes, volumes, strict=True))


def printed(value: Decimal | None, step: Decimal) -> str:
    return "" if value is None else str(value.quantize(step, rounding=ROUND_HALF_EVEN))


def percent(value: Decimal, base: Decimal | None) -> Decimal | None:
    return None if base is None or base <= 0 else (value - base) / base * 100


def line(bars: list[tuple[Decimal, Decimal]], k: int) -> str:
    close, volume = bars[k]
    means = [
        sum((c for c, _ in bars[k + 1 - n : k + 1]), Decimal(0)) / n if k + 1 >= n else None for n in AVERAGES
    ]
    before_close, before_volume = bars[k - 1] if k else (None, None)
    money = None if before_close is None else (close - before_close) * volume
    cells = ["SAMPLE", str(date(2020, 1, 1) + timedelta(days=k))]
    cells += [printed(price, PRICE) for price in (close, close + 5, close - 5, close)]
    cells += [printed(volume, WHOLE), *(printed(mean, PRICE) for mean in means)]
    cells += [printed(percent(close, mean), PERCENT) for mean in means]
    cells += [
        printed(percent(close, before_close), PERCENT),
        printed(percent(volume, before_volume), PERCENT),
    ]
    return ",".join([*cells, printed(money, WHOLE)])


def text() -> str:
    bars = series()
    return "\n".join([HEADER, *(line(bars, k) for k in range(len(bars)))]) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
