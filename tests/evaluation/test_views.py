"""What a protocol gives, against the same computed plainly; shared, interrupted and gone on with."""

import json
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item, Source, open_source
from goingdeeper.errors import DataError, Interrupted, UsageError
from goingdeeper.evaluation import kept
from goingdeeper.evaluation.evaluate import Member, evaluate
from goingdeeper.evaluation.predict import parts
from goingdeeper.evaluation.protocols import PROTOCOLS
from goingdeeper.layers import CLASSES, Conv, GlobalAvgPool, Linear, Network
from goingdeeper.nn.build import build
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model, save_model

CLASS_NAMES = ("ant", "bee", "cow")
NETWORK = Network(
    "plain-small",
    {"conv1": Conv(8, 3, stride=2, padding=0), "conv2": Conv(12, 3, padding=0), "pool": GlobalAvgPool(),
     "fc": Linear(CLASSES)},
    input=(3, 16, 16), classes=3,
)  # fmt: skip


@pytest.fixture
def photos(tmp_path) -> Path:
    """Eleven pictures of three classes: wide, tall and square ones."""
    root = tmp_path / "photos"
    for number in range(11):
        shape = [(20, 33), (40, 21), (24, 24), (19, 19)][number % 4]
        place = root / CLASS_NAMES[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (*shape, 3), np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02}.png")
    return root


def saved(folder, seed=0, classes=CLASS_NAMES) -> Member:
    """A model of random weights in a run folder, as a member of an evaluation."""
    net = build(NETWORK, seed=seed)
    with torch.no_grad():  # so that its views differ in what they say
        for value in net.parameters():
            value.mul_(3)
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    folder.mkdir()
    save_model(folder / "model", net, net.state_dict(), classes, Preprocessing(16), picture, {})
    return Member(load_model(folder), RunFolder(folder))


def plainly(net, pixels, boxes, resized, logits=False):
    """Mean over boxes of the resized image, and their mirror images, one at a time."""
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    tensor = F.interpolate(tensor, resized, mode="bilinear", antialias=True).float().div(127.5).sub(1)
    said = []
    for top, left in boxes:
        window = tensor[:, :, top : top + 16, left : left + 16]
        for view in (window, window.flip(3)):
            with torch.no_grad():
                out = net(view)[0].double()
            said.append(out if logits else out.softmax(0))
    mean = torch.stack(said).mean(0)
    return mean.softmax(0) if logits else mean


def test_ten_crops_are_the_mean_of_ten(photos, tmp_path):
    member = saved(tmp_path / "run")
    found = evaluate([member], str(photos), protocol_name="10crop", batch=7)
    for item, row in zip(found.items, found.likely[0], strict=True):
        pixels = np.asarray(Image.open(photos / item.path))
        height, width = pixels.shape[:2]
        short = min(height, width)  # 16 * 256 / 224 = 18.3
        tall, wide = round(18 * height / short), round(18 * width / short)
        down, along = tall - 16, wide - 16
        boxes = [(0, 0), (0, along), (down, 0), (down, along), (down // 2, along // 2)]
        expected = plainly(member.model.net, pixels, boxes, (tall, wide))
        assert row.exp().tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_dense_is_the_mean_over_positions_of_each_scale(photos, tmp_path):
    """The net has no padding: a position is the net on the window that begins at it times the stride."""
    member = saved(tmp_path / "run")
    item = open_source(photos, CLASS_NAMES).items[0]
    pixels = np.asarray(Image.open(photos / item.path))
    height, width = pixels.shape[:2]
    short = min(height, width)
    both = []
    for logits in (False, True):
        scales = []
        for scale in (224, 256, 384, 480, 640):
            side = round(scale * 16 / 224)
            tall, wide = round(side * height / short), round(side * width / short)
            # Stride 2; the window of the net's map is 5x5: (16 - 3) // 2 + 1 = 7, less 2.
            rows, columns = (((n - 3) // 2 + 1) - 2 - 5 + 1 for n in (tall, wide))
            tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
            tensor = F.interpolate(tensor, (tall, wide), mode="bilinear", antialias=True)
            for view in (tensor, tensor.flip(3)):
                said = []
                for i in range(rows):
                    for k in range(columns):
                        window = view[:, :, 2 * i : 2 * i + 16, 2 * k : 2 * k + 16].float().div(127.5).sub(1)
                        with torch.no_grad():
                            out = member.model.net(window)[0].double()
                        said.append(out if logits else out.softmax(0))
                scales.append(torch.stack(said).mean(0))
        mean = torch.stack(scales).mean(0)
        both.append(mean.softmax(0) if logits else mean)
    for name, expected in zip(("dense", "dense-logits"), both, strict=True):
        found = evaluate([member], str(photos), protocol_name=name)
        row = found.likely[0][[one.path for one in found.items].index(item.path)]
        assert row.exp().tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert (both[0] - both[1]).abs().max() > 1e-4


def test_equal_views_are_computed_once(tmp_path):
    """Of a square image 48 of the 144, and these count three times: the mean is the same."""
    net = build(NETWORK, seed=1).eval()
    pixels = np.random.default_rng(5).integers(0, 256, (60, 60, 3), np.uint8)
    seen = []
    net.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    item = Item("a", "ant")
    source = Source("one", "one", CLASS_NAMES, (item,), None, lambda path: pixels, lambda path: None, False)
    (part,) = parts(net, source, [item], PROTOCOLS["144crop"], Preprocessing(16), batch=9)
    assert sum(seen) == 48
    assert max(seen) <= 9
    assert part.likely.exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("protocol", ["1crop", "10crop"])
def test_a_mean_image_is_taken_off_where_it_was_fitted(protocol):
    """The mean image's own pixels beside the window's, its border going on outside of the central square."""
    mean = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    scale = Preprocessing(16, (0.5,) * 3, (1 / 255,) * 3, mean_image=mean)
    pixels = np.random.default_rng(1).integers(0, 256, (16 if protocol == "1crop" else 18, 32, 3), np.uint8)
    given = []

    class Spy(torch.nn.Module):
        description = NETWORK

        def forward(self, images):
            given.append(images.clone())
            return images.new_zeros(len(images), 3)

    item = Item("a", "ant")
    source = Source("one", "one", CLASS_NAMES, (item,), None, lambda path: pixels, lambda path: None, False)
    list(parts(Spy(), source, [item], PROTOCOLS[protocol], scale, batch=32))
    if protocol == "1crop":
        expected = torch.from_numpy(pixels[:, 8:24].copy()).permute(2, 0, 1).float() - 255 * mean
        assert torch.allclose(given[0][0], expected, atol=1e-3)
        return
    # The mean image at 18x18 lies on columns 7 to 24; the left corner window begins 7 columns before it.
    wide = F.interpolate(mean[None], (18, 18), mode="bilinear", antialias=True)[0].numpy()
    wide = np.pad(wide, ((0, 0), (0, 0), (7, 7)), mode="edge")
    expected = pixels.transpose(2, 0, 1)[:, :16, :16] - 255 * wide[:, :16, :16]
    assert np.allclose(given[0][0].numpy(), expected, atol=1e-3)
    assert np.allclose(given[1][0].numpy(), expected[:, :, ::-1], atol=1e-3)


def test_several_are_the_mean_of_their_probabilities(photos, tmp_path):
    first = saved(tmp_path / "a", 1)
    second = saved(tmp_path / "b", 2, ("cow", "ant", "bee"))
    alone = [evaluate([member], str(photos)).likely[0].exp() for member in (first, second)]
    alone[1] = alone[1][:, [1, 2, 0]]  # ant, bee and cow are its numbers 1, 2 and 0
    found = evaluate([first, second], str(photos))
    assert found.classes == CLASS_NAMES
    assert torch.allclose(found.joined().exp(), (alone[0] + alone[1]) / 2, atol=1e-6)
    score = found.score()
    assert score.models == 2
    assert torch.equal(found.joined(1), found.likely[0])
    wrong = ((alone[0] + alone[1]).argmax(1) != found.labels).sum()
    assert score.top1_error == pytest.approx(100 * int(wrong) / 11)


def test_models_of_other_classes_are_refused(photos, tmp_path):
    first, second = saved(tmp_path / "a"), saved(tmp_path / "b", 0, ("ant", "bee", "dog"))
    with pytest.raises(DataError, match=r"classes: .*a/model alone has 'cow'; .*b/model alone has 'dog'"):
        evaluate([first, second], str(photos))


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 3])
def test_processes_share_the_images_exactly(photos, tmp_path, devices):
    """110 images in parts of three: neither divides."""
    for number in range(99):
        shutil.copy(photos / "ant" / "00.png", photos / "cow" / f"copy-{number:02}.png")
    (photos / "bee" / "broken.png").write_bytes(b"no picture")
    member = saved(tmp_path / "run")
    alone = evaluate([member], str(photos), protocol_name="10crop", batch=15)
    shared = evaluate([member], str(photos), protocol_name="10crop", batch=15, devices=devices)
    assert [item.path for item in shared.items] == [item.path for item in alone.items]
    assert len(shared.items) == 110
    assert torch.equal(shared.likely[0], alone.likely[0])
    assert shared.score() == alone.score()
    assert [problem.path for problem in shared.problems] == ["bee/broken.png"]


@pytest.fixture
def kept_at_once(monkeypatch):
    monkeypatch.setattr(kept, "SOON", 0.0)
    monkeypatch.setattr(kept, "OFTEN", 0.0)


def test_an_interrupted_evaluation_goes_on(photos, tmp_path):
    members = [saved(tmp_path / name, seed) for seed, name in enumerate("ab")]
    whole = evaluate(members, str(photos), protocol_name="10crop", batch=5)
    for done in (3, 14):  # in the first model, and in the second

        def stop(count, total, done=done):
            if count == done:
                signal.raise_signal(signal.SIGTERM)

        with pytest.raises(
            Interrupted, match=f"{done} of 22 images are scored, and the same command"
        ) as caught:
            evaluate(members, str(photos), protocol_name="10crop", batch=5, progress=stop)
        assert caught.value.exit_status == 143
    computed = []
    for member in members:
        member.model.net.register_forward_pre_hook(lambda module, given: computed.append(len(given[0])))
    again = evaluate(members, str(photos), protocol_name="10crop", batch=5)
    assert sum(computed) == (22 - 14) * 10
    assert torch.equal(again.joined(), whole.joined())
    # Until its outcome has been used, all of it is kept.
    computed.clear()
    assert torch.equal(
        evaluate(members, str(photos), protocol_name="10crop", batch=5).joined(), whole.joined()
    )
    assert not computed
    again.forget()
    assert not list(tmp_path.glob("*/evaluation"))


@pytest.mark.parametrize("change", ["cut", "flipped"])
def test_what_is_damaged_of_it_is_computed_again(photos, tmp_path, kept_at_once, change):
    member = saved(tmp_path / "run")
    whole = evaluate([member], str(photos), protocol_name="10crop", batch=5)

    def stop(count, total):
        if count == 6:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        evaluate([member], str(photos), protocol_name="10crop", batch=5, progress=stop)
    (file,) = (tmp_path / "run" / "evaluation").glob("*.part")
    content = bytearray(file.read_bytes())
    if change == "cut":
        file.write_bytes(content[:-5])
    else:
        content[len(content) // 2] ^= 4
        file.write_bytes(content)
    again = evaluate([member], str(photos), protocol_name="10crop", batch=5)
    assert torch.equal(again.likely[0], whole.likely[0])


def test_other_images_or_weights_are_another_evaluation(photos, tmp_path, kept_at_once):
    member = saved(tmp_path / "run")

    def stop(count, total):
        signal.raise_signal(signal.SIGINT)

    for number in range(3):
        if number == 1:  # the same path, other pixels
            Image.fromarray(np.zeros((20, 33, 3), np.uint8)).save(photos / "ant" / "00.png")
        if number == 2:
            other = build(NETWORK, seed=9)
            picture = np.zeros((16, 16, 3), np.uint8)
            save_model(
                tmp_path / "run" / "model",
                other,
                other.state_dict(),
                CLASS_NAMES,
                Preprocessing(16),
                picture,
                {},
            )
            member = Member(load_model(tmp_path / "run"), member.run)
        with pytest.raises(Interrupted):
            evaluate([member], str(photos), progress=stop, batch=1)
        assert len(list((tmp_path / "run" / "evaluation").glob("*.part"))) == number + 1


def test_a_run_that_cannot_be_written_is_scored_all_the_same(photos, tmp_path, kept_at_once):
    member = saved(tmp_path / "run")
    (tmp_path / "run" / "evaluation").write_text("in the way")
    assert evaluate([member], str(photos)).score().images == 11

    def stop(count, total):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="nothing is kept"):
        evaluate([member], str(photos), batch=1, progress=stop)


def test_what_runs_held_out_must_be_the_same(photos, tmp_path):
    members = []
    for name, chosen in (("a", "ant/00.png"), ("b", "ant/03.png")):
        members.append(saved(tmp_path / name))
        folder = tmp_path / name
        (folder / "run.json").write_text(json.dumps({"schema": 1, "data": {"location": str(photos)}}))
        (folder / "split.csv").write_text(f"path,class,split\n{chosen},ant,val\n")
    assert evaluate(members[:1], None).score().images == 1
    with pytest.raises(UsageError, match=r"b held out other images than the first run; name a folder"):
        evaluate(members, None)


def test_off_the_main_thread(photos, tmp_path):
    member, found = saved(tmp_path / "run"), []
    thread = threading.Thread(target=lambda: found.append(evaluate([member], str(photos))))
    thread.start()
    thread.join()
    assert found[0].score().images == 11


def test_the_table_of_models_by_crops(photos, tmp_path):
    from goingdeeper.evaluation.breakdown import breakdown

    members = [saved(tmp_path / name, seed) for seed, name in enumerate("ab")]
    found = [evaluate(members, str(photos), protocol_name=name) for name in ("1crop", "10crop", "dense")]
    rows = breakdown(found)
    shape = [(1, 1, 1), (1, 10, 10), (1, None, None), (2, 1, 2), (2, 10, 20), (2, None, None)]
    assert [(row.models, row.crops, row.cost) for row in rows] == shape
    for row, one in zip(rows[3:], found, strict=True):
        assert row.top1_error == one.score().top1_error
    with pytest.raises(UsageError, match="did not read the same images"):
        breakdown([found[0], replace(found[1], items=found[1].items[1:])])
