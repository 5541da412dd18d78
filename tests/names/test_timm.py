"""timm's own definitions as an oracle: their weights and scale in our networks."""

from __future__ import annotations

import math

import pytest

from goingdeeper import edits
from goingdeeper.names import namings

NAMINGS = {naming.model: naming for naming in namings("timm")}

SCRIPT = """
import timm

for seed, model in enumerate(models):
    torch.manual_seed(seed)
    with torch.device("meta"):
        net = timm.create_model(model)
    net = stir(net.to_empty(device="cpu"))
    given = timm.get_pretrained_cfg(model)
    size = torch.tensor([given.input_size[-1] / given.crop_pct, given.input_size[-1]], dtype=torch.float64)
    save(model, net, given.mean, given.std, {"scale": size})
"""


def check(found, model, prove):
    theirs = {key.removeprefix("net."): value for key, value in found.items() if key.startswith("net.")}
    naming = NAMINGS[model]
    seen = edits.without_heads(naming.network())  # Inception's is not built unless asked for
    prove(naming, theirs, found["raw"], found["logits"], seen=seen)
    size, crop = found["scale"].tolist()
    assert (naming.scale.shorter, naming.network().input[-1]) == (math.floor(size), crop)


@pytest.fixture(scope="module")
def small(oracle):
    return oracle(SCRIPT, 75, "resnet18", "resnet34", "resnet50", "inception_v3")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["resnet18", "resnet34", "resnet50", "inception_v3"])
def test_small_networks(small, model, prove):
    check(small[model], model, prove)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "side"),
    [("resnet101", 65), ("resnet152", 65), ("vgg11", 224), ("vgg13", 224), ("vgg16", 224), ("vgg19", 224)],
)
def test_large_networks(oracle, model, side, prove):
    check(oracle(SCRIPT, side, model)[model], model, prove)
