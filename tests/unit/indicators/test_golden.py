"""Every row and every column of printed answer files, to their printed rounding."""

import indicator_answers
import numpy as np
import pytest
from indicator_series import ANSWERS, read_printed

from hypertape.indicators import enrich
from hypertape.model import AVERAGE_COLUMNS, CHANGE_COLUMNS, INDICATOR_COLUMNS, SCORE_COLUMNS

DECIMALS = {
    **dict.fromkeys(AVERAGE_COLUMNS, 2),
    **dict.fromkeys((*SCORE_COLUMNS, *CHANGE_COLUMNS), 4),
    "total_money_changed": 0,
}


def assert_printed(path):
    printed = read_printed(path)
    results = enrich(printed.close, printed.volume)
    assert len(printed.rows) > 250
    for name in INDICATOR_COLUMNS:
        cells = [row[name] for row in printed.rows]
        answers = np.array([float(cell) if cell else np.nan for cell in cells])
        assert np.array_equal(np.isnan(results[name]), np.isnan(answers)), f"{name}: empties differ"
        # half of the last printed digit, and the float steps of the printed and the computed number themselves
        allowed = 0.5 * 10.0 ** -DECIMALS[name] + 2 * np.spacing(np.abs(answers)) + 1e-9
        wrong = np.flatnonzero(np.abs(results[name] - answers) > allowed)
        assert not len(wrong), f"{name}: {[(printed.rows[k]['time'], cells[k]) for k in wrong[:5]]}"


def test_sample_answers_from_decimal_arithmetic():
    assert_printed(ANSWERS / "sample_1d.csv")


def test_the_sample_answers_are_what_decimal_arithmetic_gives():
    assert indicator_answers.PATH.read_text(encoding="utf-8") == indicator_answers.text()


@pytest.mark.parametrize("name", ["golden/VIC/1D.csv", "csv/crypto_data/BTC/1D.csv"])
def test_real_series(shared_data, name):
    assert_printed(shared_data / name)
