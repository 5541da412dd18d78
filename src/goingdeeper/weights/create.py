"""A network by the arguments that people know from timm, with trained weights in it where asked for."""

from __future__ import annotations

import os

from goingdeeper.layers import Network
from goingdeeper.nn import build
from goingdeeper.nn.build import Net
from goingdeeper.runs.model import load_model
from goingdeeper.weights.fitting import fit
from goingdeeper.weights.importing import weights_at


def create_model(
    name: str | Network,
    *,
    num_classes: int | None = None,
    in_chans: int = 3,
    drop_rate: float | None = None,
    size: int | None = None,
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
) -> Net:
    """A network, by its id or description, as a module, with the arguments people know from timm.

    size: input side in pixels, that of the weights or the published one unless given. drop_rate: for every
    dropout of the trunk. seed: of the initial weights. weights: a run or a model folder, a file of weights,
    or what else `deeper import` takes, fitted to the classes and channels: the classifier keeps its initial
    weights where there are more or fewer classes, one channel takes the sum over the first convolution's
    channels, others take them in turn.
    Raises UsageError where they are of another network.
    """
    if weights is None:
        return build.create_model(
            name, num_classes=num_classes, in_chans=in_chans, drop_rate=drop_rate, size=size, seed=seed
        )
    given = load_model(weights_at(os.fspath(weights)))
    net = build.create_model(
        name, num_classes=len(given.classes) if num_classes is None else num_classes, in_chans=in_chans,
        drop_rate=drop_rate, size=given.preprocessing.size if size is None else size, seed=seed,
    )  # fmt: skip
    fit(net, given, None)
    return net
