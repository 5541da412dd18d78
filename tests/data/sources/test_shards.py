"""Tar shards as several programs write them, and as damage and malice leave them."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

from goingdeeper.data.sources import archive, open_source
from goingdeeper.errors import DataError

RED, BLUE = np.zeros((5, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)
RED[:, :, 0] = BLUE[:, :, 2] = 200


@pytest.fixture
def shard(tmp_path, png, add):
    """Writes an archive of files, opens it; bytes are files, TarInfos are added as they are."""

    def write(files, name="a.tar", form=tarfile.USTAR_FORMAT):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with tarfile.open(tmp_path / name, "w", format=form) as out:
            for inside, data in files.items():
                if isinstance(data, tarfile.TarInfo):
                    data.name = inside
                    out.addfile(data)
                else:
                    add(out, inside, png(data) if isinstance(data, np.ndarray) else data)
        return open_source(tmp_path / name)

    return write


PAIR = {"1.png": RED, "1.cls": b"cat", "2.png": BLUE, "2.cls": b"dog"}


def labels(source):
    return {item.path: item.label for item in source.items}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("folder", ["", "./", "deep/er/", "x" * 60 + "/" + "y" * 60 + "/", "Ünïcode 猫/"])
def test_formats_and_names(shard, form, folder):
    long = "z" * 85 if form == tarfile.USTAR_FORMAT else "z" * 180
    source = shard({folder + long + name: data for name, data in PAIR.items()}, form=form)
    before = f"a.tar/{folder.removeprefix('./')}{long}"
    assert labels(source) == {f"{before}1.png": "cat", f"{before}2.png": "dog"}
    assert np.array_equal(source.read(f"{before}1.png"), RED)
    assert np.array_equal(source.read(f"{before}2.png"), BLUE)
    assert source.size(f"{before}2.png") == (4, 5)
    assert source.problems == ()


def test_headers_with_more_than_a_header_holds(tmp_path, png):
    """Times with fractions, as WebDataset's own writer has them, make every member a pax one."""
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as out:
        for name, data in PAIR.items():
            info = tarfile.TarInfo(name)
            content = png(data) if isinstance(data, np.ndarray) else data
            info.size, info.mtime, info.uname = len(content), 1.5e9 + 0.25, "ü"
            out.addfile(info, io.BytesIO(content))
    source = open_source(tmp_path / "a.tar")
    assert source.classes == ("cat", "dog")
    assert np.array_equal(source.read("a.tar/2.png"), BLUE)


@pytest.mark.parametrize(
    ("kind", "first", "second", "classes"),
    [
        ("cls", b"cat\n", b" dog", ("cat", "dog")),
        ("cls", b"0", b"11\n", ("0", "11")),
        ("json", b'{"label": "cat", "x": 1}', b'{"class": "dog"}', ("cat", "dog")),
        ("JSON", b'{"cls": 3}', b'{"label": 4}', ("3", "4")),
    ],
)
def test_labels(shard, kind, first, second, classes):
    files = {"1.png": RED, f"1.{kind}": first, "1.txt": b"a caption", f"2.{kind}": second, "2.PNG": BLUE}
    assert shard(files).classes == classes


def test_of_two_labels_that_of_cls_counts(shard):
    for first, second in (("cls", "json"), ("json", "cls")):
        texts = {"cls": b"cat", "json": b'{"label": "cow"}'}
        source = shard({**PAIR, "3.png": RED, f"3.{first}": texts[first], f"3.{second}": texts[second]})
        assert source.classes == ("cat", "dog")


def test_class_numbers_by_their_list(shard, tmp_path):
    numbers = {"1.png": RED, "1.cls": b"1", "2.png": BLUE, "2.cls": b"0", "3.png": BLUE, "3.cls": b"dog"}
    source = shard({**numbers, "classes.txt": "Hündin\ncat\ndog\n\n".encode()})
    assert list(labels(source).values()) == ["cat", "Hündin", "dog"]
    shard(numbers, "more/part.tar")
    (tmp_path / "more" / "classes.txt").write_text("dog\r\nowl\r\n")
    for named in ("more", "more/part.tar"):
        assert list(labels(open_source(tmp_path / named)).values()) == ["owl", "dog", "dog"]
    (tmp_path / "more" / "classes.txt").write_text("owl\n")
    with pytest.raises(DataError, match=r"part\.tar/1\.png: class number 1, where classes\.txt names 1"):
        open_source(tmp_path / "more")
    (tmp_path / "more" / "classes.txt").write_text("owl\nrat\n")
    with pytest.raises(DataError, match=r"part\.tar/3\.png: its class 'dog' is not in classes\.txt"):
        open_source(tmp_path / "more")
    (tmp_path / "more" / "classes.txt").write_text("owl\nowl\n")
    with pytest.raises(DataError, match=r"classes\.txt: a class without a name, or twice the same"):
        open_source(tmp_path / "more")


def test_a_class_that_the_model_does_not_know_is_named_with_its_place(shard, tmp_path):
    shard(PAIR)
    for location in (tmp_path, tmp_path / "a.tar"):
        with pytest.raises(DataError, match=f"^{tmp_path}/a.tar/2.png: the model has no class 'dog'"):
            open_source(location, ("cat", "owl"))


def test_links_devices_and_names_that_lead_out_are_passed_over(shard, tmp_path):
    (tmp_path / "outside.png").write_bytes(b"secret")
    made = {}
    for name, kind in (
        ("s", tarfile.SYMTYPE),
        ("h", tarfile.LNKTYPE),
        ("d", tarfile.CHRTYPE),
        ("f", tarfile.FIFOTYPE),
    ):
        made[f"{name}.png"] = tarfile.TarInfo()
        made[f"{name}.png"].type = kind
        made[f"{name}.png"].linkname = str(tmp_path / "outside.png")
        made[f"{name}.cls"] = b"cat"
    leading = {"../up.png": RED, "../up.cls": b"cat", "a/../../b.png": RED, str(tmp_path / "abs.png"): RED}
    folder = tarfile.TarInfo()
    folder.type = tarfile.DIRTYPE
    before = sorted(tmp_path.rglob("*"))
    source = shard({**PAIR, "folder": folder, **made, **leading, ".DS_Store": b"x", "a/._1.png": b"x"})
    assert set(labels(source)) == {"a.tar/1.png", "a.tar/2.png"}
    kinds = {
        "no regular file (a link, device or sparse file)": ("s.png", "h.png", "d.png", "f.png"),
        "a label without an image": ("s.cls", "h.cls", "d.cls", "f.cls"),
        "a name that leads out of the archive": (
            "../up.png", "../up.cls", "a/../../b.png", f"{tmp_path}/abs.png",
        ),
        "a hidden file or folder": (".DS_Store", "a/._1.png"),
    }  # fmt: skip
    expected = {(f"a.tar/{name}", kind) for kind, names in kinds.items() for name in names}
    assert {(p.path, p.problem) for p in source.problems} == expected
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "a.tar"]), "nothing is unpacked"
    for path in ("a.tar/s.png", "a.tar/../up.png", "a.tar/3.png", "outside.png"):
        with pytest.raises(DataError, match="no such image"):
            source.read(path)


def test_names_that_are_no_utf_8(shard):
    source = shard({**PAIR, os.fsdecode(b"caf\xe9.png"): RED}, form=tarfile.GNU_FORMAT)
    assert [(p.path, p.problem) for p in source.problems] == [("a.tar/caf\\xe9.png", "its name is not UTF-8")]


def test_an_archive_cut_off_anywhere_is_named_with_the_place(shard, tmp_path):
    shard(PAIR)
    whole = (tmp_path / "a.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as listing:
        end = max(info.offset_data + 512 * -(-info.size // 512) for info in listing)
    for length in sorted({0, 1, 511, 512, 700, end - 512, end - 1, end, *range(100, end, 333)}):
        (tmp_path / "a.tar").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"a\.tar is truncated at byte [0-9,]+") as problem:
            open_source(tmp_path / "a.tar")
        at = int(re.search(r"at byte ([0-9,]+)", str(problem.value)).group(1).replace(",", ""))
        assert at == length


def test_a_damaged_header_is_no_end(shard, tmp_path):
    shard(PAIR)
    whole = bytearray((tmp_path / "a.tar").read_bytes())
    with tarfile.open(tmp_path / "a.tar") as listing:
        at = listing.getmember("2.png").offset
    for place in (0, 100, 124, 130, 148, 156, 257, 300):
        whole[at + place] ^= 0x41
        (tmp_path / "a.tar").write_bytes(whole)
        with pytest.raises(DataError, match=rf"a\.tar is damaged at byte {at:,}: "):
            open_source(tmp_path / "a.tar")
        whole[at + place] ^= 0x41
    whole[-1] = 1
    (tmp_path / "a.tar").write_bytes(whole)
    with pytest.raises(DataError, match="more data follows the end mark"):
        open_source(tmp_path / "a.tar")


@pytest.mark.parametrize("kind", [b"0", b"L", b"K", b"x", b"g", b"S", b"5", b"7"])
@pytest.mark.parametrize("size", [-(1 << 40), -512, -1, 1 << 40, 1 << 62])
def test_hostile_sizes_end_at_once(tmp_path, kind, size):
    """Python's own reader went back and round for ever at some of them (CVE-2025-8194)."""
    info = tarfile.TarInfo("1.png")
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = (b"\xff" if size < 0 else b"\x80") + (size % (1 << 88)).to_bytes(11, "big")
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    (tmp_path / "a.tar").write_bytes(bytes(block) + bytes(10240))
    with pytest.raises(DataError, match=r"a\.tar(?: is (?:damaged|truncated) at byte| holds no images|: )"):
        open_source(tmp_path / "a.tar")


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({**PAIR, "3.png": RED}, "a.tar: 3.png has no label; 3.cls or 3.json is missing"),
        ({**PAIR, "1.jpg": RED}, "a.tar: 1 has two images, 1.png and 1.jpg"),
        ({**PAIR, "./1.cls": b"cow"}, "a.tar: two files are called 1.cls (the second at byte "),
        ({**PAIR, "2.cls": b"\xff"}, "a.tar: 2.cls is damaged: "),
        ({**PAIR, "2.cls": b" "}, "a.tar: 2.cls names no class"),
        ({"1.png": RED, "1.json": b"{"}, "a.tar: 1.json is damaged: "),
        ({"1.png": RED, "1.json": b"[]"}, "a.tar: 1.json names no class"),
        ({"1.png": RED, "1.json": b"7"}, "a.tar: 1.json is damaged: "),
        ({"1.png": RED, "1.json": b'{"label": 1.5}'}, "a.tar: 1.json names no class"),
        ({"1.png": RED, "1.json": b"[" * 100_000}, "a.tar: 1.json is damaged: "),
        ({"1.png": RED, "1.json": b'{"label": "\\ud800"}'}, "is not UTF-8; rename it"),
        ({"cat/1.png": RED}, "a.tar: cat/1.png has no label"),
        ({}, "a.tar holds no images"),
    ],
)
def test_what_is_wrong_in_a_shard_is_named(shard, files, what):
    with pytest.raises(DataError, match=re.escape(what)):
        shard(files)


def test_a_damaged_image_is_named_with_its_shard(shard, tmp_path):
    source = shard({**PAIR, "2.png": b"<html>"})
    with pytest.raises(
        DataError, match=re.escape(f"{tmp_path}/a.tar/2.png is not an image that can be read")
    ):
        source.read("a.tar/2.png")
    with (tmp_path / "a.tar").open("r+b") as stream:
        stream.truncate(520)
    with pytest.raises(DataError, match=r"a\.tar is truncated: no [0-9]+ bytes at byte 512"):
        source.read("a.tar/1.png")


def test_few_descriptors_are_kept_and_all_are_given_back(shard, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_OPEN", 3)
    before = len([*Path("/proc/self/fd").iterdir()])
    for number in range(8):
        shard(
            {"1.png": RED, "1.cls": json.dumps(number).encode(), "2.png": BLUE, "2.cls": b"x"},
            f"all/{number}.tar",
        )
    source = open_source(tmp_path / "all")
    for item in source.items * 2:
        assert np.array_equal(source.read(item.path), BLUE if item.label == "x" else RED)
    assert len([*Path("/proc/self/fd").iterdir()]) <= before + 3
    del source
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_a_link_to_a_shard(shard, tmp_path):
    shard(PAIR)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "b.tar").symlink_to(tmp_path / "a.tar")
    assert set(labels(open_source(tmp_path / "links"))) == {"b.tar/1.png", "b.tar/2.png"}
