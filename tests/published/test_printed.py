"""Printed figures are read with their precision, and agree by rounding or truncation."""

import pytest

from goingdeeper.published.printed import printed


@pytest.mark.parametrize(
    ("text", "value", "step"),
    [
        ("13.6e6", 13_600_000, 100_000),
        ("1.5 Bn", 1_500_000_000, 100_000_000),
        ("138 M", 138_000_000, 1_000_000),
        ("112K", 114_688, 1024),
        ("1.90e10", 19_000_000_000, 100_000_000),
        ("12 times", 12, 1),
        ("-3.45", -3.45, 0.01),
        ("22", 22, 1),
    ],
)
def test_figures_are_read_with_their_precision(text: str, value: float, step: float) -> None:
    read = printed("params", text)
    assert (read.value, read.step) == (pytest.approx(value), pytest.approx(step))


@pytest.mark.parametrize("text", ["", "M", "1,000", "1.5 bn", "about 5 Bn", "28x", "2.5.1", "12times"])
def test_other_text_is_not_a_figure(text: str) -> None:
    with pytest.raises(ValueError, match="is not a printed figure"):
        printed("macs", text)


@pytest.mark.parametrize(
    ("text", "exact", "agrees", "truncated"),
    [
        # He et al. 2015, Table 1, after the fact sheet: 3.6e9 is option A rounded, B truncated, C neither.
        ("3.6e9", 3_644_493_824, True, False),
        ("3.6e9", 3_663_761_408, True, True),
        ("3.6e9", 3_830_747_136, False, False),
        ("3.8e9", 3_857_973_248, True, True),
        # Both ends of what 3.6 can stand for.
        ("3.6e9", 3_550_000_000, True, False),
        ("3.6e9", 3_549_999_999, False, False),
        ("3.6e9", 3_699_999_999, True, True),
        ("3.6e9", 3_700_000_000, False, False),
        # GoogLeNet's Table 1: 4b has exactly 438 x 1024 weights, 3a 159.5 x 1024.
        ("437K", 448_512, False, False),
        ("438K", 448_512, True, False),
        ("159K", 163_328, True, False),
        ("1000K", 1_024_000, True, False),
        ("1000K", 1_000_000, False, False),
        ("73M", 73_608_192, True, True),
        # 60 million for AlexNet.
        ("60 M", 60_965_224, True, True),
        # Errors: truncation is towards zero.
        ("9.2", 9.15, True, False),
        ("9.2", 10.07, False, False),
        ("22.0", 21.99, True, False),
        ("6.66", 6.67, False, False),
        ("-3.45", -3.40, False, False),
        ("-2.45", 7.62 - 10.07, True, False),
        ("-2.4", -2.47, True, True),
        ("-2.4", -2.34, False, False),
        ("22", 22, True, False),
        ("42", 54, False, False),
    ],
)
def test_rounding_and_truncation_agree(text: str, exact: float, agrees: bool, truncated: bool) -> None:
    one = printed("macs", text)
    assert (one.agrees(exact), one.truncated(exact)) == (agrees, truncated)


def test_a_bound() -> None:
    """Szegedy et al. 2015, abstract: less than 25 million parameters."""
    bound = printed("params", "25 M", below=True)
    assert bound.agrees(23_834_568)
    assert not bound.truncated(23_834_568)
    assert not bound.agrees(25_000_000)


@pytest.mark.parametrize(
    ("exact", "agrees"),
    [(4.8e9, True), (4.5e9, True), (5.4e9, True), (5.6e9, False), (5.713e9, False), (4.4e9, False)],
)
def test_what_is_known_to_be_rounded_leaves_no_digits_out(exact: float, agrees: bool) -> None:
    """Szegedy et al. 2015: the abstract's 5 billion are the 4.8 of its Table 3."""
    one = printed("macs", "5 Bn", rounded=True)
    assert (one.agrees(exact), one.truncated(exact)) == (agrees, False)


def test_a_shape_is_the_same_or_another() -> None:
    shape = printed("output", "28x28x576")
    assert shape.agrees("28x28x576")
    assert not shape.agrees("14x14x576")
    assert not shape.truncated("14x14x576")


def test_papers_are_named_by_their_keys() -> None:
    assert printed("macs", "1.5 Bn", paper="szegedy-2015").paper == "Szegedy et al. 2015"
    with pytest.raises(KeyError):
        printed("macs", "1.5 Bn", paper="szegedy-2051")
