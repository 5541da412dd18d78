"""Paired comparisons against the tables of the papers that their methods come from."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multinomial

from goingdeeper.evaluation.compare import compare, mcnemar, mcnemar_mid_p, newcombe

counts = st.integers(0, 60)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        # Newcombe 1998, Table III, method 10: e, f, g, h; the interval of (f - g) / n.
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((20, 12, 2, 16), 0.0562, 0.3292),
        ((18, 12, 2, 18), 0.0562, 0.3290),
        ((36, 14, 0, 0), 0.1528, 0.4167),
        ((35, 14, 0, 1), 0.1461, 0.4175),
        ((18, 14, 0, 18), 0.1441, 0.3963),
        ((2, 97, 1, 0), 0.8721, 0.9854),
        ((1, 97, 1, 1), 0.8737, 0.9850),  # as method 8, which is the same here; 0.8736 is printed
        ((0, 29, 1, 0), 0.6666, 0.9882),
        ((2, 98, 0, 0), 0.9178, 0.9945),
        ((1, 98, 0, 1), 0.9171, 0.9916),
        ((0, 30, 0, 0), 0.8395, 1.0),
        ((54, 0, 0, 0), -0.0664, 0.0664),
        ((53, 0, 0, 1), -0.0729, 0.0729),
        ((30, 0, 0, 24), -0.0358, 0.0358),
        ((29, 0, 0, 25), -0.0354, 0.0354),
        ((28, 0, 0, 26), -0.0352, 0.0352),
        ((27, 0, 0, 27), -0.0351, 0.0351),
        # Fagerland et al. 2017, Statistical analysis of contingency tables, chapter 8 (Cavo 2012).
        ((59, 6, 16, 80), -0.1186, -0.0046),
    ],
)
def test_newcombe_s_intervals_of_the_literature(counts, low, high):
    assert newcombe(*counts) == (pytest.approx(100 * low, abs=0.0051), pytest.approx(100 * high, abs=0.0051))


@pytest.mark.parametrize(
    ("b", "c", "exact", "mid"),
    [
        (6, 16, 0.052479, 0.034690),  # as above
        (12, 2, 0.0129, 0.00739),  # Armitage and Berry 1994, p. 127: two media for tubercle bacilli
        (0, 5, 1 / 16, 1 / 32),
        (1, 9, 22 / 1024, 12 / 1024),
        (1, 0, 1, 1 / 2),
        (3, 3, 1, 1),
        (0, 0, 1, 1),
    ],
)
def test_mcnemar_s_test_of_the_literature(b, c, exact, mid):
    assert mcnemar(b, c) == mcnemar(c, b) == pytest.approx(exact, abs=5e-5)
    assert mcnemar_mid_p(b, c) == mcnemar_mid_p(c, b) == pytest.approx(mid, abs=5e-5)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_s_test_by_counting_the_ways(b, c):
    """In whole numbers: how many of the 2^n ways to divide the images are as uneven or more."""
    total, fewer = b + c, min(b, c)
    tail = sum(math.comb(total, k) for k in range(fewer + 1))
    assert mcnemar(b, c) == pytest.approx(float(min(1, 2 * tail / 2**total)), rel=1e-9)
    expected = float((2 * tail - math.comb(total, fewer)) / 2**total)
    assert mcnemar_mid_p(b, c) == pytest.approx(expected, rel=1e-9)


def test_a_great_difference_has_no_p_below_nothing():
    assert 0 < mcnemar_mid_p(1086, 20) < 1e-250


@given(counts, counts, counts, counts)
def test_what_newcombe_s_interval_must_be(both, first, second, neither):
    images = both + first + second + neither
    if not images:
        return
    low, high = newcombe(both, first, second, neither)
    assert -100 <= low <= 100 * (first - second) / images + 1e-9
    assert 100 * (first - second) / images - 1e-9 <= high <= 100
    assert newcombe(both, second, first, neither) == (pytest.approx(-high), pytest.approx(-low))
    of_the_right = newcombe(neither, second, first, both)
    assert of_the_right == (pytest.approx(-high), pytest.approx(-low))


def images(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[bool], list[bool]]:
    pairs = [(1, 1)] * both + [(1, 0)] * only_a + [(0, 1)] * only_b + [(0, 0)] * neither
    return [bool(a) for a, _ in pairs], [bool(b) for _, b in pairs]


def test_better_is_said_where_the_interval_leaves_out_0():
    """Newcombe's 20, 12, 2, 16: a is wrong on 32 of 50, b on 22."""
    found = compare(*images(20, 12, 2, 16), ("one", "other"))
    assert (found.images, found.both_wrong, found.only_a_wrong, found.only_b_wrong) == (50, 20, 12, 2)
    assert (found.both_right, found.a_error, found.b_error, found.difference) == (16, 64.0, 44.0, -20.0)
    assert found.interval_95 == (pytest.approx(-32.92, abs=0.006), pytest.approx(-5.62, abs=0.006))
    assert (found.p, found.p_exact) == (pytest.approx(0.00739, abs=5e-6), pytest.approx(0.01294, abs=5e-6))
    assert found.better == "b"
    assert found.verdict.startswith("other is better than one")
    # Wilson's intervals of 32 and 22 of 50, from their formula.
    assert found.a_interval_95 == (pytest.approx(50.14, abs=0.01), pytest.approx(75.86, abs=0.01))
    assert found.b_interval_95 == (pytest.approx(31.16, abs=0.01), pytest.approx(57.69, abs=0.01))
    other = compare(*images(20, 2, 12, 16), ("one", "other"))
    assert other.better == "a"
    assert other.verdict.startswith("one is better than other")
    assert other.difference == 20


@pytest.mark.parametrize("cells", [(20, 3, 2, 25), (5, 0, 0, 5), (0, 0, 0, 9), (9, 0, 0, 0), (3, 1, 0, 3)])
def test_otherwise_nothing_is_claimed(cells):
    found = compare(*images(*cells))
    assert found.better is None
    assert found.verdict == "neither is shown to be better: the interval of the difference holds 0"
    low, high = found.interval_95
    assert low < 0 < high


def test_a_small_difference_of_many_images_is_real():
    """Wald's interval is near here: 0.6 points, 1.96 * sqrt(50 - 30^2 / 5000) / 5000 each way."""
    found = compare(*images(0, 10, 40, 4950))
    assert found.interval_95 == (pytest.approx(0.323, abs=0.03), pytest.approx(0.877, abs=0.03))
    assert found.better == "a"
    assert compare(*images(0, 40, 10, 4950)).better == "b"


def test_as_many_answers_of_each_are_needed():
    with pytest.raises(ValueError, match="shorter"):
        compare([True, False], [True])


@pytest.mark.parametrize("both", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("apart", [0.02, 0.1, 0.3, 0.6])
def test_equals_are_rarely_told_apart(both, apart):
    """Over all tables of 40 images, each with its probability where both are equally often wrong alone."""
    n, claimed = 40, 0.0
    for a, b, c in itertools.product(range(n + 1), repeat=3):
        if a + b + c <= n and b > c:
            low, high = newcombe(a, b, c, n - a - b - c)
            if low > 0 or high < 0:
                probabilities = (both, apart / 2, apart / 2, 1 - both - apart)
                claimed += 2 * float(multinomial.pmf((a, b, c, n - a - b - c), n, probabilities))
    assert claimed < 0.055
