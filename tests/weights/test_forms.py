"""Forms, against what torch itself makes of the same numbers."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from goingdeeper.names import Entry
from goingdeeper.weights.forms import to_ours, to_theirs


def test_a_convolution_over_the_whole_map_is_a_fully_connected_layer():
    """As timm keeps VGG's."""
    random = torch.Generator().manual_seed(0)
    theirs = {"fc.weight": torch.randn(4, 3, 2, 5, generator=random)}
    made = [Entry("fc6.weight", "fc.weight", (4, 3, 2, 5), "map")]
    ours = to_ours(made, theirs)
    x = torch.randn(2, 3, 2, 5, generator=random)
    expected = F.conv2d(x, theirs["fc.weight"]).flatten(1)
    torch.testing.assert_close(F.linear(x.flatten(1), ours["fc6.weight"]), expected)
    assert torch.equal(to_theirs(made, ours)["fc.weight"], theirs["fc.weight"])
