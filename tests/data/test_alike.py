"""Near copies: what Pillow makes of photographs is found, other photographs are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from goingdeeper.data import alike as near
from goingdeeper.data.alike import Thumbnails, alike, correlation, differing, grouped, groups, hashes, sampled


def thumbnails(pictures):
    made = Thumbnails()
    for number, picture in enumerate(pictures):
        made.add(str(number), sampled(np.asarray(picture)))
    return made.all()


def encoded(picture, quality):
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def textures(count, size=(96, 80), seed=0):
    """Smooth pictures that differ: noise of 6x5 pixels, enlarged."""
    random = np.random.default_rng(seed)
    return [
        Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
        for _ in range(count)
    ]


VARIANTS = {
    "as JPEG": lambda picture: encoded(picture, 40),
    "half the size": lambda picture: picture.resize((48, 40), Image.Resampling.LANCZOS),
    "three times the size": lambda picture: picture.resize((288, 240), Image.Resampling.BICUBIC),
    "squeezed": lambda picture: picture.resize((64, 64), Image.Resampling.BOX),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.7),
    "less contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(0.6),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_found_and_nothing_else(variant):
    pictures = textures(60)
    changed = [VARIANTS[variant](picture) for picture in pictures[:6]]
    pairs, similar = alike(thumbnails(pictures + changed))
    assert pairs.tolist() == [[number, 60 + number] for number in range(6)]
    assert similar.min() > 0.94


def test_photographs_that_differ_are_not_alike_and_their_copies_are(test_data):
    files = sorted((test_data / "photos").glob("*.JPEG"))[:30]
    pictures = [Image.open(file).convert("RGB") for file in files]
    for picture in pictures:
        picture.thumbnail((300, 300))
    small = [picture.resize((90, 60), Image.Resampling.LANCZOS) for picture in pictures]
    pairs, _ = alike(thumbnails(pictures + [encoded(picture, 60) for picture in small]))
    found = {tuple(pair) for pair in pairs.tolist()}
    assert found <= {(number, 30 + number) for number in range(30)}
    assert len(found) >= 28


def test_mixtures_of_two_pictures_are_alike_to_neither():
    """Correlations of 0.92, above 0.94 for none, though many hashes differ in few bits."""
    pictures = textures(120)
    mixed = [Image.blend(pictures[n], pictures[119 - n], 0.3) for n in range(10)]
    made = thumbnails(pictures + mixed)
    bits, _ = hashes(made)
    assert (differing(bits[:10], bits[120:]) <= near.BITS).sum() > 3
    found = {tuple(pair) for pair in alike(made)[0].tolist()}
    expected = correlation(made[:10], made[120:]) >= 0.94
    assert found <= {(n, 120 + n) for n in np.flatnonzero(expected)}
    assert expected.sum() < 4


def test_a_thumbnail_is_the_mean_of_squares():
    for side in (32, 64):
        pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
        boxes = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BOX)
        (found,) = thumbnails([pixels])
        assert np.abs(found.astype(int) - np.asarray(boxes)).max() <= 1


def test_thumbnails_keep_their_order_whatever_the_sizes():
    pictures = textures(700, (20, 20)) + textures(3, (200, 150), seed=1) + textures(300, (70, 90), seed=2)
    order = np.random.default_rng(0).permutation(len(pictures))
    together = thumbnails([pictures[number] for number in order])
    for place in range(0, len(order), 97):
        assert np.array_equal(together[place], thumbnails([pictures[order[place]]])[0])


def test_images_too_small_or_of_one_colour_are_not_compared():
    assert sampled(np.zeros((15, 40, 3), np.uint8)) is None
    assert sampled(np.zeros((16, 16, 3), np.uint8)) is not None
    flat = [np.full((40, 40, 3), 100 + n, np.uint8) for n in range(3)]
    pairs, _ = alike(thumbnails(flat + textures(40)))
    assert len(pairs) == 0
    assert alike(thumbnails([]))[0].shape == (0, 2)


def test_hashes_are_the_signs_of_low_frequencies():
    """Against a cosine transform written out, of greys by Pillow's weights."""
    (thumbnail,) = thumbnails(textures(1))
    grey = thumbnail @ np.array([0.299, 0.587, 0.114])
    rows, columns = np.mgrid[0:16, 0:16]
    waves = np.array([
        [
            (grey * np.cos(np.pi * v * (2 * rows + 1) / 32) * np.cos(np.pi * h * (2 * columns + 1) /
            32)).sum() for h in range(8)
        ]
        for v in range(8)
    ])  # fmt: skip
    low = waves.ravel()[1:]
    bits, unit = hashes(thumbnail[None])
    expected = low > np.median(low)
    found = np.array([int(bits[0]) >> (62 - place) & 1 for place in range(63)], bool)
    close = np.abs(low - np.median(low)) < 1e-2 * np.abs(low).max()  # the waves are rounded
    assert np.array_equal(found[~close], expected[~close])
    assert (~close).sum() > 40
    assert np.allclose(unit[0], low / np.linalg.norm(low), atol=0.01)


def test_bits_are_counted():
    random = np.random.default_rng(0)
    one, other = (random.integers(0, 2**63, 50, np.uint64) for _ in range(2))
    expected = [bin(int(a) ^ int(b)).count("1") for a, b in zip(one, other, strict=True)]
    assert differing(one, other).tolist() == expected


def test_the_correlation_is_about_each_channels_mean():
    one, other = thumbnails(textures(2))
    a, b = (x.reshape(-1, 3).astype(float) - x.reshape(-1, 3).mean(0) for x in (one, other))
    expected = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    assert correlation(one[None], other[None])[0] == pytest.approx(expected, abs=1e-12)
    assert correlation(one[None], one[None] // 2)[0] > 0.999
    assert correlation(one[None], np.full_like(one, 90)[None])[0] == 0


def test_close_hashes_are_found_among_many():
    """Against the distances of all pairs."""
    random = np.random.default_rng(0)
    some = random.integers(0, 2, (1500, 63), np.int64)
    for number in range(300):  # with 0 to 9 bits changed
        some[1200 + number] = some[number]
        some[1200 + number, random.choice(63, number % 10, replace=False)] ^= 1
    bits = (some << np.arange(62, -1, -1)).sum(1).astype(np.uint64)
    found = {tuple(pair) for pair in near._candidates(bits).tolist()}
    differences = some @ (1 - some).T + (1 - some) @ some.T
    expected = {(i, j) for i, j in np.argwhere(differences <= 10).tolist() if i < j}
    assert len(expected) >= 300
    assert found <= expected
    assert len(found) > 0.97 * len(expected)


def test_where_most_images_are_alike_only_the_closest_count():
    base = np.asarray(textures(1, (32, 32))[0]).astype(int)
    random = np.random.default_rng(0)
    # Twenty handwritings of one figure, as it were, two of them of one hand.
    many = [np.clip(base + random.normal(0, 25, base.shape), 0, 255).astype(np.uint8) for _ in range(20)]
    again = np.clip(many[3].astype(int) + 1, 0, 255).astype(np.uint8)
    _, bits, similar = near._confirmed(thumbnails(many))
    assert ((bits <= near.BITS) & (similar >= near.ALIKE)).sum() > 20
    pairs, _ = alike(thumbnails([*many, again]))
    assert pairs.tolist() == [[3, 20]]


def test_linked_names_share_the_least():
    links = [("d", "b"), ("x", "y"), ("b", "c"), ("c", "a"), ("q", "q")]
    assert grouped(links) == dict.fromkeys("abcd", "a") | {"x": "x", "y": "x", "q": "q"}


def test_groups_go_by_pixels_wherever_the_images_are_kept():
    pictures = textures(30)
    pictures += [encoded(pictures[4], 60), encoded(pictures[4], 30), pictures[4]]
    digests = {f"here/{n}": f"{n:02}" for n in range(33)} | {"here/32": "04"}
    order = np.random.default_rng(0).permutation(33)

    def found(names):
        made = Thumbnails()
        for name, number in zip(names, order, strict=True):
            made.add(name, sampled(np.asarray(pictures[number])))
        return groups({name: digests[f"here/{n}"] for name, n in zip(names, order, strict=True)}, made)

    here = found([f"here/{n}" for n in order])
    assert here == {"here/4": "04", "here/30": "04", "here/31": "04", "here/32": "04"}
    there = found([f"there/{99 - n}" for n in order])
    assert sorted(there.values()) == ["04"] * 4
