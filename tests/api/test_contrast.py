"""The pages' colours: text of every kind stands out from what is behind it (WCAG 2.2 AA: 4.5 for small text)."""

from __future__ import annotations

import re

import pytest

from hypertape.api.routes.pages import DIRECTORY

ENOUGH = 4.5
STYLE = (DIRECTORY / "style.css").read_text()
LIGHT = ":root {"
DARK = (':root[data-theme="dark"] {', ':root:not([data-theme="light"]) {')
TEXT_ON = [
    *[("ink", back) for back in ("paper", "card", "row", "accent-bg", "line")],
    *[("soft", back) for back in ("paper", "card", "row", "accent-bg")],
    *[("accent", back) for back in ("paper", "card", "row", "accent-bg")],
    *[(tone, back) for tone in ("good", "note", "bad", "unknown") for back in (f"{tone}-bg", "card", "row")],
    *[("ink", f"{tone}-bg") for tone in ("good", "note", "bad", "unknown")],
    ("on-accent", "accent"),
    ("h0-ink", "h0"),
    ("h1-ink", "h1"),
    *[("h-ink", f"h{k}") for k in (2, 3, 4, 5)],
]
"""Colours of text, and what it is written on: `line` is the stripe of an explained hole."""


def colours(head: str) -> dict[str, str]:
    """The named colours of a block of the style sheet."""
    assert head in STYLE
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", STYLE.partition(head)[2].partition("}")[0]))


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_defined() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#d9694f") == pytest.approx(3.45, abs=0.01)


@pytest.mark.parametrize("head", [LIGHT, *DARK])
def test_text_stands_out(head: str) -> None:
    named = colours(head)
    found = {f"{text} on {back}": round(contrast(named[text], named[back]), 2) for text, back in TEXT_ON}
    assert {pair: ratio for pair, ratio in found.items() if ratio < ENOUGH} == {}


def test_dark_is_the_same_however_it_is_chosen() -> None:
    assert colours(DARK[0]) == colours(DARK[1])


def test_every_shade_of_the_heat_map_is_among_them() -> None:
    shades = set(re.findall(r"^\s*\.(h\w) \{|\} \.(h\d) \{", STYLE, re.MULTILINE))
    assert {one or other for one, other in shades} == {"h0", "h1", "h2", "h3", "h4", "h5", "hx"}
    for name, ink in re.findall(r"\.(h\d) \{ background: var\(--h\d\); color: var\(--([\w-]+)\); \}", STYLE):
        assert (ink, name) in TEXT_ON
