"""The curves: what is drawn, and that it can stand in a page beside others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import pytest

from goingdeeper.reports import plots

COLUMNS = ("epoch", "train_loss", "train_error", "val_loss", "val_error", "learning_rate")


def metrics(*rows: tuple[float, ...]) -> list[dict[str, float]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


FALLING = metrics(
    (1, 2.0, 80, 2.1, 80, 0.1),
    (2, 1.0, 60, 1.5, 60, 0.1),
    (3, 0.8, 30, 1.1, 50, 0.01),
    (4, 0.7, 20, 1.2, 55, 0.01),
)


def parsed(svg: str) -> ET.Element:
    # Inside an HTML page xlink needs no declaration, alone it does.
    return ET.fromstring(f'<r xmlns:xlink="http://www.w3.org/1999/xlink">{svg}</r>')[0]


def points(svg: str, colour: str) -> list[tuple[float, float]]:
    """The corners of the line drawn in a colour of the style sheet."""
    paths = (p for p in parsed(svg).iter("path") if f"stroke: var(--{colour})" in p.get("style", ""))
    path = next(p.get("d", "") for p in paths if "clip-path" in p.attrib)
    return [(float(x), float(y)) for x, y in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", path)]


def test_the_figures_are_loss_error_and_learning_rate():
    assert [plot.name for plot in plots.curves(FALLING, 3)] == ["loss", "error", "rate"]


def test_points_lie_where_the_numbers_say():
    (x1, y80), (_, y60), (_, y50), (x4, y55) = points(plots.draw(plots.curves(FALLING, None)[1]), "blue")
    per_cent = (y60 - y80) / 20  # downwards is positive in SVG
    assert per_cent > 0
    assert y50 - y60 == pytest.approx(10 * per_cent, abs=1e-3)
    assert y50 - y55 == pytest.approx(5 * per_cent, abs=1e-3)
    assert x4 > x1


def test_the_best_epoch_is_marked_by_a_line_and_a_ring_on_the_validation_curve():
    svg = plots.draw(plots.curves(FALLING, 3)[1])
    x, y = points(svg, "blue")[2]
    mark = next(p for p in parsed(svg).iter("path") if "stroke-width: 1.2" in p.get("style", ""))
    assert float(mark.get("d", "").split()[1]) == pytest.approx(x, abs=1e-3)
    ring = next(use for use in parsed(svg).iter("use") if "var(--paper)" in use.get("style", ""))
    assert (float(ring.get("x", "")), float(ring.get("y", ""))) == pytest.approx((x, y), abs=1e-3)
    assert "epoch 3, the best" in plots.curves(FALLING, 3)[1].alternative


def test_auxiliary_heads_get_a_figure_of_their_own_and_leave_the_loss_to_the_main_one():
    rows = [row | {"train_loss_main": 0.5, "train_loss_4a": 0.9, "train_loss_4d": 0.8} for row in FALLING]
    loss, _, heads, _ = plots.curves(rows, 3)
    assert loss.lines[0].values == (0.5,) * 4
    assert [line.label for line in heads.lines] == ["main", "head 4a", "head 4d", "weighted sum"]
    assert heads.lines[3].values == (2.0, 1.0, 0.8, 0.7)


@pytest.mark.parametrize(
    ("values", "log"),
    [((2.0, 0.05), True), ((2.0, 0.2), False), ((2.0, 0.0), False), ((float("nan"),) * 2, False)],
)
def test_the_axis_is_logarithmic_where_the_end_would_be_lost(values, log):
    rows = metrics((1, values[0], 50, values[0], 50, 0.1), (2, values[1], 50, values[1], 50, 0.1))
    plot = plots.curves(rows, None)[0]
    assert plot.log is log
    assert ("log scale" in plot.unit) is log
    parsed(plots.draw(plot))


@pytest.mark.parametrize(
    ("rates", "log"),
    [((0.1,) * 6 + (0.01,) * 3 + (0.001,) * 3, True), ((0.1, 0.09, 0.05, 0.01, 0.0001), False)],
)
def test_a_rate_in_steps_has_a_logarithmic_axis_and_a_smooth_one_keeps_its_shape(rates, log):
    rate = plots.curves(metrics(*((n, 1, 50, 1, 50, value) for n, value in enumerate(rates, 1))), None)[-1]
    assert (rate.steps, rate.log) == (log, log)


def test_values_that_are_not_finite_are_gaps():
    rows = metrics(*((n, 1 / n if n < 4 else float("nan"), 50, 1, 50, 0.1) for n in range(1, 7)))
    assert len(points(plots.draw(plots.curves(rows, None)[0]), "orange")) == 3


def test_one_epoch_is_seen():
    svg = plots.draw(plots.curves(FALLING[:1], 1)[0])
    assert len([use for use in parsed(svg).iter("use") if "var(--orange)" in use.get("style", "")]) == 1


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "0.001"), (1e-05, "1e−5"), (20.0, "20"), (0.5, "0.5"), (2e7, "2e7")]
)
def test_axis_labels_are_short(value, text):
    assert plots.tick(value) == text


def test_figures_are_the_same_each_time_and_share_no_id():
    drawn = [str(plots.draw(plot)) for plot in plots.curves(FALLING, 3)]
    assert drawn == [str(plots.draw(plot)) for plot in plots.curves(FALLING, 3)]
    ids = [found for svg in drawn for found in re.findall(r' id="([^"]*)"', svg)]
    assert len(ids) == len(set(ids)) > 0
    for svg in drawn:
        assert set(re.findall(r"#([\w-]+)", svg)) <= set(ids)


def test_colours_and_fonts_come_from_the_page():
    svg = str(plots.draw(plots.curves(FALLING, 3)[0]))
    assert "var(--blue)" in svg
    assert "currentColor" in svg
    assert "#01" not in svg
    assert "font-family" not in svg
    assert "<style" not in svg


def test_labels_are_escaped():
    rows = [row | {"train_loss_main": 0.5, "train_loss_</svg><script>": 0.9} for row in FALLING]
    svg = str(plots.draw(plots.curves(rows, None)[2]))
    assert "<script>" not in svg
    assert "&lt;/svg&gt;&lt;script&gt;" in svg


def test_the_settings_of_others_neither_matter_nor_change():
    before = str(plots.draw(plots.curves(FALLING, 3)[0]))
    with matplotlib.rc_context({"text.usetex": True, "axes.grid": True, "lines.linewidth": 9}):
        settings = dict(matplotlib.rcParams)
        assert str(plots.draw(plots.curves(FALLING, 3)[0])) == before
        assert dict(matplotlib.rcParams) == settings


def test_a_home_that_cannot_be_written_is_not_talked_about(tmp_path: Path):
    (tmp_path / "file").touch()
    drop = ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    environment = {key: value for key, value in os.environ.items() if key not in drop}
    code = (
        "from goingdeeper.reports import plots\n"
        "row = dict.fromkeys(('epoch', 'train_loss', 'train_error', 'val_loss', 'val_error',"
        " 'learning_rate'), 1.0)\n"
        "[plots.draw(plot) for plot in plots.curves([row], 1)]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"HOME": str(tmp_path / "file" / "home"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
