"""Names of pictures: one for each image, and none that is an image's own."""

from __future__ import annotations

import pytest

from goingdeeper.errors import UsageError
from goingdeeper.prediction.gallery import Gallery


def test_a_picture_is_named_after_its_image_and_its_kind(tmp_path):
    gallery = Gallery(tmp_path / "a" / "b", [])
    assert not (tmp_path / "a").exists()
    file = gallery.add("photos/cat.tar/1.jpg", "cam", b"content")
    assert file == tmp_path / "a" / "b" / "1_cam.png"
    assert file.read_bytes() == b"content"


def test_images_of_one_name_have_a_picture_each(tmp_path):
    gallery = Gallery(tmp_path, [])
    images = ["cat/1.jpg", "dog/1.png", "dog/1.jpg", "owl/1_cam-2.jpg", "A.png", "a.png"]
    names = [gallery.add(image, "cam", image.encode()).name for image in images]
    assert names == ["1_cam.png", "1_cam-2.png", "1_cam-3.png", "1_cam-2_cam.png", "A_cam.png", "a_cam-2.png"]
    assert sorted(file.read_bytes().decode() for file in tmp_path.iterdir()) == sorted(images)


def test_pictures_of_before_are_replaced_and_the_images_that_are_read_are_not(tmp_path):
    (tmp_path / "1_cam.png").write_bytes(b"an older picture")
    assert Gallery(tmp_path, []).add("1.jpg", "cam", b"new").read_bytes() == b"new"
    images = [str(tmp_path / "1.jpg"), str(tmp_path / "." / "1_cam.png")]
    assert Gallery(tmp_path, images).add(images[0], "cam", b"x").name == "1_cam-2.png"
    assert (tmp_path / "1_cam.png").read_bytes() == b"new"


@pytest.mark.parametrize(
    "image", ["a" * 240 + ".jpg", "猫" * 80 + ".jpg", "🐈" * 62 + ".jpg", 'odd: "new\nline*.jpg', "-o.jpg"]
)
def test_names_of_any_kind(tmp_path, image):
    (tmp_path / "in").mkdir()
    file = Gallery(tmp_path / "out", []).add(image, "occlusion", b"x")
    assert file.parent == tmp_path / "out"
    assert file.is_file()
    assert not set('\n:"*') & set(file.name)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(UsageError, match="out is a file; give a folder for the pictures"):
        Gallery(tmp_path / "out", [])
