"""A narrow GoogLeNet with heads and without: alike but for them, and how its loss begins."""

import pytest
import torch

from goingdeeper.layers import Conv
from goingdeeper.nn.build import build
from goingdeeper.trace import trace
from goingdeeper.why.evidence import auxiliary
from goingdeeper.why.evidence.layers import longest


def test_the_networks_differ_in_the_heads_alone():
    helped, bare = (arm.network for arm in auxiliary.arms())
    assert [name for name, _ in helped.heads] == ["4a", "4d"] and not bare.heads
    assert helped.layers == bare.layers
    assert longest(bare.layers) == 22  # Szegedy et al. 2014, section 5
    weights, alone = build(helped, seed=3).state_dict(), build(bare, seed=3).state_dict()
    assert alone.keys() == {name for name in weights if not name.startswith("heads.")}
    assert all(torch.equal(weights[name], alone[name]) for name in alone)


def test_heads_see_the_maps_that_they_are_made_for():
    """Maps of 8x8: floor((8 - 5) / 3) + 1 = 2. A quarter of 128 filters, 512 and 528 channels."""
    steps = {step.path: step for step in trace(auxiliary.small())}
    for head, channels in (("4a", 512 // 4), ("4d", 528 // 4)):
        assert steps[f"heads.{head}.pool"].shape_in == (channels, 8, 8)
        assert steps[f"heads.{head}.conv"].shape_in == (channels, 2, 2)
        assert steps[f"heads.{head}.conv"].shape_out == (32, 2, 2)
    convolutions = [step.layer for step in steps.values() if isinstance(step.layer, Conv)]
    assert len(convolutions) == 3 + 9 * 6 + 2 and all(one.norm and not one.bias for one in convolutions)


@pytest.mark.parametrize(("epochs", "mean"), [(10, 2.0), (11, 1.75), (20, 1.75), (21, 1.5)])
def test_the_first_tenth_is_of_the_classifier(epochs, mean):
    losses = [2.0, 1.5, 1.0] + [0.5] * (epochs - 3)
    bare = [{"train_loss": loss} for loss in losses]
    helped = [{"train_loss": 1.6 * loss, "train_loss_main": loss, "train_loss_4a": loss} for loss in losses]
    assert auxiliary.early([bare, helped]) == pytest.approx([mean, mean])
