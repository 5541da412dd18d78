"""The expected calibration error against the definition of its paper, and a table by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goingdeeper.evaluation.calibration import Bin, calibration


def by_definition(confidences: list[float], right: list[bool]) -> float:
    """Guo et al. 2017, equation 3: the bin m holds what is in ((m - 1) / 15, m / 15]."""
    sure, hit = np.array(confidences), np.array(right)
    error = 0.0
    for m in range(1, 16):
        inside = (sure > (m - 1) / 15) & (sure <= m / 15)
        if inside.any():
            error += inside.sum() / len(sure) * abs(hit[inside].mean() - sure[inside].mean())
    return 100 * error


def test_a_table_by_hand():
    """Two images at 0.9, one of them right; one at 0.5, right; one at 1, right."""
    found = calibration(torch.tensor([0.9, 0.9, 0.5, 1.0]).log(), torch.tensor([True, False, True, True]))
    assert found.error == pytest.approx(100 * (2 * 0.4 + 0.5 + 0) / 4)
    assert found.mean_confidence == pytest.approx(100 * 3.3 / 4)
    assert found.accuracy == 75
    rows = [
        (700 / 15, 800 / 15, 1, 50, 100),
        (1300 / 15, 1400 / 15, 2, 90, 50),
        (1400 / 15, 100, 1, 100, 100),
    ]
    assert [list(vars(one).values()) for one in found.bins] == [pytest.approx(row) for row in rows]


@pytest.mark.parametrize(
    ("confidence", "low"), [(0.2, 200 / 15), (0.4, 500 / 15), (0.6, 800 / 15), (1.0, 1400 / 15)]
)
def test_a_bin_holds_its_upper_edge(confidence, low):
    (only,) = calibration(torch.tensor([confidence], dtype=torch.float64).log(), torch.tensor([True])).bins
    assert isinstance(only, Bin) and only.low == pytest.approx(low) and only.images == 1


def test_what_rounding_puts_above_certainty_is_certain():
    found = calibration(torch.tensor([1e-6]), torch.tensor([True]))
    assert (found.mean_confidence, found.bins[0].high) == (100, 100)


def test_without_images_there_is_none():
    assert calibration(torch.empty(0), torch.empty(0, dtype=torch.bool)) is None


@given(st.lists(st.tuples(st.floats(0.001, 0.999), st.booleans()), min_size=1, max_size=60))
def test_calibration_by_its_definition(rows):
    logs = torch.tensor([np.log(p) for p, _ in rows], dtype=torch.float64)
    found = calibration(logs, torch.tensor([hit for _, hit in rows]))
    assert found.error == pytest.approx(by_definition(logs.exp().tolist(), [hit for _, hit in rows]))
    assert sum(one.images for one in found.bins) == len(rows)
    assert all(one.low < one.confidence + 1e-9 and one.confidence <= one.high + 1e-9 for one in found.bins)
    assert found.error >= abs(found.mean_confidence - found.accuracy) - 1e-9
