"""Errors by the size of the object, and what has no sizes."""

import pytest

from goingdeeper.errors import UsageError
from goingdeeper.why.evidence import scales
from goingdeeper.why.trials import Terms

ROWS = [
    {"path": "4.0", "true": "ring", "predicted": "cross"},
    {"path": "7.9", "true": "ring", "predicted": "ring"},
    {"path": "8.0", "true": "ring", "predicted": "star"},
    {"path": "16", "true": "star", "predicted": "star"},
    {"path": "31.9", "true": "star", "predicted": "star"},
]


@pytest.mark.parametrize(
    ("sizes", "error"), [(scales.ALL, 40.0), (scales.SMALL, 50.0), (scales.LARGE, 0.0), ((8.0, 16.0), 100.0)]
)
def test_errors_are_of_the_objects_of_a_size(sizes, error):
    assert scales.error(ROWS, sizes, float) == pytest.approx(error)


def test_a_size_without_objects_is_told():
    with pytest.raises(ValueError, match="no object of 9 to 10 pixels"):
        scales.error(ROWS, (9.0, 10.0), float)


def test_sizes_are_half_octaves_over_a_factor_of_8():
    assert scales.EDGES == pytest.approx([4, 5.657, 8, 11.314, 16, 22.627, 32], rel=1e-4)
    assert (scales.SMALL, scales.LARGE) == (pytest.approx((4, 8)), pytest.approx((16, 32)))


def test_images_whose_objects_have_no_known_size_are_refused():
    with pytest.raises(UsageError, match="size of what is in an image is known of shapes alone"):
        scales.training(Terms(data="digits"))
