"""The form in which a network is deployed: rewritten, from bytes to logits; and as a module of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.rewrite import MERGED, Rewrite, State, rewritten
from goingdeeper.deploy.scale import InputScale, input_scale
from goingdeeper.layers import Network
from goingdeeper.nn.build import Net


@dataclass(frozen=True)
class Form:
    """A rewritten network with its weights, and what bytes become before its first layer."""

    network: Network
    state: State
    scale: InputScale


def form_of(
    network: Network,
    state: Mapping[str, Tensor],
    preprocessing: Preprocessing,
    rewrites: tuple[Rewrite, ...] = MERGED,
) -> Form:
    """The rewrites made one after the other, and the input's scale folded in as far as that is exact."""
    return Form(*input_scale(*rewritten(network, state, rewrites), preprocessing))


class Deployed(nn.Module):
    """Bytes, (N, size, size, 3) RGB, to logits, (N, classes), in PyTorch and channels last."""

    factor: Tensor | None
    offset: Tensor | None
    whiten: Tensor | None

    def __init__(self, form: Form) -> None:
        super().__init__()
        with torch.device("meta"):
            net = Net(form.network)
        net.load_state_dict(form.state, assign=True)
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.contrast = form.scale.contrast
        for name in ("factor", "offset", "whiten"):
            values = getattr(form.scale, name)
            self.register_buffer(name, None if values is None else torch.from_numpy(values))
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        x = images.permute(0, 3, 1, 2).float()  # in the memory of bytes in rows: channels last
        if self.contrast:
            x = x - x.mean((1, 2, 3), keepdim=True)
            square = x.square().sum((1, 2, 3), keepdim=True)
            x = x * (self.contrast / square.clamp(min=0.5).sqrt())  # an image of one colour is all 0
        if self.factor is not None:
            x = x * self.factor.view(1, -1, 1, 1)
        if self.offset is not None:
            x = x - self.offset
        if self.whiten is not None:
            x = (x.flatten(1) @ self.whiten).view(x.shape)
        logits: Tensor = self.net(x)
        return logits
