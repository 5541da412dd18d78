"""The order of an epoch, and its random numbers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from goingdeeper.data.order import Visits, _scrambled, normals, order, uniforms, whole


def test_order_is_a_permutation_that_depends_on_seed_and_epoch():
    found = {tuple(order(50, seed, epoch).image) for seed in (0, 1, 2**31 - 1) for epoch in (1, 2, 300)}
    assert len(found) == 9
    assert all(sorted(each) == list(range(50)) for each in found)
    assert len(order(0, 0, 1)) == 0
    assert not order(50, 0, 1).version.any()


def test_every_place_of_the_order_is_equally_likely():
    places = [int(np.flatnonzero(order(8, 3, epoch).image == 5)[0]) for epoch in range(1, 1601)]
    assert chisquare(np.bincount(places, minlength=8)).pvalue > 1e-4


# 2 of the 3 classes of 10 visits get 3, 1 gets 4; the class of one image shows it each time.
def test_balanced_classes_get_equal_shares():
    labels = np.array([0] * 6 + [1] * 3 + [2])
    sums = np.zeros(3)
    for epoch in range(1, 301):
        visits = order(10, 0, epoch, labels=labels)
        shares = np.bincount(labels[visits.image], minlength=3)
        assert sorted(shares) == [3, 3, 4]
        sums += shares
        assert len({*zip(visits.image, visits.version, strict=True)}) == 10
        seen = Counter(visits.image.tolist())
        assert seen[9] == shares[2]
        assert {seen[image] for image in (6, 7, 8)} <= {1, 2}
        assert {seen[image] for image in range(6)} <= {0, 1}
    assert sums / 300 == pytest.approx([10 / 3] * 3, abs=0.15)  # 4 or 3: a standard error of 0.027


def test_balanced_orders_are_shuffled_and_reach_every_image():
    labels = np.array([0] * 90 + [1] * 10)
    first, seen = [], set()
    for epoch in range(1, 201):
        visits = order(100, 1, epoch, labels=labels)
        first.append(labels[visits.image[0]])
        seen |= set(visits.image.tolist())
    assert seen == set(range(100))
    assert 70 <= sum(first) <= 130
    again = order(100, 1, 7, labels=labels)
    assert np.array_equal(again.image, order(100, 1, 7, labels=labels).image)


def test_more_classes_than_visits():
    visits = order(3, 0, 1, labels=np.array([4, 7, 9]))
    assert sorted(visits.image) == [0, 1, 2]
    assert len(order(4, 0, 1, labels=np.array([0, 1, 2, 3]), repeats=4)) == 4


@pytest.mark.parametrize(("count", "repeats"), [(12, 3), (14, 3), (10, 4), (5, 1)])
def test_repeats_come_in_a_row_and_an_epoch_keeps_its_length(count, repeats):
    visits = order(count, 0, 2, repeats=repeats)
    assert len(visits) == count
    groups = [visits.image[i : i + repeats] for i in range(0, count, repeats)]
    assert all(len(set(group)) == 1 for group in groups)
    assert len({group[0] for group in groups}) == len(groups) == -(-count // repeats)
    assert visits.version.tolist() == [i % repeats for i in range(count)]


def test_versions_of_repeats_of_a_balanced_image_are_all_different():
    visits = order(60, 0, 1, labels=np.array([0] * 59 + [1]), repeats=3)
    assert len(set(visits.keys.tolist())) == 60
    assert (visits.image == 59).sum() == 30


def test_a_batch_keeps_versions_of_an_image_apart():
    visits = order(24, 0, 1, repeats=3)
    batch = visits.batch(1, 12)
    assert sorted(batch.image) == sorted(visits.image[12:24])
    assert batch.version.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert batch.image[:4].tolist() == batch.image[4:8].tolist() == batch.image[8:].tolist()


def test_keys_tell_images_and_versions_apart():
    visits = Visits(np.array([0, 1, 0, 2**31]), np.array([0, 0, 1, 5]))
    assert len(set(visits.keys.tolist())) == 4


def test_the_generator_is_splitmix64():
    """Its published sequence for the seed 1234567."""
    steps = np.uint64(1234567) + np.arange(1, 6, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert _scrambled(steps).tolist() == [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
        16408922859458223821,
    ]  # fmt: skip


def test_numbers_are_of_the_key_alone():
    keys = np.array([5, 0, 17, 3 + (2 << 40)])
    together = uniforms(7, 3, keys, 6, 2)
    for row, key in zip(together, keys, strict=True):
        assert np.array_equal(uniforms(7, 3, [key], 6, 2)[0], row)
    assert np.array_equal(uniforms(7, 3, keys, 3, 2), together[:, :3])


DIFFERENT = {
    "seed": lambda seed: uniforms(seed, 1, np.arange(50), 4),
    "epoch": lambda epoch: uniforms(0, epoch, np.arange(50), 4),
    "stream": lambda stream: uniforms(0, 1, np.arange(50), 4, stream),
    "key": lambda block: uniforms(0, 1, np.arange(50) + 50 * block, 4),
    "version": lambda version: uniforms(0, 1, np.arange(50) + (version << 40), 4),
    "seed against epoch": lambda i: uniforms(i, 40 - i, np.arange(50), 4),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_every_seed_epoch_stream_and_key_has_numbers_of_its_own(what):
    found = np.stack([DIFFERENT[what](value) for value in range(40)])
    assert len(np.unique(found)) == found.size
    assert kstest(found.ravel(), "uniform").pvalue > 1e-4
    # From one value to the next there is no relation: 4 sigma.
    relation = np.corrcoef(found[:-1].ravel(), found[1:].ravel())[0, 1]
    assert abs(relation) < 4 / np.sqrt(found[1:].size)


def test_numbers_are_even_in_every_bit_and_pair():
    found = uniforms(0, 1, np.arange(20_000), 4)
    assert found.min() >= 0 and found.max() < 1
    for column in found.T:
        assert kstest(column, "uniform").pvalue > 1e-4
    bits = (found.ravel() * 2**53).astype(np.uint64)
    for bit in range(53):
        ones = int(((bits >> np.uint64(bit)) & np.uint64(1)).sum())
        assert abs(ones - found.size / 2) < 5 * np.sqrt(found.size) / 2
    for one in range(4):
        for other in range(one):
            cells, _, _ = np.histogram2d(found[:, one], found[:, other], bins=10, range=[[0, 1]] * 2)
            assert chisquare(cells.ravel()).pvalue > 1e-5
    neighbours, _, _ = np.histogram2d(found[:-1, 0], found[1:, 0], bins=10, range=[[0, 1]] * 2)
    assert chisquare(neighbours.ravel()).pvalue > 1e-5


def test_whole_numbers_never_reach_their_end():
    assert whole(np.array([0.0, 0.4999, 0.5, 1 - 2**-53]), 2).tolist() == [0, 0, 1, 1]
    assert whole(np.array([1 - 2**-53] * 3), np.array([1, 3, 9])).tolist() == [0, 2, 8]
    counts = np.bincount(whole(uniforms(0, 1, np.arange(9000), 1)[:, 0], 9))
    assert chisquare(counts).pvalue > 1e-4


def test_normals_are_normal():
    found = normals(uniforms(1, 1, np.arange(10_000), 4))
    assert found.shape == (10_000, 2)
    assert kstest(found.ravel(), "norm").pvalue > 1e-4
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.04
    assert np.isfinite(normals(np.array([0.0, 1 - 2**-53, 0.3, 0.4]))).all()
