"""RandAugment and TrivialAugment, operation by operation, torchvision's in a process of its own as oracle."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image
from scipy.stats import chisquare, kstest

from goingdeeper.data import policies
from goingdeeper.data.order import uniforms
from goingdeeper.data.policies import OPERATIONS, changed, draws_of
from goingdeeper.recipes.images import RandAugment, TrivialAugment

IMAGE = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(9, 1)[:, :66]

ORACLE = """
import sys
import numpy as np, torch
from PIL import Image

library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from torchvision.transforms import InterpolationMode, autoaugment

image = Image.fromarray(np.load(sys.argv[1]))
found = {}
for kind, policy, fill in (
    ("wide", autoaugment.TrivialAugmentWide(), [0.0] * 3),
    ("rand", autoaugment.RandAugment(num_magnitude_bins=31), [128.0] * 3),
):
    space = policy._augmentation_space(31, *([(image.height, image.width)] if kind == "rand" else []))
    for name, (magnitudes, signed) in space.items():
        for bin in (0, 6, 14, 21, 30):
            for sign in (1, -1) if signed else (1,):
                magnitude = sign * float(magnitudes[bin]) if magnitudes.ndim > 0 else 0.0
                changed = autoaugment._apply_op(
                    image, name, magnitude, interpolation=InterpolationMode.BILINEAR, fill=fill
                )
                found[f"{kind} {name.lower()} {bin} {sign}"] = np.asarray(changed)
np.savez(sys.argv[2], **found)
"""


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    folder = tmp_path_factory.mktemp("oracle")
    np.save(folder / "image.npy", IMAGE)
    subprocess.run(
        [sys.executable, "-c", ORACLE, folder / "image.npy", folder / "found.npz"],
        check=True, timeout=120, capture_output=True,
    )  # fmt: skip
    return dict(np.load(folder / "found.npz"))


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_are_torchvision_s(oracle, operation, wide):
    for step in (0, 6, 14, 21, 30):
        prefix = f"{'wide' if wide else 'rand'} {operation.replace('_', '')} {step} "
        expected = [value for name, value in oracle.items() if name.startswith(prefix)]
        assert expected
        both = [
            np.asarray(policies._apply(Image.fromarray(IMAGE), operation, step / 30, negative, wide))
            for negative in (False, True)
        ]
        if len(expected) == 1:
            both = both[:1]
        elif not close(both[0], expected[0]):  # it counts the other way round
            both.reverse()
        assert all(map(close, both, expected)), step


def close(one, other):
    """Of edges that are moved by parts of a pixel, a few are a level apart."""
    return np.abs(one.astype(int) - other).max() <= 1


@pytest.mark.parametrize("policy", [RandAugment(7, 0.0, 1), TrivialAugment()])
def test_operations_are_drawn_equally_often(policy):
    drawn = uniforms(0, 1, np.arange(7000), draws_of(policy))[:, 0]
    counts = Counter(map(policies._operation, drawn))
    assert set(counts) == set(OPERATIONS) and len(OPERATIONS) == 14
    assert chisquare(list(counts.values())).pvalue > 1e-4


def strengths(policy, count=1500):
    """Read off a ramp that shear moves: the row at which red has moved by how many columns."""
    ramp = np.zeros((101, 200, 3), np.uint8)
    ramp[:] = np.arange(200, dtype=np.uint8)[:, None]
    shear = (OPERATIONS.index("shear_x") + 0.5) / 14
    found = []
    for row in uniforms(3, 1, np.arange(count), draws_of(policy)):
        row[0] = shear
        moved = changed(ramp, policy, row)[100, 100, 0].astype(float)
        found.append((moved - 100) / 100)
    return np.array(found)


def test_trivial_augment_draws_31_strengths_of_either_sign():
    found = strengths(TrivialAugment())
    steps = np.rint(np.abs(found) / 0.99 * 30).astype(int)
    within = np.abs(found) < 0.9  # the ramp ends
    assert np.abs(np.abs(found) - 0.99 * steps / 30)[within].max() < 0.016
    assert set(steps[within]) == set(range(28))
    assert chisquare(np.bincount(steps[within & (steps > 0) & (steps < 27)])[1:]).pvalue > 1e-4
    assert abs((found > 0).sum() - (found < 0).sum()) < 5 * np.sqrt(1500)


def test_rand_augment_s_strength_has_the_stated_spread():
    found = strengths(RandAugment(7.0, 0.5, 1)) / 0.3 * 10
    assert kstest(np.abs(found), "norm", (7.0, 0.5)).statistic < 0.25  # steps of a third
    assert np.abs(found).mean() == pytest.approx(7.0, abs=0.05)
    assert np.abs(found).std() == pytest.approx(0.5, abs=0.05)
    fixed = strengths(RandAugment(10.0, 0.0, 1), 50)
    assert np.abs(fixed) == pytest.approx(np.full(50, 0.3), abs=0.011)


def test_rand_augment_does_its_operations_one_after_another():
    policy = RandAugment(7.0, 0.0, 3)
    for row in uniforms(1, 1, np.arange(30), draws_of(policy)):
        image = IMAGE
        for part in row.reshape(3, 4):
            image = changed(image, RandAugment(7.0, 0.0, 1), part)
        assert np.array_equal(image, changed(IMAGE, policy, row))
        assert image.shape == IMAGE.shape and image.dtype == np.uint8
