"""Weights, gradients and images that make the loss, or a gradient, nan or infinite."""

from __future__ import annotations

import random

import pytest

from goingdeeper.training.checkpoints import newest_checkpoint

TRIALS = {"test_not_a_number": (4, 10)}

LAYERS = ("conv1.conv.weight", "conv2.conv.weight", "fc.weight", "fc.bias")
STEPS = 8


@pytest.mark.slow
def test_not_a_number(here, train, finish, trial):
    chance = random.Random(trial)
    where = ("weights", "gradient", "images", "gradient", "weights")[trial % 5]
    layer = LAYERS[trial % len(LAYERS)]
    number = chance.randint(1, 3 * STEPS)
    fault = {"at": "step", "number": number, "act": "poison", "where": where, "layer": layer}
    done = train(fault={**fault, "value": chance.choice(("nan", "inf", "-inf"))})
    assert done.status == 6, done
    epoch, step = (number - 1) // STEPS + 1, (number - 1) % STEPS + 1
    assert f"at step {step} of epoch {epoch}" in done.last
    named = {
        "weights": f"first in {layer.rpartition('.')[0]}",
        "gradient": f"the gradient of {layer} is not finite",
        "images": "first in conv1.conv",
    }
    assert named[where] in done.last
    assert "what was saved before it is kept" in done.last
    kept = newest_checkpoint(here / "run" / "checkpoints", pytest.fail)
    if epoch == 1:
        assert kept is None
    else:
        assert kept.progress["epoch"] == epoch
        assert all(bool(tensor.isfinite().all()) for tensor in kept.tensors.values())
    finish()
