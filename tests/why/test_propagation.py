"""A projection interrupts the gradient of a shortcut, as plain torch has it, too."""

import pytest
import torch
from torch.nn import functional

from goingdeeper.why.claims import claim
from goingdeeper.why.run import show

PADDED, GROWN, KEPT = claim("propagation").expected[4:]


def cosine(filters: int, stride: int, projects: bool, seed: int) -> float:
    """Of the gradients in front of and behind one shortcut: what an identity passes on of the latter."""
    source = torch.Generator().manual_seed(seed)
    images = torch.randn((16, 16, 8, 8), generator=source, requires_grad=True)
    if projects:
        weight = torch.randn((filters, 16, 1, 1), generator=source) * (2 / 16) ** 0.5  # He's initialisation
        convolved = functional.conv2d(images, weight, stride=stride)
        made = functional.batch_norm(convolved, None, None, training=True)
    else:
        made = functional.pad(images[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, filters - 16))
    behind = torch.randn(made.shape, generator=source)
    (found,) = torch.autograd.grad(made, images, behind)
    passed = found[:, :, ::stride, ::stride].flatten()
    return abs(float(torch.cosine_similarity(passed, behind[:, :16].flatten(), 0)))


@pytest.mark.parametrize("seed", range(20))
def test_what_is_expected_comes_out_of_plain_torch(seed):
    assert PADDED.agrees(cosine(32, 2, False, seed))
    assert GROWN.agrees(cosine(32, 2, True, seed))
    assert KEPT.agrees(cosine(16, 1, True, seed))
    assert not KEPT.agrees(cosine(16, 1, False, seed))  # an identity is no interruption


def test_the_figure_has_every_shortcut_beside_the_identity():
    chart = show("propagation", ("init",), seed=3).charts[1]
    whole, padded, grown, kept = chart.series[0].y
    assert whole == pytest.approx(1) and padded == pytest.approx(1)
    assert max(grown, kept) < 0.3
