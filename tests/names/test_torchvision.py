"""torchvision's own definitions as an oracle: their weights, scale and heads in our networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from goingdeeper.names import namings

NAMINGS = {naming.model: naming for naming in namings("torchvision")}

# `transform_input` as the pretrained ones have it; nothing is downloaded.
SCRIPT = """
from torchvision import models as tv

for seed, model in enumerate(models):
    torch.manual_seed(seed)
    inception = model in ("googlenet", "inception_v3")
    more = dict(aux_logits=True, transform_input=True) if inception else {}
    if inception or model.startswith("vgg"):
        more["init_weights"] = False
    with torch.device("meta"):
        net = getattr(tv, model)(weights=None, **more)
    net = stir(net.to_empty(device="cpu"))
    given = tv.get_model_weights(model).IMAGENET1K_V1.transforms()
    more = {"scale": torch.tensor([given.resize_size[0], given.crop_size[0]])}
    heads = {
        "googlenet": {"aux1": "inception4a", "aux2": "inception4d"},
        "inception_v3": {"AuxLogits": "Mixed_6e"},
    }
    for head, reads in heads.get(model, {}).items():
        def keep(module, images, out, head=head):
            more[head] = getattr(net, head)(out)
        getattr(net, reads).register_forward_hook(keep)
    save(model, net, given.mean, given.std, more)
"""


def parted(found):
    """The state, and what else was saved."""
    theirs = {key.removeprefix("net."): value for key, value in found.items() if key.startswith("net.")}
    return theirs, {key: value for key, value in found.items() if not key.startswith("net.")}


@pytest.fixture(scope="module")
def small(oracle):
    return oracle(SCRIPT, 65, "resnet18", "resnet34", "resnet50")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["resnet18", "resnet34", "resnet50"])
def test_residual_networks(small, model, prove):
    theirs, more = parted(small[model])
    naming = NAMINGS[model]
    prove(naming, theirs, more["raw"], more["logits"])
    assert [naming.scale.shorter, naming.network().input[-1]] == more["scale"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "side"),
    [("resnet101", 65), ("resnet152", 65), ("vgg11", 224), ("vgg13", 224), ("vgg16", 224), ("vgg19", 224)],
)
def test_large_networks(oracle, model, side, prove):
    theirs, more = parted(oracle(SCRIPT, side, model)[model])
    naming = NAMINGS[model]
    prove(naming, theirs, more["raw"], more["logits"])
    assert [naming.scale.shorter, naming.network().input[-1]] == more["scale"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "side", "heads"),
    [
        ("googlenet", 224, {"aux1": "heads.4a", "aux2": "heads.4d"}),
        ("inception_v3", 299, {"AuxLogits": "heads.mixed6e"}),
    ],
)
def test_inceptions_and_their_heads(oracle, model, side, heads, prove):
    theirs, more = parted(oracle(SCRIPT, side, model)[model])
    naming = NAMINGS[model]
    net = prove(naming, theirs, more["raw"], more["logits"])
    assert [naming.scale.shorter, naming.network().input[-1]] == more["scale"].tolist()

    with torch.no_grad():
        _, taps = net.tap((more["raw"] - 0.5) / 0.5, heads.values())
    for head, address in heads.items():
        assert (taps[address] - more[head]).abs().max() < 1e-4 * more[head].abs().max()

    for kept in range(len(heads)):
        prefixes = tuple(f"{name}." for name in list(heads)[kept:])
        fewer = {key: value for key, value in theirs.items() if not key.startswith(prefixes)}
        seen = replace(naming.network(), heads=naming.network().heads[:kept])
        prove(naming, fewer, more["raw"], more["logits"], seen=seen)
