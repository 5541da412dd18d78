"""The measured receptive field is the one that arithmetic gives, where nothing cuts it off."""

import pytest
import torch
from torch import nn

from goingdeeper.errors import UsageError
from goingdeeper.nn.build import build
from goingdeeper.probes.field import receptive_field


@pytest.mark.parametrize(
    ("layers", "side"),
    [
        ([nn.Conv2d(2, 4, 3, padding=1)], 3),
        ([nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)], 5),
        ([nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 2, 3)], 7),
        ([nn.Conv2d(2, 4, 3, stride=2), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)], 11),  # Szegedy et al. 2015
        ([nn.Conv2d(2, 4, 3, dilation=2)], 5),
    ],
)
def test_of_convolutions_in_a_row(layers, side):
    """Weights are alike, so that the gradient's mass lies in the middle of the field."""
    net = nn.Sequential(*layers)
    for values in net.parameters():
        nn.init.constant_(values, 0.1)
    found = receptive_field(net, "", (2, 41, 41))
    assert found.side == side
    assert found.holding(1.0) == side
    assert found.holding(0.5) <= side
    assert float(found.gradient.sum()) == pytest.approx(1)


def test_of_averages_by_hand():
    """Two means over 3: weights 1 2 3 2 1 along an axis; the middle row holds 3 ninths of each axis."""
    found = receptive_field(nn.Sequential(nn.AvgPool2d(3, 1), nn.AvgPool2d(3, 1)), "", (1, 21, 21))
    assert found.side == 5
    weights = torch.tensor([1, 2, 3, 2, 1], dtype=torch.double) / 9
    assert torch.allclose(found.gradient[8:13, 8:13], weights.outer(weights), atol=1e-7)
    assert found.holding(9 / 81) == 1
    assert found.holding(49 / 81) == 3


def test_of_a_network_nothing_is_changed():
    net = build("cifar-resnet-20-a", seed=0).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    found = receptive_field(net, "conv2_1", (3, 32, 32))
    assert found.side == 7  # conv1 and the block's two, 3x3 each
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random) and net.training
    assert all(one.grad is None for one in net.parameters())


def test_a_layer_is_measured_as_it_gave_it():
    """Before what is added in place: the shortcut sees one pixel, the layer nine."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.around = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x):
            y = self.conv(x)
            y += self.around(x)
            return y

    assert receptive_field(Block(), "conv", (1, 9, 9)).side == 1
    assert receptive_field(Block(), "", (1, 9, 9)).side == 3
    assert receptive_field(Block().double(), "conv", (1, 9, 9)).side == 1


def test_within_inference_mode_too():
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1))
    with torch.inference_mode():
        assert receptive_field(net, "1", (1, 9, 9)).side == 5


def test_what_has_no_field_is_refused():
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten())
    with pytest.raises(UsageError, match="gives no map"):
        receptive_field(net, "1", (1, 5, 5))
    with pytest.raises(UsageError, match="unknown layer 'conv'"):
        receptive_field(net, "conv", (1, 5, 5))
    with pytest.raises(UsageError, match="shape of 4 numbers"):
        receptive_field(net, "0", (1, 1, 5, 5))
