"""The scale of the input: each kind against its formula in plain numpy, on real images, and its bits."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image

from goingdeeper.data import preprocessing
from goingdeeper.data.decode import centre, decode, fit
from goingdeeper.data.pictures import Pictures, survey
from goingdeeper.data.preprocessing import Preprocessing, Windows, check_input, prepare_input
from goingdeeper.data.sources import Item, open_source
from goingdeeper.errors import UsageError
from goingdeeper.recipes.images import Centre, Contrast, MeanImage, Range, Standardise

MAXOUT = Contrast(55.0, 0.1)
KINDS = [Standardise(), Centre(), MeanImage(), MeanImage(1.0), Range(), Contrast(), MAXOUT,
         Contrast(mean_image=True)]  # fmt: skip
SIDE = 8


@pytest.fixture(scope="module")
def photographs(test_data, tmp_path_factory) -> tuple[Pictures, Sequence[Item]]:
    """300 hands, 30 of each digit, with a shorter side of 8 pixels."""
    root = tmp_path_factory.mktemp("hands")
    for digit in range(10):
        (root / str(digit)).mkdir()
        for file in sorted(Path(test_data, "sign-digits", str(digit)).glob("*.JPG"))[:30]:
            shutil.copy(file, root / str(digit))
    source = open_source(root)
    return survey(source, SIDE).pictures, source.items


def in_memory(images: np.ndarray) -> tuple[Pictures, list[Item]]:
    """(N, H, W, 3) bytes as pictures of a survey."""
    items = [Item(f"{number:04}", "a") for number in range(len(images))]
    resident = {item.path: image for item, image in zip(items, images, strict=True)}
    return Pictures(None, min(images.shape[1:3]), resident), items


def bytes_of(photographs: tuple[Pictures, Sequence[Item]]) -> np.ndarray:
    pictures, items = photographs
    return np.stack([centre(pictures[item.path], SIDE) for item in items])


def rows(images: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) to (N, 3 H W) in double; the order of channel, row, column."""
    return np.stack([image.astype(np.float64).transpose(2, 0, 1).ravel() for image in images])


def normalised_contrast(row: np.ndarray, scale: float) -> np.ndarray:
    centred = row - np.mean(row)
    norm = np.linalg.norm(centred)
    return scale * centred / norm if norm else centred


def views(found: Preprocessing, images: np.ndarray, **options: Any) -> np.ndarray:
    return found.normalise(torch.from_numpy(images), **options).double().numpy()


# By channel, and ranges


def test_mean_and_std_are_those_of_the_pixels(picture_folder):
    root = picture_folder({"a": 9, "b": 4})
    source = open_source(root)
    found = prepare_input(Standardise(), survey(source, 8).pictures, source.items, 8)
    values = np.concatenate([decode(root / item.path).reshape(-1, 3) for item in source.items]) / 255
    assert found.mean == pytest.approx(values.mean(0), abs=6e-5)
    assert found.std == pytest.approx(values.std(0), abs=6e-5)
    centred = prepare_input(Centre(), survey(source, 8).pictures, source.items, 8)
    assert (centred.mean, centred.std) == (found.mean, (1 / 255,) * 3)


@pytest.mark.parametrize(("most", "looked_at"), [(13, 13), (12, 7), (7, 7), (5, 5), (1, 1)])
def test_mean_and_std_look_at_no_more_images_than_allowed(picture_folder, monkeypatch, most, looked_at):
    source = open_source(picture_folder({"a": 9, "b": 4}))
    found = survey(source, 8).pictures
    asked: list[str] = []

    class Counting:
        def __getitem__(self, path: str) -> np.ndarray:
            asked.append(path)
            return found[path]

    monkeypatch.setattr(preprocessing, "SEEN", most)
    prepare_input(Standardise(), Counting(), source.items, 8)
    assert len(asked) == looked_at


def test_an_even_colour_has_a_spread_to_divide_by():
    class Grey:
        def __getitem__(self, path: str) -> np.ndarray:
            return np.full((4, 4, 3), 51, np.uint8)

    found = prepare_input(Standardise(), Grey(), open_source("digits").items[:3], 4)
    assert found.mean == (0.2, 0.2, 0.2)
    assert min(found.std) >= 0.01


def test_bytes_minus_the_mean_are_what_centre_gives(photographs):
    images = bytes_of(photographs)
    found = prepare_input(Centre(), *photographs, SIDE)
    whole = np.concatenate([photographs[0][item.path].reshape(-1, 3) for item in photographs[1]])
    expected = images.transpose(0, 3, 1, 2) - whole.mean(0)[:, None, None]
    np.testing.assert_allclose(views(found, images), expected, atol=0.02)  # the means have four digits


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0), (-3.0, -0.5)])
def test_a_range_goes_from_black_to_white(low, high):
    found = prepare_input(Range(low, high), *in_memory(np.zeros((1, 2, 2, 3), np.uint8)), 2)
    ramp = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    expected = low + (high - low) * np.arange(256).reshape(16, 16) / 255
    for channel in views(found, ramp)[0]:
        np.testing.assert_allclose(channel, expected, rtol=1e-6, atol=1e-6)


# The mean image


@pytest.mark.parametrize("scale", [255.0, 1.0])
def test_the_mean_of_each_pixel_is_subtracted(photographs, scale):
    images = bytes_of(photographs)
    found = prepare_input(MeanImage(scale), *photographs, SIDE)
    mean = images.astype(np.float64).mean(0)
    expected = (images - mean).transpose(0, 3, 1, 2) * scale / 255
    np.testing.assert_allclose(views(found, images), expected, rtol=1e-5, atol=2e-5 * scale / 255)
    np.testing.assert_allclose(found.mean, mean.mean((0, 1)) / 255, rtol=1e-6)


def test_at_most_so_many_images_are_read_and_evenly(monkeypatch):
    """Of images 0 to 9 with a limit of 4, numbers 0, 3, 6 and 9."""
    images = np.repeat(10 * np.arange(10, dtype=np.uint8), 48).reshape(10, 4, 4, 3)
    monkeypatch.setattr(preprocessing, "MOST", 4)
    found = prepare_input(MeanImage(), *in_memory(images), 4)
    assert found.mean == pytest.approx([(0 + 30 + 60 + 90) / 4 / 255] * 3)


def test_several_blocks_of_images_count_alike():
    images = np.random.default_rng(0).integers(0, 256, (1203, 2, 2, 3), np.uint8)
    found = prepare_input(MeanImage(255.0), *in_memory(images), 2)
    np.testing.assert_allclose(
        255 * found.mean_image.numpy(), images.mean(0).transpose(2, 0, 1), rtol=1e-6
    )  # fmt: skip
    white = prepare_input(Contrast(55.0, 0.1), *in_memory(images), 2)
    contrasted = np.stack([normalised_contrast(row, 55.0) for row in rows(images)])
    np.testing.assert_allclose(white.mean_image.flatten().numpy(), contrasted.mean(0), atol=1e-4)


def test_pictures_that_are_not_square_count_with_their_central_square():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 7, 3), np.uint8)
    found = prepare_input(MeanImage(), *in_memory(images), 4)
    expected = images[:, :, 1:5].mean(0).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(found.mean_image.numpy(), expected, rtol=1e-6)


def test_windows_of_a_larger_picture_lose_the_mean_s_own_window():
    """What is left of a window is the window of what is left of the whole."""
    random = np.random.default_rng(0)
    found = prepare_input(MeanImage(), *in_memory(random.integers(0, 256, (7, 12, 12, 3), np.uint8)), 12)
    whole = random.integers(0, 256, (4, 12, 12, 3), np.uint8)
    tops, lefts = [0, 2, 4, 1], [4, 3, 0, 0]
    crops = np.stack([w[t : t + 8, c : c + 8] for w, t, c in zip(whole, tops, lefts, strict=True)])
    left = views(found, crops, windows=Windows(torch.tensor(tops), torch.tensor(lefts), 12))
    expected = views(found, whole)
    for number, (t, c) in enumerate(zip(tops, lefts, strict=True)):
        np.testing.assert_array_equal(left[number], expected[number, :, t : t + 8, c : c + 8])


def test_outside_of_the_central_square_the_mean_image_s_border_goes_on():
    ramp = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    found = prepare_input(MeanImage(), *in_memory(ramp), 4)
    window = Windows(torch.tensor([-2]), torch.tensor([3]), 4)
    left = views(found, np.zeros((1, 4, 4, 3), np.uint8), windows=window)
    mean = np.pad(ramp[0].astype(float), ((2, 0), (0, 3), (0, 0)), mode="edge")[:4, 3:7]
    np.testing.assert_allclose(left[0], -mean.transpose(2, 0, 1), rtol=1e-6)


def test_where_places_have_no_meaning_the_channels_means_are_subtracted(photographs):
    images = bytes_of(photographs)
    found = prepare_input(MeanImage(), *photographs, SIDE)
    expected = (images - images.mean((0, 1, 2))).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(views(found, images, windows=False), expected, rtol=1e-5, atol=2e-5)
    contrast = prepare_input(Contrast(mean_image=True), *photographs, SIDE)
    expected = np.stack([normalised_contrast(row, 55.0) for row in rows(images)]).reshape(-1, 3, SIDE, SIDE)
    expected -= expected.mean((0, 2, 3))[:, None, None]
    np.testing.assert_allclose(views(contrast, images, windows=False), expected, atol=1e-4)


@pytest.mark.parametrize("side", [5, 7, 12])
def test_a_mean_image_is_resized_as_pillow_does(photographs, side):
    found = prepare_input(MeanImage(), *photographs, SIDE).at(side)
    assert found.size == side
    black = np.zeros((1, side, side, 3), np.uint8)
    for plane, left in zip(found.mean_image, views(found, black)[0], strict=True):
        resized = Image.fromarray(plane.numpy()).resize((side, side), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(-left / 255, np.asarray(resized), atol=1e-5)


# Contrast


@pytest.mark.parametrize("scale", [55.0, 1.0])
def test_contrast_is_the_image_minus_its_mean_by_its_norm(photographs, scale):
    images = bytes_of(photographs)
    found = views(prepare_input(Contrast(scale), *photographs, SIDE), images).reshape(len(images), -1)
    expected = [normalised_contrast(row, scale) for row in rows(images)]
    np.testing.assert_allclose(found, expected, atol=3e-6 * scale)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), scale, rtol=1e-5)


def test_contrast_and_brightness_make_no_difference():
    image = np.random.default_rng(0).integers(0, 50, (1, 6, 6, 3), np.uint8)
    found = Preprocessing(6, (0.0,) * 3, (1.0,) * 3, 55.0)
    np.testing.assert_allclose(views(found, 4 * image + 37), views(found, image), atol=1e-4)


@pytest.mark.parametrize("kind", [Contrast(), MAXOUT, Contrast(mean_image=True)])
@pytest.mark.parametrize("level", [0, 1, 77, 255, 0.1, 76.543, 254.99])
def test_an_image_of_one_colour_has_no_contrast(photographs, kind, level):
    found = prepare_input(kind, *photographs, SIDE)
    plain = Preprocessing(SIDE, (0.0,) * 3, (1.0,) * 3, 55.0)
    kind_of = np.uint8 if isinstance(level, int) else np.float32
    even = np.full((2, SIDE, SIDE, 3), level, kind_of)
    assert not views(plain, even).any()
    assert np.isfinite(views(found, even)).all()


def test_one_byte_that_differs_is_contrast():
    image = np.full((1, 6, 6, 3), 200, np.uint8)
    image[0, 2, 3, 1] = 201
    found = views(Preprocessing(6, (0.0,) * 3, (1.0,) * 3, 55.0), image)
    assert np.linalg.norm(found) == pytest.approx(55.0, rel=1e-5)
    assert found[0, 1, 2, 3] == found.max()


def test_the_mean_image_after_contrast_is_that_of_the_contrasts(photographs):
    images = bytes_of(photographs)
    found = views(prepare_input(Contrast(mean_image=True), *photographs, SIDE), images)
    contrasted = np.stack([normalised_contrast(row, 55.0) for row in rows(images)])
    expected = contrasted - contrasted.mean(0)
    np.testing.assert_allclose(found.reshape(len(images), -1), expected, atol=1e-4)


# ZCA


def test_zca_is_the_inverse_root_of_the_covariance(photographs):
    """Through the matrix square root, without eigenvectors."""
    images = bytes_of(photographs)
    found = prepare_input(MAXOUT, *photographs, SIDE)
    contrasted = np.stack([normalised_contrast(row, 55.0) for row in rows(images)])
    centred = contrasted - contrasted.mean(0)
    covariance = np.cov(contrasted, rowvar=False, bias=True)
    root = scipy.linalg.sqrtm(covariance + 0.1 * np.eye(len(covariance)))
    expected = np.linalg.solve(root, centred.T).T
    np.testing.assert_allclose(found.whiten.numpy(), np.linalg.inv(root), atol=1e-5)
    np.testing.assert_allclose(views(found, images).reshape(len(images), -1), expected, atol=1e-3)


def test_whitened_training_images_have_the_identity_s_covariance(photographs):
    """Eigenvalue l becomes l / (l + 0.1): 1 where it is far above the regulariser."""
    images = bytes_of(photographs)
    contrasted = np.stack([normalised_contrast(row, 55.0) for row in rows(images)])
    eigenvalues, directions = np.linalg.eigh(np.cov(contrasted, rowvar=False, bias=True))
    whitened = views(prepare_input(MAXOUT, *photographs, SIDE), images).reshape(len(images), -1)
    np.testing.assert_allclose(whitened.mean(0), 0, atol=1e-4)
    after = directions.T @ np.cov(whitened, rowvar=False, bias=True) @ directions
    np.testing.assert_allclose(np.diag(after), eigenvalues / (eigenvalues + 0.1), atol=1e-3)
    strong = eigenvalues > 5
    assert strong.sum() >= 20
    np.testing.assert_allclose(after[np.ix_(strong, strong)], np.eye(strong.sum()), atol=0.02)


def test_fewer_images_than_values_leave_the_rest_to_the_regulariser(photographs):
    pictures, items = photographs
    few = items[::30]
    found = prepare_input(MAXOUT, pictures, few, SIDE)
    contrasted = np.stack(
        [normalised_contrast(row, 55.0) for row in rows(bytes_of((pictures, few)))]
    )  # fmt: skip
    unseen = scipy.linalg.null_space(contrasted - contrasted.mean(0))
    assert unseen.shape == (192, 183)
    found_there = found.whiten.double().numpy() @ unseen
    np.testing.assert_allclose(found_there, unseen / np.sqrt(0.1), atol=1e-5)


# Refused


@pytest.mark.parametrize(
    ("kind", "size", "what"),
    [
        (MAXOUT, 45, "ZCA of 45x45 images takes a matrix of 6,075 x 6,075; --size 44 is the most"),
        (MAXOUT, 224, "--set input.whiten=0"),
        (Range(1.0, 1.0), 8, "input.high must be above input.low"),
        (Range(1.0, -1.0), 8, "from 1 to -1"),
        (MeanImage(0.0), 8, "input.scale must be above 0"),
        (Contrast(0.0), 8, "input.scale must be above 0"),
    ],
)
def test_what_cannot_be_is_refused_before_images_are_read(kind, size, what):
    with pytest.raises(UsageError, match=what):
        check_input(kind, size)
    with pytest.raises(UsageError, match=what):
        prepare_input(kind, None, [], size)


@pytest.mark.parametrize("kind", [Contrast(55.0, 0.1), Contrast(), *KINDS[:5]])
def test_what_can_be_is_not(kind):
    check_input(kind, 44)
    if kind != MAXOUT:
        check_input(kind, 299)


def test_another_size_takes_another_zca(photographs):
    found = prepare_input(MAXOUT, *photographs, SIDE)
    assert found.at(SIDE) == found
    with pytest.raises(UsageError, match="whitens images of 8x8, which cannot be done at 9x9"):
        found.at(9)


# All kinds


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_memory_is_channels_last_and_the_pixels_are_left_alone(photographs, kind):
    found = prepare_input(kind, *photographs, SIDE)
    images = torch.from_numpy(bytes_of(photographs)[:5])
    expected = found.normalise(images)
    assert (expected.shape, expected.dtype) == ((5, 3, SIDE, SIDE), torch.float32)
    assert expected.is_contiguous(memory_format=torch.channels_last)
    floats = images.float()
    assert torch.equal(found.normalise(floats), expected)
    assert torch.equal(floats, images.float())
    planes = images.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)  # the same in other memory
    assert torch.equal(found.normalise(planes), expected)
    assert torch.equal(found.to("cpu").normalise(images), expected)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_an_image_is_scaled_alike_alone_and_in_a_batch(photographs, kind):
    pictures, items = photographs
    found = prepare_input(kind, *photographs, SIDE)
    together = found.views([pictures[item.path] for item in items[:40]])
    alone = torch.cat([found.views([pictures[item.path]]) for item in items[:40]])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-4 if kind == MAXOUT else 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [True, False, (1, -2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_one_image_is_scaled_as_in_a_batch(photographs, kind, place, dtype):
    pictures, items = photographs
    found = prepare_input(kind, pictures, items, SIDE)
    images = bytes_of(photographs)[:5].astype(dtype)
    windows: Windows | bool = place if isinstance(place, bool) else False
    if not isinstance(place, bool):
        windows = Windows(torch.full((5,), place[0]), torch.full((5,), place[1]), 12)
    batch = found.normalise(torch.from_numpy(images), windows)
    alone = torch.empty_like(batch)
    for number, image in enumerate(images):
        if not isinstance(place, bool):
            windows = Windows(torch.tensor([place[0]]), torch.tensor([place[1]]), 12)
        image.setflags(write=False)
        found.normalise_one(image, windows, alone[number])
    if kind == MAXOUT:  # a product of matrices, whose sums may be taken in another order
        assert torch.allclose(alone, batch, atol=1e-4)
    else:
        assert alone.equal(batch)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_whether_crops_come_after_the_scale(photographs, kind):
    found = prepare_input(kind, *photographs, SIDE)
    assert found.whole == isinstance(kind, MeanImage | Contrast)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_any_number_of_threads_gives_the_same_bits(photographs, kind):
    pictures, items = photographs
    images = np.stack([fit(pictures[item.path], 16)[:16, :16] for item in items])
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(prepare_input(kind, *in_memory(images), 16))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_equal_means_every_number_of_every_tensor(photographs):
    found = prepare_input(MAXOUT, *photographs, SIDE)
    assert found == prepare_input(MAXOUT, *photographs, SIDE)
    changed = found.whiten.clone()
    changed[3, 5] += 1e-6
    assert found != replace(found, whiten=changed)
    assert found != replace(found, mean_image=found.mean_image.nextafter(torch.tensor(9.0)))
    assert found != Preprocessing(SIDE, found.mean, found.std, 55.0)
    assert Preprocessing(8) != Preprocessing(9) and Preprocessing(8) != "8"


@pytest.mark.parametrize("kind", [Standardise(), MeanImage(255.0), Contrast(mean_image=True)], ids=repr)
def test_what_is_kept_for_the_next_batch_is_of_its_shape_and_windows(photographs, kind):
    used = prepare_input(kind, *photographs, SIDE)
    images = torch.from_numpy(bytes_of(photographs)[:4])
    windows = [Windows(torch.full((4,), corner), torch.zeros(4, dtype=torch.int64), 10) for corner in (0, 3)]
    asked = [(images, True), (images, False), (images[:, :5, :5], True), (images[:, :5], False)]
    for pixels, where in [*asked, *((images, one) for one in windows), *asked]:
        fresh = prepare_input(kind, *photographs, SIDE)
        assert torch.equal(used.normalise(pixels, where), fresh.normalise(pixels, where))
