"""The running mean of the weights, which is evaluated and kept in place of the last ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Exponential mean of a network's weights and statistics: mean <- d mean + (1 - d) now.

    d is `decay`, less at the start: (1 + t) / (10 + t) after t updates, as TensorFlow has it. Counters are
    copied. Polyak and Juditsky 1992; Szegedy et al. 2015 ("Rethinking"), section 8.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in net.state_dict().items()}

    def update(self, net: nn.Module, updates: int) -> None:
        """After the update number `updates`, counted from 1."""
        self.move(net, self.share(updates))

    def share(self, updates: int) -> float:
        """1 - d after the update number `updates`."""
        return 1 - min(self.decay, (1 + updates) / (10 + updates))

    @torch.no_grad()
    def move(self, net: nn.Module, share: float | Tensor) -> None:
        """share: 1 - d; for a captured graph a tensor on the device."""
        now = net.state_dict()
        means = {name: value for name, value in self.state.items() if value.is_floating_point()}
        found, goals = list(means.values()), [now[name] for name in means]
        if isinstance(share, Tensor):  # three kernels; lerp with a tensor takes one for each weight
            distances = torch._foreach_sub(goals, found)
            torch._foreach_mul_(distances, share)
            torch._foreach_add_(found, distances)
        else:
            torch._foreach_lerp_(found, goals, share)
        for name in self.state.keys() - means.keys():
            self.state[name].copy_(now[name])

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, value in state.items():
            self.state[name].copy_(value)

    @contextmanager
    def in_place(self, net: nn.Module) -> Iterator[None]:
        """The network has the mean weights for as long as this lasts."""
        own = {name: value.detach().clone() for name, value in net.state_dict().items()}
        net.load_state_dict(self.state)
        try:
            yield
        finally:
            net.load_state_dict(own)
