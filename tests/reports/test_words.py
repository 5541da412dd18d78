"""The figures of the report in words."""

from __future__ import annotations

import pytest

from goingdeeper.reports import words


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 %"), (0.2725, "0.27 %"), (0.997, "1.0 %"), (4.83, "4.8 %"), (99.97, "99.9 %"), (100, "100 %")],
)
def test_an_error_has_two_decimals_below_one_and_is_100_only_when_all_are_wrong(value, text):
    assert words.percent(value) == text.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "50.0 %"),
        (1.0, "100.0 %"),
        (0.99996, "> 99.9 %"),
        (0.0, "0.0 %"),
        (0.0001, "< 0.1 %"),
        (0.0006, "0.1 %"),
    ],
)
def test_a_probability_is_not_rounded_to_certainty(value, text):
    assert words.probability(value) == text.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.2 s"),
        (48, "48 s"),
        (59.7, "1 min"),
        (401.2, "6 min 41 s"),
        (3600, "1 h"),
        (11520, "3 h 12 min"),
        (190800, "2 d 5 h"),
    ],
)
def test_a_duration_shows_its_two_largest_units(seconds, text):
    assert words.duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == text


def test_a_date_is_written_out_in_english():
    assert words.date("2026-11-20T18:04:05").replace("\N{NO-BREAK SPACE}", " ") == "20 November 2026, 18:04"


@pytest.mark.parametrize(
    ("name", "text"), [("1crop", "1 crop"), ("144crop", "144 crops"), ("dense", "dense")]
)
def test_a_protocol_is_named_by_its_crops(name, text):
    assert words.protocol(name).replace("\N{NO-BREAK SPACE}", " ") == text
