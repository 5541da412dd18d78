"""Probes, filters and patches, against the same computed another way."""

import numpy as np
import pytest
import torch

from goingdeeper.nn.build import build
from goingdeeper.runs.model import load_model
from goingdeeper.trace import trace
from goingdeeper.why import patches, taps
from goingdeeper.why.evidence import features
from goingdeeper.why.trials import Terms, Trained


def test_layers_are_numbered_as_they_come():
    assert features.layers_of(features.network()) == {
        "conv1": 1, "conv2_1": 3, "conv2_2": 5, "conv3_1": 7, "conv3_2": 9, "conv4_1": 11, "conv4_2": 13,
    }  # fmt: skip


def test_every_layer_is_equally_wide():
    widths = {step.shape_out[0] for step in trace(features.network()) if len(step.shape_out) == 3}
    assert widths == {features.WIDTH}


def test_the_linear_error_is_the_share_of_wrong_answers():
    """Classes apart in one value of five; of the held out ones one of four has another class's label."""
    random = np.random.default_rng(0)
    seen = random.normal(size=(40, 5))
    seen[:, 2] += np.repeat([0.0, 60.0], 20)
    labels = ["a"] * 20 + ["b"] * 20
    assert features.linear_error(seen, labels, seen, labels) == 0
    assert features.linear_error(seen, labels, seen[[0, 1, 20, 21]], ["a", "b", "b", "b"]) == 25


def test_before_training_weights_are_of_the_seed_and_statistics_of_the_images(untrained):
    run = untrained(features.network(), 5)
    model = load_model(run.path)
    with torch.no_grad():
        for parameter in model.net.parameters():
            parameter.mul_(1.5)
    before = features.untaught(model, run)
    fresh = build(model.net.description, seed=5)
    assert all(
        torch.equal(own, other)
        for own, other in zip(before.net.parameters(), fresh.parameters(), strict=True)
    )
    images = taps.images_of(run, True, features.IMAGES)
    with torch.no_grad():
        made = fresh.until(
            model.preprocessing.views([model.fit(image.read()) for image in images]), "conv1.conv"
        )
    norm = before.net.get_submodule("conv1.norm")
    torch.testing.assert_close(norm.running_mean, made.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)


def test_means_are_over_positions(untrained):
    run = untrained(features.network(), 0)
    model, images = load_model(run.path), taps.images_of(run, True, 40)
    found = features.means(model, images)
    assert [*found] == [*features.layers_of(features.network())]
    with torch.inference_mode():
        one = model.net.until(model.preprocessing.views([model.fit(images[35].read())]), "conv3_1")
    by_hand = [float(one[0, place].sum()) / one[0, place].numel() for place in range(features.WIDTH)]
    assert found["conv3_1"][35] == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.parametrize(("layer", "at"), [("conv1", (9, 20)), ("conv2_2", (15, 12)), ("conv2_2", (0, 31))])
def test_a_patch_is_what_the_gradient_reaches(layer, at):
    """Linear and all ones, so that no weight and no ReLU hides a pixel."""
    net = build(features.network()).eval()
    for name, parameter in net.named_parameters():
        if name.endswith("conv.weight"):
            parameter.data.fill_(0.01)
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    net.until(image, layer)[0, 0][at].backward()
    assert image.grad is not None
    reached = (image.grad[0].abs().sum(0) > 0).nonzero()
    (top, left), (bottom, right) = reached.min(0).values.tolist(), reached.max(0).values.tolist()
    square = np.arange(64 * 64 * 3).reshape(64, 64, 3) % 251
    field = next(step.field for step in trace(features.network()) if step.path == layer)
    found = patches.around(square.astype(np.uint8), field, at)
    assert found.shape == (*field.size, 3)
    inside = square[top : bottom + 1, left : right + 1]
    low, side = max(0, field.size[0] // 2 - at[0] * 2), len(inside)
    start = max(0, field.size[1] // 2 - at[1] * 2)
    assert np.array_equal(found[low : low + side, start : start + inside.shape[1]], inside)
    beyond = np.delete(found.reshape(-1, 3), _flat(low, start, inside.shape, field.size[1]), axis=0)
    assert (beyond == patches.GREY).all()


def _flat(top, left, shape, wide):
    return [(top + row) * wide + left + column for row in range(shape[0]) for column in range(shape[1])]


def test_an_image_smaller_than_the_field_is_shown_whole():
    field = next(step.field for step in trace(features.network()) if step.path == "conv4_2")
    square = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
    assert np.array_equal(patches.around(square, field, (3, 3)), square)


def test_filters_that_few_images_excite_tell_most():
    most = np.ones((100, 4), np.float32)
    most[:50, 1] = 2  # half of the images
    most[:8, 2] = 3  # just as many as there are patches
    most[:20, 3] = 3
    assert patches.telling(most) == [2, 3]


def test_the_strongest_patches_come_first(untrained):
    run = untrained(features.network(), 0)
    model, images = load_model(run.path), taps.images_of(run, False, 60)
    rows = patches.patches(model, images, ["conv1"])
    assert len(rows) == patches.FILTERS and rows[0][0].endswith("7x7 pixels")
    one = int(rows[0][0].split()[2].removesuffix(":")) - 1
    views = model.preprocessing.views([model.fit(image.read()) for image in images])
    with torch.inference_mode():
        made = model.net.until(views, "conv1")[:, one]
    best = int(made.flatten(1).max(1).values.argmax())
    row, column = divmod(int(made[best].argmax()), made.shape[2])
    padded = np.pad(model.fit(images[best].read()), ((3, 3), (3, 3), (0, 0)), constant_values=128)
    assert rows[0][1][0] == padded[2 * row : 2 * row + 7, 2 * column : 2 * column + 7].tolist()


def test_filters_are_drawn_about_grey(untrained):
    model = load_model(untrained(features.network(), 0).path)
    weights = model.net.get_parameter("conv1.conv.weight")
    with torch.no_grad():
        weights.zero_()
        weights[:, 0, 2, 3], weights[:, 1, 4, 5] = 0.5, -0.25
    (caption, images), second = patches.filters(weights, "before")
    assert caption == "before, filters 1 to 16" and second[0] == "before, filters 17 to 32"
    assert images[0][2][3] == [255, 128, 128] and images[0][4][5] == [128, 64, 128]
    assert images[0][0][0] == [128, 128, 128]


def test_the_topic_is_shown_from_its_runs(untrained, monkeypatch):
    runs = tuple(untrained(features.network(), seed) for seed in (0, 1))
    found = Trained({features.ARM: runs}, "digits", 60, 10, (0, 1))
    monkeypatch.setattr("goingdeeper.why.trials.train", lambda terms, arms, data: found)
    monkeypatch.setattr(features, "IMAGES", 100)
    part = features.training(Terms(seeds=(0, 1)))
    assert [one.claim.id for one in part.evidence] == ["features", "features-untrained"]
    probe, filters, strongest = part.charts
    assert [len(series.y) for series in probe.series] == [7, 7]
    assert [len(images) for _, images in filters.rows] == [16] * 6
    assert [len(images) for _, images in strongest.rows] == [8] * 8
