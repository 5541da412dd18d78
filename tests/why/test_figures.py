"""Figures are drawn, the same each time, and say in words what they show."""

import io

import numpy as np
import pytest
from PIL import Image

from goingdeeper.why.charts import Bars, Lines, Pictures, Series, curve, heights, told
from goingdeeper.why.figures import COLOURS, DASHES, HATCHES, MARKS, drawn

LINES = Lines(
    "lines", "A title", "layers", "error, %",
    (
        Series("one", (1.0, 2.0, 3.0), (10.0, 5.0, 2.0), (9.0, 4.0, 1.0), (11.0, 6.0, 3.0)),
        curve("two", (1, 3), (1, 100)),
    ),
    y_scale="log", level=(1.0, "unchanged"),
)  # fmt: skip
BARS = Bars(
    "bars", "A title", "multiply-adds", ("first", "second"),
    (heights("one", (1e6, 2e6), (9e5, 1e6), (2e6, 3e6)), heights("two", (5, -3))),
)  # fmt: skip
PICTURES = Pictures("pictures", "A title", (("a row", ([[[255, 0, 0]]], [[[0, 0, 255]]])),))


@pytest.mark.parametrize("chart", [LINES, BARS, PICTURES], ids=lambda chart: chart.name)
def test_a_chart_is_an_svg_and_a_png(chart):
    svg = drawn(chart, "svg")
    assert svg == drawn(chart, "svg") and svg.rstrip().endswith(b"</svg>")
    with Image.open(io.BytesIO(drawn(chart, "png"))) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels[0, 0] == 255).all() and (pixels[-1, -1] == 255).all()  # on white
    assert (pixels < 128).any(axis=2).mean() > 0.002


def test_series_differ_without_colours():
    """As many dashes, marks and hatches as colours, none twice."""
    kinds = (COLOURS, DASHES, MARKS, HATCHES)
    assert {len(set(map(str, kind))) for kind in kinds} == {len(COLOURS)}
    assert len({len(kind) for kind in kinds}) == 1


def test_words_have_the_figures_numbers():
    assert told(LINES) == (
        "A title: error, % against layers; one from 10 at 1 to 2 at 3, two from 1 at 1 to 100 at 3."
    )
    assert told(BARS) == (
        "A title (multiply-adds): first, one 1,000,000; first, two 5; second, one 2,000,000; second, two -3."
    )
    assert told(PICTURES) == "A title: a row."
