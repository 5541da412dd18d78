"""Images of a run, and what layers give for them."""

from collections import Counter

import numpy as np
import pytest
import torch

from goingdeeper.errors import DataError
from goingdeeper.prediction.predictor import Held
from goingdeeper.runs.model import load_model
from goingdeeper.why import taps
from goingdeeper.why.evidence.features import network


def test_images_are_those_that_the_run_learned_from_or_held_out(untrained):
    run = untrained(network(), 0)
    for learned, side in ((True, "train"), (False, "val")):
        known = {row["path"]: row["class"] for row in run.split() if row["split"] == side}
        assert {image.path: image.label for image in taps.images_of(run, learned, 5000)} == known
    fewest = min(Counter(known.values()).values())
    some = taps.images_of(run, False, 10 * fewest)
    assert set(Counter(image.label for image in some).values()) == {fewest}


def test_values_are_those_that_hooks_see(untrained, monkeypatch):
    monkeypatch.setattr(taps, "BATCH", 4)
    run = untrained(network(), 0)
    model, images = load_model(run.path), taps.images_of(run, True, 10)
    found = list(taps.tapped(model, images, ["conv2_1", "conv2_1.conv2.norm"]))
    assert [len(part["conv2_1"]) for part in found] == [4, 4, 2]
    seen = []
    model.net.get_submodule("conv2_1.conv2.norm").register_forward_hook(lambda *args: seen.append(args[-1]))
    pixels = np.stack([model.fit(image.read()) for image in images])
    with torch.inference_mode():
        model.net((torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5)
    torch.testing.assert_close(torch.cat([part["conv2_1.conv2.norm"] for part in found]), seen[0])


def test_an_image_that_cannot_be_read_is_named(untrained):
    def read():
        raise DataError("a.jpg is truncated")

    model = load_model(untrained(network(), 0).path)
    with pytest.raises(DataError, match=r"a\.jpg is truncated"):
        next(taps.squares(model, [Held("a.jpg", read)]))
