"""Heat maps of a network that can be worked out by hand, and what cannot be explained."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import goingdeeper as gd
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.export import export
from goingdeeper.errors import DataError, RunFolderError, UsageError
from goingdeeper.layers import CLASSES, Conv, GlobalAvgPool, Linear, Network
from goingdeeper.nn.build import build
from goingdeeper.opened import Run
from goingdeeper.prediction.explain import Explainer, Explanation, explain
from goingdeeper.prediction.predictor import Failure
from goingdeeper.runs.model import Model, load_model, save_model

HALVES = np.zeros((8, 8, 3), np.uint8)  # red on the left, blue on the right
HALVES[:, :4, 0] = HALVES[:, 4:, 2] = 255


@pytest.fixture
def model() -> Model:
    """A colour's logit is 3, 2 or 1 times the share of pixels in which it is full."""
    layers = {"conv": Conv(3, 1), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}
    net = build(Network("colours", layers, (), (3, 8, 8), 3)).eval()
    with torch.no_grad():
        net.get_parameter("conv.conv.weight").copy_(torch.eye(3)[:, :, None, None])
        net.get_parameter("fc.weight").copy_(torch.diag(torch.tensor([3.0, 2.0, 1.0])))
        net.get_parameter("fc.bias").zero_()
    return Model(net, ("red", "green", "blue"), Preprocessing(8), {}, Path("model"))


def explained(model: Model, **options) -> Explanation:
    (found,) = explain(model, [HALVES], **options)
    assert isinstance(found, Explanation)
    return found


def test_grad_cam_points_at_the_half_of_the_colour(model):
    """Red's gradient by its channel is 3/64 everywhere, and the channel is 1 on the left, 0 elsewhere."""
    found = explained(model)
    assert (found.name, found.layer, found.method) == ("red", "conv", "cam")
    np.testing.assert_allclose(found.heat, np.tile([1.0, 1, 1, 1, 0, 0, 0, 0], (8, 1)), atol=1e-6)
    assert found.strongest == pytest.approx(3 / 64)
    assert found.heat.dtype == np.float32
    assert np.array_equal(found.pixels, HALVES)


def test_occlusion_covers_squares_of_a_seventh_that_move_by_half(model):
    """A square of 2x2 takes 3/64 from red for each red pixel; a pixel has the mean of its squares."""
    found = explained(model, method="occlusion")
    np.testing.assert_allclose(found.heat, np.tile([1.0, 1, 1, 0.75, 0.25, 0, 0, 0], (8, 1)), atol=1e-6)
    assert found.strongest == pytest.approx(12 / 64)
    assert (found.name, found.layer) == ("red", "")


@pytest.mark.parametrize("method", ["cam", "occlusion"])
def test_another_class_is_explained_by_name(model, method):
    """Logits 1.5, 0 and 0.5."""
    found = explained(model, method=method, name="blue")
    odds = np.exp([1.5, 0.0, 0.5])
    assert found.name == "blue"
    assert found.probability == pytest.approx(odds[2] / odds.sum(), rel=1e-5)
    assert found.heat[:, -1].min() == pytest.approx(1)
    assert not found.heat[:, 0].any()
    assert [name for name, _ in found.answer.top] == ["red", "blue", "green"]


def test_a_class_that_nothing_speaks_for(model):
    found = explained(model, name="green")
    assert found.strongest == 0
    assert not found.heat.any()
    assert found.picture().size == explained(model).picture().size


@pytest.mark.parametrize("method", ["cam", "occlusion"])
def test_the_picture_has_the_square_as_it_was_seen_and_the_heat_beside_it(model, method):
    found = explained(model, method=method)
    with Image.open(io.BytesIO(found.png())) as image:
        assert image.format == "PNG"
        page = np.asarray(image.convert("RGB")).astype(int)
    columns = np.flatnonzero((page == (255, 0, 0)).all(2).any(0))
    assert len(columns) == 4 * 28  # 8 pixels, each 28 times: 224
    assert columns.max() - columns.min() == len(columns) - 1
    hot, cold = page[100, page.shape[1] - 12 - 200], page[100, page.shape[1] - 12 - 20]
    assert hot.sum() > cold.sum() + 200
    assert found.png() == found._repr_png_()


def test_grey_and_deep_files_are_explained_as_their_pixels_are(model, tmp_path):
    grey = np.zeros((8, 8), np.uint8)
    grey[2:6, 1:5] = 255
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    colour = np.repeat(grey[:, :, None], 3, 2)
    found = list(explain(model, [str(tmp_path / "grey.png"), str(tmp_path / "deep.png"), colour]))
    for one in found:
        assert isinstance(one, Explanation)
        np.testing.assert_allclose(one.heat, grey / 255, atol=1e-6)


def test_images_that_cannot_be_read_do_not_stop_the_others(model, tmp_path):
    (tmp_path / "page.jpg").write_text("<html>")
    found = list(explain(model, [HALVES, str(tmp_path / "page.jpg"), HALVES]))
    assert [type(one) for one in found] == [Explanation, Failure, Explanation]
    with pytest.raises(DataError, match=r"page\.jpg is not an image"):
        Run(Path("model"), model).explain([HALVES, tmp_path / "page.jpg"])


def test_a_run_explains_what_it_predicts(model):
    run = Run(Path("model"), model)
    one, two = run.explain([HALVES, np.ascontiguousarray(HALVES[:, ::-1])])
    assert np.array_equal(one.heat, two.heat[:, ::-1])
    assert one.answer == run.predict(HALVES)[0]
    assert run.explain(HALVES, method="occlusion", name="blue")[0].name == "blue"


def test_what_cannot_be_explained(model):
    with pytest.raises(UsageError, match=r"unknown class 'rad'; did you mean red.*knows red, green, blue"):
        list(explain(model, [HALVES], name="rad"))
    with pytest.raises(UsageError, match=r"unknown way to explain 'gradcam'.*cam or occlusion"):
        list(explain(model, [HALVES], method="gradcam"))
    flat = build(Network("flat", {"fc": Linear(CLASSES)}, (), (3, 8, 8), 3)).eval()
    bare = Model(flat, ("a", "b", "c"), Preprocessing(8), {}, Path("model"))
    with pytest.raises(UsageError, match=r"flat has no convolution whose map has several.*take occlusion"):
        Explainer(bare)
    assert explained(bare, method="occlusion").heat.max() == 1


def test_an_export_has_no_gradients_and_the_run_beside_it_has(model, tmp_path):
    save_model(
        tmp_path / "model", model.net, model.net.state_dict(), model.classes, model.preprocessing, HALVES, {}
    )
    export(load_model(tmp_path / "model"), tmp_path / "onnx", to="onnx")
    with pytest.raises(RunFolderError, match="is an export, which predicts and no more; name the run"):
        gd.load(tmp_path / "onnx").explain(HALVES)
    assert gd.load(tmp_path / "model").explain(HALVES)[0].name == "red"
