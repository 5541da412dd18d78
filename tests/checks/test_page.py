"""check.html: one file with the pictures of what was found."""

from __future__ import annotations

import base64
import html
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

import goingdeeper as gd
from goingdeeper.checks.health import examine
from goingdeeper.checks.labels import Suspect
from goingdeeper.checks.page import PICTURES, page, spread


class Parts(HTMLParser):
    """Tags that are open, sources of pictures, and the text."""

    VOID = frozenset(("meta", "img", "link", "br"))

    def __init__(self, text):
        super().__init__()
        self.open, self.pictures, self.text, self.tags = [], {}, [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            self.pictures.setdefault(dict(attributes)["alt"], dict(attributes)["src"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def shown(flawed):
    health, collection, _ = examine(flawed)
    return Parts(page(health, collection.source))


def test_it_is_one_closed_page_that_asks_for_nothing(shown, flawed):
    assert shown.open == []
    assert not {"script", "link", "iframe"} & {*shown.tags}
    assert all(source.startswith("data:image/") for source in shown.pictures.values())


def test_what_was_found_is_pictured_beside_what_it_is_compared_with(shown, flawed):
    assert shown.pictures.keys() == {
        "train/cat/again.png", "train/cat/1.png", "train/cat/held.png", "val/cat/0.png",
        "val/dog/tested.png", "test/dog/0.png", "train/cat/2.png", "train/dog/cat2.png",
        "train/dog/near3.jpg", "train/dog/3.png", "train/dog/nearval.jpg", "val/dog/1.png",
        "train/dog/near5.jpg", "train/cat/5.png", "train/dog/red.png", "train/dog/large.png",
        "train/cat/jpeg.PNG", "train/cat/film.gif",
    }  # fmt: skip
    kind, _, data = shown.pictures["train/cat/1.png"].partition(";base64,")
    assert kind == "data:image/png"
    with (
        Image.open(io.BytesIO(base64.b64decode(data))) as small,
        Image.open(flawed / "train/cat/1.png") as own,
    ):
        assert small.convert("RGB").tobytes() == own.convert("RGB").tobytes()
    kind, _, data = shown.pictures["train/dog/large.png"].partition(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(data))) as small:
        assert small.format == "JPEG" and max(small.size) == 144


def test_all_findings_stand_in_lists(shown, flawed):
    health, _, _ = examine(flawed)
    text = " ".join(shown.text)
    for finding in health.findings:
        assert finding.path in text and finding.problem in text
    assert "train/cat/notes.txt" in text


def test_names_are_shown_as_text(tmp_path):
    root = tmp_path / "<b>photos</b>"
    for name in ("<script>alert(1)</script>", "b&amp;"):
        place = root / name.replace("/", "_")
        place.mkdir(parents=True)
        Image.new("RGB", (20, 20)).save(place / "<img src=x>.png")
    health, collection, _ = examine(root)
    found = Parts(page(health, collection.source))
    assert "script" not in found.tags and "b" not in [tag for tag in found.tags if tag == "b" and 0]
    assert any("<img src=x>.png" in part for part in found.text)


def test_pictures_are_so_many_at_most(picture_folder):
    root = picture_folder({"a": 100, "b": 2})
    for number in range(1, 100):
        (root / f"a/{number}.png").write_bytes((root / "a/0.png").read_bytes())
    health, collection, _ = examine(root)
    text = page(health, collection.source)
    assert len(re.findall("<img", text)) == 2 * PICTURES
    assert "99 problems, of which 24 are shown" in text.replace("\N{NO-BREAK SPACE}", " ")


def test_pictures_that_have_gone_leave_their_place(picture_folder):
    root = picture_folder({"a": 3, "b": 3})
    (root / "b/again.png").write_bytes((root / "b/0.png").read_bytes())
    health, collection, _ = examine(root)
    (root / "b/again.png").unlink()
    assert page(health, collection.source).count("cannot be shown") == 1


def test_nothing_wrong_is_said_unless_labels_are_in_doubt(picture_folder):
    health, collection, _ = examine(picture_folder({"a": 3, "b": 3}))
    text = page(replace(health, suspects=()), collection.source)
    assert "Nothing is wrong" in text and "exclude.txt" not in text
    doubted = replace(health, suspects=(Suspect("a/0.png", "a", 0.1, "b", 0.9),))
    text = page(doubted, collection.source).replace("\N{NO-BREAK SPACE}", " ")
    assert "Nothing is wrong" not in text and "<title>0 problems, 1 label in doubt" in text


def test_classes_have_their_images_of_each_split(flawed):
    health, collection, _ = examine(flawed)
    bars = re.findall('<li><bdi class="name".*?</li>', page(health, collection.source))
    counts = {
        name: [len([*(flawed / split / name).glob("[!.]*.[!t]*")]) for split in ("train", "val", "test")]
        for name in ("cat", "dog", "elk", "owl")
    }
    assert counts["elk"] == [0, 0, 1] and counts["dog"][1:] == [4, 2]
    assert [re.sub("<[^>]*>", "", bar) for bar in bars] == [
        f"{name}{train} train + {val} val + {test} test" for name, (train, val, test) in counts.items()
    ]
    most = max(map(sum, counts.values()))
    widths = [[float(width) for width in re.findall(r"width:([\d.]+)%", bar)] for bar in bars]
    assert widths == [[round(100 * part / most, 2) for part in parts] for parts in counts.values()]


def test_captions_say_what_to_do(flawed):
    health, collection, _ = examine(flawed)
    text = page(health, collection.source)
    captions = re.findall("<figcaption>(.*?)</figcaption>", text, re.DOTALL)
    said = {html.unescape(re.sub("<[^>]*>", "", caption)) for caption in captions}
    pictured = [one for one in health.findings if one.kind not in ("unreadable", "classes", "source")]
    assert said == {f"{one.path} {one.problem} {one.action}" for one in pictured}


def test_odd_names_are_shown_as_escapes_and_the_command_can_be_typed(picture_folder, tmp_path):
    root = picture_folder({"a": 3, "b": 3}, "my photos")
    (root / "b/two\nlines.png").write_bytes((root / "b/0.png").read_bytes())
    gd.check(root, out=tmp_path / "the health")
    text = (tmp_path / "the health/check.html").read_text("utf-8")
    assert text.count(r"b/two\nlines.png") > 1 and "two\n" not in text
    found = Parts(text)
    command = next(part for part in found.text if part.startswith("deeper train"))
    assert command == f"deeper train '{root}' --exclude '{tmp_path}/the health/exclude.txt'"
    assert command in (tmp_path / "the health/exclude.txt").read_text("utf-8")


def test_some_of_many_are_chosen_evenly():
    assert spread(range(100), 4) == [0, 25, 50, 75]
    assert spread([1, 2], 5) == [1, 2]
    assert spread([], 5) == []
