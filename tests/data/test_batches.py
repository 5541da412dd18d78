"""Batches as pure functions of (seed, epoch, index), and what augmentation does to a pixel."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chisquare

from goingdeeper.data import batches
from goingdeeper.data.batches import (
    Batch,
    evaluation_batches,
    steps_in_epoch,
    training_batches,
)
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item, Source
from goingdeeper.errors import DataError
from goingdeeper.recipes.images import (
    AreaCrop,
    Augmentation,
    Howard,
    InceptionColour,
    Padded,
    PCAColour,
    RandAugment,
    ScaleJitter,
    TorchColour,
    TrivialAugment,
    Window,
)

PLAIN = Augmentation(Padded(0.0), flip=False)
RAW = Preprocessing(8, (0.0,) * 3, (1 / 255,) * 3)  # values come out as the bytes went in


def coded(count: int, height: int = 8, width: int = 8) -> tuple[Pictures, list[Item]]:
    """Images whose red is the row + 1, green the column + 1, blue the number + 1."""
    rows, columns = np.meshgrid(np.arange(1, height + 1), np.arange(1, width + 1), indexing="ij")
    images = {
        f"{n:03}": np.stack([rows, columns, np.full_like(rows, n + 1)], 2).astype(np.uint8)
        for n in range(count)
    }
    items = [Item(path, "even" if int(path) % 2 == 0 else "odd") for path in images]
    source = Source(
        "coded",
        "coded",
        ("even", "odd"),
        tuple(items),
        lambda path: b"",
        images.__getitem__,
        lambda path: None,
        False,
    )
    return Pictures(source, 8, images), items


def epoch_of(
    pictures: Pictures, items: list[Item], augmentation: Augmentation = PLAIN, **options: int
) -> list[Batch]:
    options = {"batch": 4, "seed": 0, "epoch": 1} | options
    return list(training_batches(pictures, items, ("even", "odd"), RAW, augmentation, **options))


def numbers(batch: Batch) -> list[int]:
    return [int(image[2].max()) - 1 for image in batch.images]


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("epoch", [1, 7])
def test_the_same_seed_and_epoch_give_the_same_batches(epoch):
    pictures, items = coded(22)
    again = Augmentation()
    assert same(*(epoch_of(pictures, items, again, epoch=epoch) for _ in range(2)))


@pytest.mark.parametrize("other", [{"epoch": 2}, {"seed": 1}, {"seed": 2**32 - 1}])
def test_another_seed_or_epoch_gives_others(other):
    pictures, items = coded(22)
    assert not same(epoch_of(pictures, items), epoch_of(pictures, items, **other))


@pytest.mark.parametrize("start", range(6))
def test_starting_at_a_step_is_skipping_the_ones_before(start):
    pictures, items = coded(22)
    whole = epoch_of(pictures, items, Augmentation())
    assert same(epoch_of(pictures, items, Augmentation(), start=start), whole[start:])


@pytest.mark.parametrize("threads", [1, 5])
def test_the_number_of_threads_changes_nothing(monkeypatch, threads):
    pictures, items = coded(22)
    pictures._resident = {}  # now they are read by the pool
    expected = epoch_of(pictures, items, Augmentation())
    monkeypatch.setattr(batches, "cpus", lambda: threads)
    assert same(epoch_of(pictures, items, Augmentation()), expected)


def test_what_an_image_looks_like_does_not_depend_on_the_batch_size():
    pictures, items = coded(24)
    views = []
    for size in (2, 8):
        found = epoch_of(pictures, items, Augmentation(), batch=size)
        images = torch.cat([batch.images for batch in found])
        views.append(images[np.argsort([n for batch in found for n in numbers(batch)])])
    assert torch.equal(*views)


@pytest.mark.parametrize(("count", "batch"), [(24, 4), (22, 4), (7, 7), (9, 2)])
def test_every_image_comes_at_most_once_an_epoch(count, batch):
    pictures, items = coded(count)
    found = epoch_of(pictures, items, batch=batch)
    seen = [number for each in found for number in numbers(each)]
    assert len(found) == steps_in_epoch(count, batch) == count // batch
    assert len(seen) == len(set(seen)) == count // batch * batch
    assert {len(each.labels) for each in found} == {batch}


def test_which_images_are_left_out_changes_from_epoch_to_epoch():
    pictures, items = coded(10)
    left_out = Counter()
    for epoch in range(1, 101):
        seen = {number for each in epoch_of(pictures, items, epoch=epoch) for number in numbers(each)}
        left_out.update(set(range(10)) - seen)
    assert sum(left_out.values()) == 200
    assert min(left_out.values()) >= 6  # 20 each on average; 4.5 sigma


def test_a_set_smaller_than_a_batch_is_one_batch():
    pictures, items = coded(3)
    (found,) = epoch_of(pictures, items, batch=16)
    assert sorted(numbers(found)) == [0, 1, 2]


def test_labels_belong_to_their_images():
    pictures, items = coded(20)
    for batch in epoch_of(pictures, items, Augmentation()):
        assert batch.labels.tolist() == [number % 2 for number in numbers(batch)]
    swapped = list(training_batches(pictures, items, ("odd", "even"), RAW, PLAIN, batch=4, seed=0, epoch=1))
    assert all(b.labels.tolist() == [1 - n % 2 for n in numbers(b)] for b in swapped)


def test_images_are_float32_in_channels_last_memory():
    pictures, items = coded(4)
    (batch,) = epoch_of(pictures, items)
    assert (batch.images.dtype, batch.images.shape) == (torch.float32, (4, 3, 8, 8))
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.labels.dtype == torch.int64


def test_without_augmentation_images_come_as_they_are():
    pictures, items = coded(20)
    for batch in epoch_of(pictures, items):
        for number, image in zip(numbers(batch), batch.images, strict=True):
            expected = torch.from_numpy(pictures[f"{number:03}"]).permute(2, 0, 1).float()
            torch.testing.assert_close(image, expected)


def test_flips_mirror_about_half_of_the_images():
    pictures, items = coded(40)
    mirrored = total = 0
    for epoch in range(1, 26):
        for batch in epoch_of(pictures, items, Augmentation(Padded(0.0), flip=True), epoch=epoch):
            for image in batch.images:
                expected = torch.arange(1.0, 9.0)
                flipped = bool(image[1, 0, 0] > 4)
                torch.testing.assert_close(image[1], (expected.flip(0) if flipped else expected).expand(8, 8))
                torch.testing.assert_close(image[0], expected[:, None].expand(8, 8))
                mirrored, total = mirrored + flipped, total + 1
    assert total == 1000
    assert binomtest(mirrored, total).pvalue > 1e-6


def test_flips_off_means_never_mirrored():
    pictures, items = coded(40)
    for epoch in range(1, 11):
        for batch in epoch_of(pictures, items, Augmentation(Padded(0.25), flip=False), epoch=epoch):
            columns = batch.images[:, 1]
            inside = (columns[..., 1:] > 0) & (columns[..., :-1] > 0)
            assert (torch.diff(columns)[inside] > 0).all()


@pytest.mark.parametrize(
    ("height", "width", "pad"), [(8, 8, 0.25), (8, 8, 0.125), (8, 14, 0.25), (11, 8, 0.0)]
)
def test_crops_cover_the_whole_range_evenly(height, width, pad):
    """Every offset as often as every other, and zeros, exactly, around the image after normalisation."""
    pictures, items = coded(50, height, width)
    margin = round(pad * 8)
    tops, lefts = Counter(), Counter()
    for epoch in range(1, 41):
        for batch in epoch_of(pictures, items, Augmentation(Padded(pad), flip=False), batch=50, epoch=epoch):
            for image in batch.images:
                assert ((image == 0).all(0) | (image > 0).all(0)).all()
                rows, columns = image[0].amax(1), image[1].amax(0)
                first_row, first_column = int(rows.gt(0).nonzero()[0]), int(columns.gt(0).nonzero()[0])
                tops[round(float(rows[first_row])) - 1 - first_row] += 1
                lefts[round(float(columns[first_column])) - 1 - first_column] += 1
    for found, side in ((tops, height), (lefts, width)):
        assert set(found) == set(range(-margin, side - 8 + margin + 1))
        if len(found) > 1:
            assert chisquare(list(found.values())).pvalue > 1e-6


def test_a_crop_is_a_window_of_the_image_and_nothing_else():
    pictures, items = coded(30, 8, 12)
    inside = 0
    for batch in epoch_of(pictures, items, Augmentation(Padded(0.25), flip=False), batch=30):
        for number, image in zip(numbers(batch), batch.images, strict=True):
            filled = image[2] > 0
            inside += int(filled.sum())
            rows, columns = image[0][filled].round().long() - 1, image[1][filled].round().long() - 1
            whole = torch.from_numpy(pictures[f"{number:03}"]).float()
            torch.testing.assert_close(image[:, filled].T, whole[rows, columns])
            assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == int(filled.sum())
    assert inside > 30 * 36


def test_padding_is_zero_after_normalisation():
    """The mean colour, not black: He et al. pad images whose mean is already taken off."""
    pictures, items = coded(20)
    normal = Preprocessing(8, (0.3, 0.5, 0.7), (0.2, 0.25, 0.3))
    found = 0
    for batch in training_batches(
        pictures, items, ("even", "odd"), normal, Augmentation(Padded(0.25)), batch=4, seed=0, epoch=1
    ):
        black = -torch.tensor([0.3 / 0.2, 0.5 / 0.25, 0.7 / 0.3])
        outside = (batch.images == 0).all(1)
        found += int(outside.sum())
        shifted = batch.images.permute(0, 2, 3, 1)[~outside] - black
        assert (shifted > 0).all() and (shifted < 0.3).all()  # the coded images are nearly black
    assert found > 0


def test_normalisation_is_the_textbook_s():
    pixels = torch.randint(0, 256, (2, 5, 4, 3), dtype=torch.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    found = Preprocessing(5, mean, std).normalise(pixels)
    expected = (pixels.double() / 255 - torch.tensor(mean).double()) / torch.tensor(std).double()
    torch.testing.assert_close(found.double(), expected.permute(0, 3, 1, 2), rtol=0, atol=2e-6)


def test_views_are_central_crops():
    pictures, _ = coded(2, 8, 12)
    found = RAW.views([pictures["000"], pictures["001"]])
    assert found.shape == (2, 3, 8, 8)
    torch.testing.assert_close(found[0, 1, 0], torch.arange(3.0, 11.0))
    torch.testing.assert_close(found[1, 0, :, 0], torch.arange(1.0, 9.0))


@pytest.mark.parametrize(
    ("count", "batch", "sizes"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 128, [3]), (1, 1, [1])]
)
def test_evaluation_sees_every_image_once_in_order(count, batch, sizes):
    pictures, items = coded(count)
    found = list(evaluation_batches(pictures, items, RAW, batch))
    assert [len(images) for images in found] == sizes
    assert [round(float(image[2, 0, 0])) - 1 for images in found for image in images] == list(range(count))


def loaders() -> int:
    return sum(thread.name.startswith("loader") for thread in threading.enumerate())


def test_closing_early_ends_the_loader():
    pictures, items = coded(200)
    found = training_batches(pictures, items, ("even", "odd"), RAW, PLAIN, batch=2, seed=0, epoch=1)
    next(found)
    assert loaders() in (1, 2)
    found.close()
    assert loaders() == 0


def test_two_batches_are_loaded_ahead_and_no_more():
    pictures, items = coded(200)
    pictures._resident = {}
    read, seen = pictures._source.read, []

    def counted(path: str) -> np.ndarray:
        seen.append(path)
        return read(path)

    pictures._source = replace(pictures._source, read=counted)
    found = training_batches(pictures, items, ("even", "odd"), RAW, PLAIN, batch=5, seed=0, epoch=1)
    for used in (1, 2, 3):
        next(found)
        until = time.monotonic() + 5
        while len(seen) < 5 * (used + 2) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(seen) == 5 * (used + 2)
    found.close()


def test_dropping_the_iterator_ends_the_loader():
    pictures, items = coded(200)
    found = evaluation_batches(pictures, items, RAW, 2)
    next(found)
    del found
    until = time.monotonic() + 5
    while loaders() and time.monotonic() < until:
        time.sleep(0.01)
    assert loaders() == 0


def test_reading_to_the_end_leaves_no_thread():
    pictures, items = coded(9)
    assert len(epoch_of(pictures, items)) == 2
    assert loaders() == 0


@pytest.mark.parametrize(
    "problem", [DataError("photos/cat/017.jpg is truncated at 48 bytes"), MemoryError("no room")]
)
def test_an_error_in_the_loader_arrives(problem):
    pictures, items = coded(20)
    pictures._resident = {}
    read = pictures._source.read

    def broken(path: str) -> np.ndarray:
        if path == "013":
            raise problem
        return read(path)

    pictures._source = Source(
        "broken", "", ("even", "odd"), tuple(items), lambda path: b"", broken, lambda path: None, False
    )
    with pytest.raises(type(problem)) as caught:
        epoch_of(pictures, items, batch=2)
    assert caught.value is problem
    assert loaders() == 0


EVERYTHING = {
    "padded": Augmentation(),
    "reflected": Augmentation(Padded(0.25, True), alternate_flips=True),
    "window": Augmentation(Window(280, True), colour=PCAColour()),
    "jitter": Augmentation(ScaleJitter(), colour=Howard(), cutout=0.3),
    "area": Augmentation(AreaCrop(any_resize=True), colour=InceptionColour(), mixup=0.2),
    "whole": Augmentation(AreaCrop(0.05, tries=100, otherwise="whole"), colour=TorchColour()),
    "rand": Augmentation(Padded(), policy=RandAugment(), erase=0.5, mixup=0.2, cutmix=1.0, repeats=3),
    "trivial": Augmentation(AreaCrop(logarithmic=True), policy=TrivialAugment(), cutmix=1.0, repeats=2),
    "balanced": Augmentation(Padded(), cutout=0.25, mixup=1.0),
}


@pytest.fixture
def noise():
    generator = np.random.default_rng(0)
    images = {f"{n:03}": generator.integers(0, 256, (9 + n % 3, 12, 3), dtype=np.uint8) for n in range(23)}
    items = [Item(path, "odd" if n < 4 else "even") for n, path in enumerate(images)]
    source = Source(
        "noise", "", ("even", "odd"), tuple(items), bytes, images.__getitem__, lambda path: None, False
    )
    return Pictures(source, 8, {}, 30), items


def every(noise, name, **options):
    return epoch_of(*noise, EVERYTHING[name], balance=name == "balanced", **{"batch": 7, **options})


@pytest.mark.parametrize("name", EVERYTHING)
def test_any_augmentation_is_resumed_whatever_the_threads(noise, monkeypatch, name):
    whole = every(noise, name)
    assert len(whole) == 3
    assert all(batch.images.shape == (7, 3, 8, 8) and batch.images.isfinite().all() for batch in whole)
    assert all(batch.images.is_contiguous(memory_format=torch.channels_last) for batch in whole)
    monkeypatch.setattr(batches, "cpus", lambda: 5)
    assert same(every(noise, name, start=1), whole[1:])
    assert not same(every(noise, name, epoch=2), whole)


@pytest.mark.parametrize("ranks", [2, 3, 5])
@pytest.mark.parametrize("name", EVERYTHING)
def test_ranks_share_the_batches_of_one_process(noise, name, ranks):
    whole = every(noise, name)
    shares = [every(noise, name, rank=rank, ranks=ranks) for rank in range(ranks)]
    joined = [
        Batch(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))
        for parts in zip(*shares, strict=True)
    ]
    assert same(joined, whole)
    assert {len(batch.labels) for share in shares for batch in share} <= {7 // ranks, 7 // ranks + 1}


@pytest.mark.parametrize("mixing", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_targets_say_what_is_in_an_image(mixing):
    """Even images are black, odd ones white: the mean level is the share of the class."""
    images = {f"{n:02}": np.full((8, 8, 3), 255 * (n % 2), np.uint8) for n in range(20)}
    items = [Item(path, "odd" if int(path) % 2 else "even") for path in images]
    pictures = Pictures(coded(1)[0]._source, 8, images)
    augmentation = Augmentation(Padded(0.0), **mixing)
    seen = []
    for epoch in range(1, 9):
        for batch in epoch_of(pictures, items, augmentation, epoch=epoch):
            assert batch.labels.shape == (4, 2) and batch.labels.dtype == torch.float32
            torch.testing.assert_close(batch.images.mean((1, 2, 3)) / 255, batch.labels[:, 1])
            seen += batch.labels[:, 1].tolist()
    assert any(0.05 < share < 0.95 for share in seen)


def test_repeats_are_different_versions_of_an_image_in_the_same_batch():
    pictures, items = coded(40)
    found = epoch_of(pictures, items, Augmentation(Padded(0.25), repeats=4), batch=8)
    assert len(found) == 5
    seen = Counter()
    for batch in found:
        counts = Counter(numbers(batch))
        assert set(counts.values()) == {4}
        seen += counts
        for number in counts:
            views = [image for n, image in zip(numbers(batch), batch.images, strict=True) if n == number]
            assert len({view.numpy().tobytes() for view in views}) > 1
    assert len(seen) == 10


def test_balance_shows_rare_classes_more_often():
    pictures, items = coded(40)
    items = [Item(item.path, "odd" if int(item.path) < 4 else "even") for item in items]
    for epoch in (1, 2):
        labels = torch.cat([b.labels for b in epoch_of(pictures, items, balance=True, epoch=epoch)])
        assert labels.bincount().tolist() == [20, 20]


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_ranks_evaluate_every_image_once(ranks):
    pictures, items = coded(22)
    whole = list(evaluation_batches(pictures, items, RAW, 4))
    shared = [list(evaluation_batches(pictures, items, RAW, 4, rank, ranks)) for rank in range(ranks)]
    joined = [images for share in shared for images in share]
    assert len(joined) == len(whole) == 6
    assert all(torch.equal(one, other) for one, other in zip(joined, whole, strict=True))
    assert max(map(len, shared)) - min(map(len, shared)) <= 1
