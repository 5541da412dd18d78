"""The running mean of the weights against one worked out by hand."""

import pytest
import torch
from torch import nn

from goingdeeper.training.average import Average


def net(*values):
    module = nn.Module()
    module.weight = nn.Parameter(torch.tensor(values))
    module.register_buffer("seen", torch.tensor(0))
    return module


def test_the_mean_follows_tensorflows_rule():
    """d = min(0.9, (1 + t) / (10 + t)): 2/11, 3/12, ... and 0.9 from t = 80 on."""
    module = net(0.0, 8.0)
    average = Average(module, 0.9)
    mean = [0.0, 8.0]
    for update in range(1, 120):
        with torch.no_grad():
            module.weight.copy_(torch.tensor([float(update), 8.0 - update]))
        average.update(module, update)
        decay = min(0.9, (1 + update) / (10 + update))
        now = (update, 8.0 - update)
        mean = [decay * old + (1 - decay) * new for old, new in zip(mean, now, strict=True)]
        assert average.state["weight"].tolist() == pytest.approx(mean, abs=1e-4)


def test_counters_are_copied():
    module = net(1.0)
    average = Average(module, 0.9)
    module.seen.fill_(7)
    average.update(module, 1)
    assert int(average.state["seen"]) == 7


def test_the_network_has_the_mean_for_a_while_and_its_own_weights_again():
    module = net(2.0)
    average = Average(module, 0.5)
    with torch.no_grad():
        module.weight.fill_(4.0)
    with pytest.raises(KeyError), average.in_place(module):
        assert module.weight.item() == 2.0
        raise KeyError
    assert module.weight.item() == 4.0
    assert average.state["weight"].item() == 2.0


def test_what_was_saved_comes_back():
    average = Average(net(2.0), 0.5)
    average.restore({"weight": torch.tensor([5.0]), "seen": torch.tensor(3)})
    assert average.state["weight"].item() == 5.0
    assert int(average.state["seen"]) == 3
