"""Reading a prepared store: the same images by any thread and machine, and no byte that has changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goingdeeper.data import pictures
from goingdeeper.data.pictures import survey
from goingdeeper.data.sources import Item, open_source
from goingdeeper.data.split import Holding, divide
from goingdeeper.data.store import Form, prepare
from goingdeeper.errors import DataError, StoreError


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "photos"
    random = np.random.default_rng(0)
    for number in range(12):
        place = root / ("train", "val")[number % 4 == 3] / ("cat", "ключ ☃")[number % 2 or number // 2 % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (70 + number, 90, 3), np.uint8)
        Image.fromarray(pixels).resize((90, 120)).save(place / f"{number} ☃.png")
    return root


@pytest.fixture(scope="module")
def stores(photos) -> dict[str, Path]:
    found = {}
    for name, form in {"jpeg": Form(side=80), "raw": Form(side=1000, raw=True)}.items():
        found[name] = photos.parent / name
        prepare(open_source(photos), found[name], form, shard_bytes=100_000)
    return found


@pytest.fixture
def raw(stores, tmp_path) -> Path:
    shutil.copytree(stores["raw"], tmp_path / "raw")
    return tmp_path / "raw"


def test_the_same_images_under_the_same_paths_classes_and_splits(photos, stores):
    plain = open_source(photos)
    for path in stores.values():
        found = open_source(path)
        assert found.items == plain.items
        assert (found.classes, found.oriented) == (plain.classes, plain.oriented)
        assert (found.name, found.location) == (path.name, str(path))
        assert {item.split for item in found.items} == {"train", "val"}


def test_test_images_come_along_and_are_left_out_of_training(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    shutil.copytree(photos / "val" / "ключ ☃", tmp_path / "photos" / "test" / "ключ ☃")
    prepare(open_source(tmp_path / "photos", split="all"), tmp_path / "store", Form(side=80))
    learned, test = open_source(tmp_path / "store"), open_source(tmp_path / "store", split="test")
    assert learned.items == open_source(photos).items
    assert test.items == open_source(tmp_path / "photos", split="test").items
    assert len(test.items) > 0 and {item.split for item in test.items} == {"test"}
    assert test.read(test.items[0].path).shape[1] == 80


def test_uncompressed_pixels_are_those_of_the_files(photos, stores):
    found = open_source(stores["raw"])
    for item in found.items:
        expected = np.asarray(Image.open(photos / item.path))
        pixels = found.read(item.path)
        assert np.array_equal(pixels, expected)
        assert pixels.flags.writeable and pixels.flags.c_contiguous
        assert found.size(item.path) == (90, 120)
    whole, plain = survey(found, 64), survey(open_source(photos), 64)
    assert whole.digests == plain.digests and whole.sizes == plain.sizes


def test_jpegs_are_read_as_pillow_reads_them(stores, tmp_path):
    found = open_source(stores["jpeg"])
    for item in found.items:
        (tmp_path / "a.jpg").write_bytes(found.content(item.path))
        image = Image.open(tmp_path / "a.jpg")
        assert found.size(item.path) == image.size == (80, 107)
        assert np.array_equal(found.read(item.path), np.asarray(image))


def test_threads_share_a_store(stores):
    found = open_source(stores["raw"])
    paths = [item.path for item in found.items] * 50
    alone = {path: found.read(path) for path in paths[:12]}
    with ThreadPoolExecutor(8) as pool:
        for path, pixels in zip(paths, pool.map(found.read, paths), strict=True):
            assert np.array_equal(pixels, alone[path])


def test_nothing_is_written_where_nothing_can_be(raw):
    for file in raw.iterdir():
        file.chmod(0o444)
    raw.chmod(0o555)
    before = {file: file.stat().st_mtime_ns for file in (raw, *raw.iterdir())}
    assert len(survey(open_source(raw), 8).digests) == 12
    assert {file: file.stat().st_mtime_ns for file in (raw, *raw.iterdir())} == before
    raw.chmod(0o755)


def test_classes_of_a_model_are_matched_by_name(stores):
    found = open_source(stores["jpeg"], ("x", "ключ ☃", "cat"))
    assert found.classes == ("x", "ключ ☃", "cat")
    with pytest.raises(DataError, match="the model has no class 'ключ ☃'"):
        open_source(stores["jpeg"], ("cat", "dog"))


def test_one_class_is_enough_to_be_scored_on_and_not_to_train(photos, tmp_path):
    source = open_source(photos)
    items = tuple(replace(item, split=None) for item in source.items if item.label == "cat")
    prepare(replace(source, items=items, classes=("cat",)), tmp_path / "one", Form())
    with pytest.raises(DataError, match="holds one class, 'cat'"):
        open_source(tmp_path / "one")
    assert open_source(tmp_path / "one", ("cat", "dog")).items == items


# Splits of images that are others than they were


@pytest.fixture(scope="module")
def hands(tmp_path_factory) -> Path:
    """Fifty-four images of three classes: twelve pairs are equal, one across classes, three are nearly so,
    and some are too small to be compared."""
    root = tmp_path_factory.mktemp("hands") / "hands"
    random = np.random.default_rng(3)
    for number in range(38):
        place = root / "abc"[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        side = 12 if number % 8 == 7 else 64
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8))
        pixels = np.asarray(coarse.resize((side, side + 3), Image.Resampling.BICUBIC))
        Image.fromarray(pixels).save(place / f"{number}.png")
        if number < 12:
            Image.fromarray(pixels).save((root / "b" if number == 3 else place) / f"{number} copy.bmp")
        elif number < 16:
            Image.fromarray(np.maximum(pixels, 9)).save(place / f"{number} alike.png")
    return root


FORMS = {
    "jpeg": Form(side=40, quality=30), "tiny": Form(side=8, raw=True), "whole": Form(side=500, quality=10)
}  # fmt: skip


@pytest.fixture(scope="module", params=FORMS)
def small(request, hands) -> Path:
    """The hands made smaller."""
    out = hands.parent / request.param
    prepare(open_source(hands), out, FORMS[request.param], shard_bytes=30_000)
    return out


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(
    "holding", [Holding(), Holding(seed=5, test_share=0.2), Holding(seed=1, fold=(2, 3))], ids=range(3)
)
def test_a_split_is_that_of_the_originals(hands, small, holding, grouped):
    sides, seen = [], []
    for place in (hands, small):
        source = open_source(place)
        found = survey(source, 8, grouped=grouped)
        division = divide(source, found.digests, holding, found.groups)
        sides.append((division.train, division.val, division.test, division.duplicates, division.alike))
        seen.append([source.read(item.path).tobytes() for item in source.items])
    assert sides[0] == sides[1]
    assert sides[0][3] == 12 and sides[0][4] == (6 if grouped else 0)
    assert sum(one != other for one, other in zip(*seen, strict=True)) >= 40  # the images are others


def test_hash_and_thumbnail_are_those_of_the_original(hands, small):
    """The one as docs/prepare.md has it; the other for images of 64 pixels a means of 4x4."""
    source = open_source(small)
    strips = []
    for number, shard in enumerate(sorted(small.glob("*.tar"))):
        with tarfile.open(shard) as files:
            strips.append(np.asarray(Image.open(files.extractfile(f"thumbnails-{number:05}.ppm"))))
    thumbnails = list(np.concatenate(strips).reshape(-1, 16, 16, 3))
    for item in source.items:
        pixels = np.asarray(Image.open(hands / item.path))
        digest = hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()
        assert source.originals.digest(item.path) == digest
        found = source.originals.thumbnail(item.path)
        if pixels.shape[1] == 12:
            assert found is None
            continue
        assert np.array_equal(found, thumbnails.pop(0))
        rows = pixels[[int((n + 0.5) * 67 / 64) for n in range(64)]].astype(int)
        means = np.floor(rows.reshape(16, 4, 16, 4, 3).mean((1, 3)) + 0.5)
        assert np.array_equal(found, means)
    assert not thumbnails


def test_a_store_of_a_store_knows_the_first_originals(hands, small, tmp_path):
    prepare(open_source(small), tmp_path / "again", Form(side=6, raw=True))
    first, again = open_source(small), open_source(tmp_path / "again")
    for item in first.items:
        assert again.originals.digest(item.path) == first.originals.digest(item.path)
        one, other = first.originals.thumbnail(item.path), again.originals.thumbnail(item.path)
        assert (one is None and other is None) or np.array_equal(one, other)
    assert survey(again, 8, grouped=True).groups == survey(open_source(hands), 8, grouped=True).groups != {}


def test_images_that_became_equal_are_no_copies(tmp_path):
    """One level of one pixel, which is gone when they are made smaller."""
    grey = np.full((160, 160, 3), 100, np.uint8)
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(2):
            grey[0, 0] += 1
            Image.fromarray(grey).save(tmp_path / "photos" / name / f"{number}.png")
    prepare(open_source(tmp_path / "photos"), tmp_path / "store", Form(side=10, raw=True))
    source = open_source(tmp_path / "store")
    assert len({source.read(item.path).tobytes() for item in source.items}) == 1
    division = divide(source, survey(source, 8).digests, Holding())
    assert (division.duplicates, len(division.train), len(division.val)) == (0, 2, 2)


def test_what_memory_cannot_keep_is_not_read(small, monkeypatch):
    """A survey of shards that are gone."""
    source = open_source(small)
    known = survey(source, 8, grouped=True)
    monkeypatch.setattr(pictures, "_free_memory", lambda: 0)
    for shard in small.glob("*.tar"):
        shard.rename(shard.with_suffix(".gone"))
    try:
        found = survey(source, 8)
        assert (found.digests, found.sizes, found.problems) == (known.digests, known.sizes, ())
    finally:
        for shard in small.glob("*.gone"):
            shard.rename(shard.with_suffix(".tar"))
    assert survey(source, 8, grouped=True).groups == known.groups


def test_another_store_of_the_same_images_is_other_data(hands, small, tmp_path):
    prepare(open_source(hands), tmp_path / "same", FORMS[small.name], shard_bytes=30_000)
    prepare(open_source(hands), tmp_path / "other", Form(side=39), shard_bytes=30_000)
    made = [open_source(place).originals.made for place in (small, tmp_path / "same", tmp_path / "other")]
    assert made[0] == made[1] != made[2]
    assert open_source(hands).originals is None


# Damage


def rows(root: Path, number: int) -> list[list[object]]:
    return json.loads((root / f"shard-{number:05}.json").read_text())["images"]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_flipped_bit_is_found_when_its_image_is_read_and_ends_the_survey(raw, number):
    """One of twelve images, of which one may be unreadable elsewhere."""
    shard = raw / f"shard-{number:05}.tar"
    path, _, _, offset, length, *_ = rows(raw, number)[1]
    data = bytearray(shard.read_bytes())
    data[offset + length // 2] ^= 16
    shard.write_bytes(data)
    source = open_source(raw)
    expected = rf"shard-{number:05}\.tar is damaged at {path}, bytes {offset:,} to {offset + length:,}; "
    with pytest.raises(StoreError, match=expected):
        source.read(path)
    with pytest.raises(StoreError, match=expected):
        survey(source, 8, bad_share=0.5)
    assert source.read(rows(raw, number)[0][0]).shape == (120, 90, 3)


@pytest.mark.parametrize("left", [0, 1, 40_000, -1])
def test_a_truncated_shard_is_found_when_the_store_is_opened(raw, left):
    shard = raw / "shard-00001.tar"
    data = shard.read_bytes()
    shard.write_bytes(data[:left])
    first = rows(raw, 1)[0 if left in (0, 1) else 1][0]
    gone = rf", from {first} on" if left >= 0 else ""
    with pytest.raises(DataError, match=rf"shard-00001\.tar has .* bytes of {len(data):,}{gone}; remove"):
        open_source(raw)


def test_a_shard_that_is_truncated_while_it_is_read(raw):
    source = open_source(raw)
    path, _, _, offset, *_ = rows(raw, 2)[1]
    os.truncate(raw / "shard-00002.tar", offset + 100)
    with pytest.raises(StoreError, match=rf"shard-00002\.tar is truncated at {path}, byte {offset + 100:,}"):
        source.read(path)
    (raw / "shard-00002.tar").unlink()
    with pytest.raises(StoreError, match=rf"shard-00002\.tar cannot be read at {path}: No such file"):
        source.read(path)


def test_a_missing_shard_or_index_is_named(raw):
    for name in ("shard-00001.tar", "shard-00002.json"):
        content = (raw / name).read_bytes()
        (raw / name).unlink()
        with pytest.raises(DataError, match=f"{name} cannot be read: No such file"):
            open_source(raw)
        (raw / name).write_bytes(content)
    assert open_source(raw)


@pytest.mark.parametrize("place", range(5, 290, 41))
def test_a_changed_index_is_found(raw, place):
    index = raw / "shard-00000.json"
    data = bytearray(index.read_bytes())
    data[place] ^= 1
    index.write_bytes(data)
    with pytest.raises(DataError, match=r"shard-00000\.json is damaged; remove the store"):
        open_source(raw)


RECORD = {
    "schema": 2, "shards": [], "classes": ["a"], "oriented": True, "problems": [], "images": 0, "made": {}
}  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[]", b"null", b"7", b'{"schema": 2}', b"[" * 100_000]
    + [
        json.dumps(RECORD | change).encode()
        for change in (
            {"shards": {}}, {"shards": [7]}, {"shards": [{}]}, {"classes": []}, {"classes": [7]},
            {"images": 1}, {"oriented": 1}, {"problems": [7]}, {"problems": [["a", "b"]]}, {"made": None},
        )
    ],
    ids=range(17),
)  # fmt: skip
def test_a_damaged_record_is_named(tmp_path, content):
    (tmp_path / "store.json").write_bytes(content)
    with pytest.raises(DataError, match=r"store\.json is damaged: .*; remove the") as caught:
        open_source(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_store_of_another_version_is_named(raw):
    record = json.loads((raw / "store.json").read_text())
    (raw / "store.json").write_text(json.dumps({**record, "schema": 1}))
    with pytest.raises(
        DataError,
        match=r"is a store of another version \(schema 1, here 2\); remove the store and",
    ):
        open_source(raw)


ROW = ["cat/a", "cat", None, 512, 100, 8, 8, 1, "0a" * 32, None]


def sealed(root: Path, index: dict[str, object]) -> None:
    """Puts an index in place of the first shard's, of a store that has one shard, with a sha256 that fits."""
    record = json.loads((root / "store.json").read_text())
    content = json.dumps(index).encode()
    (root / "shard-00000.json").write_bytes(content)
    images = len(index["images"])
    shard = {**record["shards"][0], "images": images, "index_sha256": hashlib.sha256(content).hexdigest()}
    record |= {"classes": ["cat", "dog"], "shards": [shard], "images": images}
    (root / "store.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    "row",
    [[*ROW, 1], ROW[:-1], "cat", [7, *ROW[1:]], ["a", "mouse", *ROW[2:]], ["a", "cat", "other", *ROW[3:]],
     [*ROW[:3], -1, *ROW[4:]], [*ROW[:4], 10**9, *ROW[5:]], [*ROW[:3], 1.5, *ROW[4:]],
     [*ROW[:3], True, *ROW[4:]], [*ROW[:5], 2**70, *ROW[6:]], [*ROW[:8], "0a" * 31, None],
     [*ROW[:8], "0g" * 32, None], [*ROW[:8], 7, None]],
    ids=range(14),
)  # fmt: skip
def test_an_index_made_by_someone_else_is_checked(raw, row):
    """Its sha256 fits: not damage, but malice."""
    sealed(raw, {"images": [row], "thumbnails": [0, 0, 0]})
    with pytest.raises(DataError, match=r"shard-00000\.json is damaged: "):
        open_source(raw, ("cat", "dog"))
    sealed(raw, {"images": [ROW], "thumbnails": [0, 0, 0]})
    assert open_source(raw, ("cat", "dog")).items == (Item("cat/a", "cat"),)


@pytest.mark.parametrize(
    "place",
    [[512, 781, 0, 0], [512, 781], [-1, 781, 0], [512, 780, 0], [512, 0, 0], [512, 1549, 0], [10**9, 781, 0],
     [512, 781, "0"], [512.0, 781, 0], None],
    ids=range(10),
)  # fmt: skip
def test_the_place_of_the_thumbnails_is_checked(raw, place):
    sealed(raw, {"images": [[*ROW[:9], 0]], "thumbnails": [512, 781, 0]})  # "P6 16 16 255", and 16 x 16 x 3
    source = open_source(raw, ("cat", "dog"))
    assert source.originals.digest("cat/a") == "0a" * 32
    with pytest.raises(StoreError, match="is damaged at the thumbnails, bytes 512 to 1,293"):
        source.originals.thumbnail("cat/a")
    sealed(raw, {"images": [[*ROW[:9], 0]], "thumbnails": place})
    with pytest.raises(DataError, match=r"shard-00000\.json is damaged: "):
        open_source(raw, ("cat", "dog"))


@pytest.mark.parametrize("numbers", [[1], [-1], ["0"], [[0]], [1, 0], [0, 0], [0, 2]], ids=str)
def test_the_numbers_of_the_thumbnails_are_checked(raw, numbers):
    def written(numbers: list[object]) -> None:
        rows = [[f"cat/{place}", *ROW[1:9], number] for place, number in enumerate(numbers)]
        sealed(raw, {"images": rows, "thumbnails": [512, 13 + 768 * len(numbers), 0]})

    written(numbers)
    with pytest.raises(DataError, match=r"shard-00000\.json is damaged: "):
        open_source(raw, ("cat", "dog"))
    written(list(range(len(numbers))))
    assert len(open_source(raw, ("cat", "dog")).items) == len(numbers)


@pytest.mark.parametrize("size", [(8, 9), (1, 1), (0, 0), (10**6, 10**6)])
def test_sizes_that_do_not_fit_the_pixels_are_refused(raw, size):
    record = json.loads((raw / "store.json").read_text())
    index = json.loads((raw / "shard-00000.json").read_text())
    index["images"][0][5:7] = size
    content = json.dumps(index).encode()
    (raw / "shard-00000.json").write_bytes(content)
    record["shards"][0]["index_sha256"] = hashlib.sha256(content).hexdigest()
    (raw / "store.json").write_text(json.dumps(record))
    path = index["images"][0][0]
    with pytest.raises(StoreError, match=rf"{path} is no image of {size[0]}x{size[1]}"):
        open_source(raw).read(path)


def test_items_of_a_store_are_plain(stores):
    assert open_source(stores["jpeg"]).items[0] == Item("train/cat/0 ☃.png", "cat", "train")
