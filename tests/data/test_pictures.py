"""One pass over all images: what is found, what may be missing, and what stays in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from goingdeeper.data import pictures
from goingdeeper.data.decode import decode, fit
from goingdeeper.data.pictures import survey
from goingdeeper.data.sources import open_source
from goingdeeper.errors import DataError
from goingdeeper.recipes.images import AreaCrop, ScaleJitter, Window


def test_a_survey_knows_content_and_size_of_every_image(picture_folder):
    root = picture_folder({"a": 3, "b": 2})
    found = survey(open_source(root), 8)
    files = {file.relative_to(root).as_posix(): file for file in root.glob("*/*.png")}
    assert found.digests.keys() == files.keys()
    pixels = {path: np.asarray(Image.open(file).convert("RGB")).tobytes() for path, file in files.items()}
    for one, other in combinations(files, 2):
        assert (found.digests[one] == found.digests[other]) == (pixels[one] == pixels[other])
    assert found.sizes == dict.fromkeys(files, (8, 8))
    assert found.problems == ()


def test_the_same_pixels_have_one_digest_in_any_format_and_one_an_orientation(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 9, 3), np.uint8))
    for part in ("a", "b"):
        (tmp_path / part).mkdir()
    picture.save(tmp_path / "a/one.png")
    picture.save(tmp_path / "a/two.bmp")
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "b/turned.png")
    Image.frombytes("RGB", (6, 9), picture.tobytes()).save(tmp_path / "b/other.png")
    found = survey(open_source(tmp_path), 4).digests
    assert found["a/one.png"] == found["a/two.bmp"]
    assert len(set(found.values())) == 3


def test_the_limit_names_what_cannot_be_read_and_not_what_is_passed_over(picture_folder):
    root = picture_folder({"a": 5, "b": 5})
    (root / "a/3.png").write_bytes(b"")
    (root / "a/.hidden.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"^1 of 10 images .*remove them: \S*/a/3\.png is empty \(0 bytes\)$"):
        survey(open_source(root), 8)


def test_progress_counts_every_image_once(picture_folder):
    seen: list[tuple[int, int]] = []
    survey(open_source(picture_folder({"a": 40, "b": 30})), 8, progress=lambda *step: seen.append(step))
    assert seen == [(number, 70) for number in range(1, 71)]


def test_corrupt_images_below_the_share_are_left_out_and_named(picture_folder):
    root = picture_folder({"a": 60, "b": 40})
    (root / "a/7.png").write_bytes((root / "a/7.png").read_bytes()[:50])
    found = survey(open_source(root), 8)
    assert len(found.digests) == 99 and "a/7.png" not in found.digests
    (problem,) = found.problems
    assert (problem.path, problem.action) == ("a/7.png", "left out")
    assert problem.problem == f"{root}/a/7.png is truncated at 50 bytes"


def test_corrupt_images_above_the_share_end_it_with_the_list(picture_folder):
    root = picture_folder({"a": 60, "b": 40})
    for name in ("a/7.png", "b/3.png"):
        (root / name).write_bytes(b"<html>")
    with pytest.raises(DataError, match="2 of 100 images cannot be read, over the 1 %") as caught:
        survey(open_source(root), 8)
    assert all(f"{root}/{name} is not an image" in str(caught.value) for name in ("a/7.png", "b/3.png"))
    assert f"(`deeper check {root} --out FOLDER` lists them); repair or remove them" in str(caught.value)
    with pytest.raises(DataError, match=r"\(--set x=1 does, and `deeper check .* lists them for --exclude\)"):
        survey(open_source(root), 8, remedy="--set x=1 does")
    assert len(survey(open_source(root), 8, bad_share=0.02).digests) == 98


@pytest.mark.parametrize(
    ("share", "bad", "allowed"), [(0.0, 1, False), (0.1, 1, True), (0.1, 2, False), (1.0, 9, True)]
)
def test_the_share_is_a_limit_that_may_be_reached(picture_folder, share, bad, allowed):
    root = picture_folder({"a": 5, "b": 5})
    for file in sorted(root.glob("*/*.png"))[:bad]:
        file.write_bytes(b"")
    if allowed:
        assert len(survey(open_source(root), 8, bad_share=share).digests) == 10 - bad
    else:
        with pytest.raises(DataError, match=f"{bad} of 10 images cannot be read"):
            survey(open_source(root), 8, bad_share=share)


def test_a_long_list_of_problems_is_cut(picture_folder):
    root = picture_folder({"a": 30, "b": 30})
    for file in root.glob("*/*.png"):
        file.write_bytes(b"")
    with pytest.raises(DataError, match="60 of 60 images") as caught:
        survey(open_source(root), 8)
    assert len(str(caught.value)) < 600


def test_an_image_that_vanishes_is_a_problem_like_others(picture_folder):
    root = picture_folder({"a": 60, "b": 60})
    source = open_source(root)
    (root / "b/0.png").unlink()
    found = survey(source, 8)
    assert [problem.problem for problem in found.problems] == [
        f"{root}/b/0.png cannot be read: No such file or directory"
    ]


def test_problems_of_the_folders_are_passed_on(picture_folder):
    found = survey(open_source(picture_folder({"a": 2, "b": 2, "c": 0})), 8)
    assert [(problem.path, problem.action) for problem in found.problems] == [
        ("c", "left out of the classes")
    ]


@pytest.mark.parametrize("room", [0, 1500, 10**12])
def test_pictures_are_the_same_whether_or_not_memory_holds_them(picture_folder, monkeypatch, room):
    root = picture_folder({"a": 6, "b": 6})
    source = open_source(root)
    monkeypatch.setattr(pictures, "_free_memory", lambda: 3 * room)
    found = survey(source, 12).pictures
    paths = [item.path for item in source.items]
    for file in (root / "a").iterdir():
        if room > 10**6:
            file.write_bytes(b"")  # what memory holds is not read again
    reference = {item.path: fit(decode(root / item.path), 12) for item in source.items if "b/" in item.path}
    with ThreadPoolExecutor(2) as pool:
        together = found.read(paths, pool)
    for path, image in zip(paths, together, strict=True):
        assert image.shape == (12, 12, 3)
        assert np.array_equal(image, found[path])
        if path in reference:
            assert np.array_equal(image, reference[path])


def test_memory_is_filled_no_further_than_there_is_room(picture_folder, monkeypatch):
    source = open_source(picture_folder({"a": 6, "b": 6}))
    monkeypatch.setattr(pictures, "_free_memory", lambda: 3 * (4 * 12 * 12 * 3 + 1))
    found = survey(source, 12).pictures
    assert len(found._resident) == 4
    assert all(
        image.base is None or image.base.nbytes <= 2 * image.nbytes for image in found._resident.values()
    )


def photos(picture_folder, sizes):
    root = picture_folder({"a": 2, "b": 2})
    generator = np.random.default_rng(0)
    for file, size in zip(sorted(root.glob("*/*.png")), sizes, strict=True):
        Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)).save(file)
    return root, open_source(root)


SIZES = [(12, 20), (100, 90), (40, 40), (10, 11)]


@pytest.mark.parametrize("room", [0, 3424, 9000, 10**12])  # the second: a whole image, not the fitted one
@pytest.mark.parametrize("crop", [Window(256), ScaleJitter(256, 300), AreaCrop(0.25)])
def test_crops_take_larger_images_and_evaluation_the_same_as_ever(picture_folder, monkeypatch, crop, room):
    root, source = photos(picture_folder, SIZES)
    monkeypatch.setattr(pictures, "_free_memory", lambda: 3 * room)
    plain, found = survey(source, 12).pictures, survey(source, 12, crop=crop).pictures
    # 12 * 256 / 224; twice 12 * 300 / 224; 12 / sqrt(0.25 * 3 / 4).
    limit = {Window: 14, ScaleJitter: 32, AreaCrop: 28}[type(crop)]
    for item in source.items:
        original = decode(root / item.path)
        assert np.array_equal(found[item.path], fit(original, 12))
        assert np.array_equal(found[item.path], plain[item.path])
        large = original if min(original.shape[:2]) <= limit else fit(original, limit)
        assert np.array_equal(found.large(item.path), large)


def test_whole_images_are_kept_where_there_is_room_but_for_those_of_validation(picture_folder):
    root, source = photos(picture_folder, SIZES)
    items = tuple(replace(item, split="val" if "b/" in item.path else "train") for item in source.items)
    found = survey(replace(source, items=items), 12, crop=AreaCrop(0.25)).pictures
    shapes = {path: image.shape[:2] for path, image in found._whole.items()}
    assert shapes == {"a/0.png": (12, 20), "a/1.png": (31, 28)}
    assert set(found._resident) == {"a/1.png", "b/0.png", "b/1.png"}  # of the first, the whole will do
    for file in root.glob("*/*.png"):
        file.write_bytes(b"")
    for item in items:  # nothing is read again
        assert min(found[item.path].shape[:2]) == 12
        assert "b/" in item.path or found.large(item.path).shape[:2] == shapes[item.path]
