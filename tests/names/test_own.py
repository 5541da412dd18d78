"""Our own names are the keys of the networks that are built."""

from __future__ import annotations

import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.names.naming import entries
from goingdeeper.names.own import own_namings
from goingdeeper.nn.build import Net

FEW = ["prelu-net-a", "highway-19", "dsn-cifar10", "inception-v3-keras", "bn-inception-released"]


def test_every_network_has_its_names():
    assert [naming.model for naming in own_namings()] == catalogue.names()


@pytest.mark.parametrize(
    "id", [id if id in FEW else pytest.param(id, marks=pytest.mark.slow) for id in catalogue.names()]
)
def test_names_and_shapes_are_those_of_the_built_network(id):
    (naming,) = (one for one in own_namings() if one.model == id)
    with torch.device("meta"):
        net = Net(naming.network())
    state = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    assert {entry.ours: entry.shape for entry in entries(naming)} == state
    assert all(entry.ours == entry.theirs for entry in entries(naming))
