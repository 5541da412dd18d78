"""Lists as people and programs write them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from goingdeeper.data.sources import open_source
from goingdeeper.errors import DataError


@pytest.fixture
def listed(tmp_path):
    """Writes a list beside two images, and opens it."""
    for name, shade in (("a.png", 10), ("b.png", 20)):
        Image.new("RGB", (4, 3), (shade, 0, 0)).save(tmp_path / name)

    def write(text, name="list.csv", **arguments):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(data)
        return open_source(tmp_path / name, **arguments)

    return write


def rows(source):
    return [(item.path, item.label, item.split) for item in source.items]


PLAIN = [("a.png", "cat", None), ("b.png", "dog", None)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("path,label\na.png,cat\nb.png,dog\n", "l.csv"),
        ("label,path\ncat,a.png\ndog,b.png", "l.csv"),
        ("Class, Path\ncat, a.png\ndog, b.png", "l.csv"),
        ("a.png,cat\nb.png,dog", "l.csv"),
        ("a.png;cat\r\nb.png;dog\r\n", "l.CSV"),
        ("path\tclass\na.png\tcat\nb.png\tdog\n", "l.tsv"),
        ("a.png\tcat\n\n  \nb.png\tdog\n\n", "l.tsv"),
        (b"\xef\xbb\xbfpath,label\r\na.png,cat\r\nb.png,dog\r\n", "l.csv"),
        ('"path","label"\n"a.png","cat"\n"b.png","dog"\n', "l.csv"),
        ("id,filename,width,label\n1,a.png,4,cat\n2,b.png,4,dog\n", "l.csv"),
        ("path,label,split\na.png,cat,\nb.png,dog,\n", "l.csv"),
        ('{"path": "a.png", "label": "cat"}\n{"path": "b.png", "label": "dog"}\n', "l.jsonl"),
        (b'\xef\xbb\xbf{"Class": "cat", "file_name": "a.png"}\r\n\r\n{"class": "dog", "image": "b.png"}',
         "l.ndjson"),
    ],
)  # fmt: skip
def test_forms_of_a_list(listed, text, name):
    source = listed(text, name)
    assert rows(source) == PLAIN
    assert source.classes == ("cat", "dog")
    assert source.problems == ()
    assert source.read("b.png")[0, 0].tolist() == [20, 0, 0]
    assert source.size("a.png") == (4, 3)


def test_names_with_commas_quotes_and_lines_in_them(listed, tmp_path):
    for name in ('x, "y".png', "two\nlines.png", "Ünïcode 猫.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    source = listed('path,label\n"x, ""y"".png",cat\n"two\nlines.png",dog\nÜnïcode 猫.png,猫\n')
    assert [item.path for item in source.items] == ['x, "y".png', "two\nlines.png", "Ünïcode 猫.png"]
    assert source.classes == ("cat", "dog", "猫")
    assert all(source.read(item.path).shape == (2, 2, 3) for item in source.items)


def test_numbers_are_names(listed):
    source = listed('{"path": "a.png", "label": 10}\n{"path": "b.png", "label": 2}', "l.jsonl")
    assert source.classes == ("10", "2")
    assert [p.action for p in source.problems] == ["taken as names"]


def test_paths_lead_where_their_writer_wanted(listed, tmp_path):
    """Above the list's folder, and anywhere by an absolute path: it is the user's own list."""
    (tmp_path / "lists").mkdir()
    source = listed(f"path,label\n../a.png,cat\n{tmp_path / 'b.png'},dog\n", "lists/l.csv")
    assert np.all(source.read("../a.png")[:, :, 0] == 10)
    assert np.all(source.read(str(tmp_path / "b.png"))[:, :, 0] == 20)


@pytest.mark.parametrize(
    ("words", "splits"),
    [
        (("train", "val"), ["train", "val"]),
        (("Training", "DEV"), ["train", "val"]),
        (("", "valid"), ["train", "val"]),
    ],
)
def test_splits_of_a_list(listed, words, splits):
    source = listed(f"path,label,split\na.png,cat,{words[0]}\nb.png,dog,{words[0]}\n./b.png,dog,{words[1]}\n")
    assert [item.split for item in source.items] == [splits[0], splits[0], splits[1]]


def test_a_class_that_the_model_does_not_know_is_named_with_the_image_s_place(listed, tmp_path):
    with pytest.raises(DataError, match=f"^{tmp_path}/b.png: the model has no class 'dog'"):
        listed("path,label\na.png,cat\nb.png,dog\n", classes=("cat", "owl"))


def test_an_image_that_is_listed_twice_counts_once(listed):
    source = listed("path,label\na.png,cat\nb.png,dog\na.png,cat\n")
    assert rows(source) == PLAIN
    assert [(p.path, p.problem) for p in source.problems] == [("a.png", "listed again: line 4")]


def test_a_missing_image_is_named_when_it_is_read(listed, tmp_path):
    source = listed("path,label\na.png,cat\nb.png,dog\ngone.png,cat\n")
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}/gone.png cannot be read: No such file")):
        source.read("gone.png")


@pytest.mark.parametrize(
    ("text", "name", "what"),
    [
        ("path,label\na.png,cat\nb.png\n", "l.csv", "line 3: 1 columns, where 2 are expected"),
        ("path,label\na.png,cat\nb.png,dog,3\n", "l.csv", "line 3: 3 columns, where 2 are expected"),
        ("path,label\na.png,cat\n,dog\n", "l.csv", "line 3: no path"),
        ("path,label\na.png, \nb.png,dog\n", "l.csv", "line 2: no label"),
        ("path,label\na.png,cat\na.png,dog\n", "l.csv", "line 3: a.png is 'dog' here and 'cat' on line 2"),
        ("path,label,split\na.png,cat,train\na.png,cat,test\n", "l.csv",
         "line 3: a.png is 'cat' in test here and 'cat' in train on line 2"),
        ("path,label,split\na.png,cat,trian\n", "l.csv", "line 2: unknown split 'trian'; it is train, val"),
        ("name,kind\na.png,cat\n", "l.csv",
         "line 1: no path (path, file, filename, file_name, filepath, image, image_path) and no label "
         "(label, class, class_name, category) among the columns name, kind; rename them"),
        ("name,label\na.png,cat\n", "l.csv", "image, image_path) among the columns name, label; rename"),
        ("path,klass\na.png,cat\n", "l.csv",
         "line 1: no label (label, class, class_name, category) among the columns path, klass; rename"),
        ("path,,x\na.png,cat,1\n", "l.csv", "class_name, category) among the columns path, '', x; rename"),
        ("a.png,cat,train\nb.png,dog,val\n", "l.csv",
         "line 1: a.png, cat, train is no header, and without one there are two columns, path and label; "
         "begin with a line such as path,label,split"),
        ("a.png\nb.png\n", "l.csv", "line 1: a.png is no header, and without one there are two columns"),
        ('path,label\na.png,cat\n"b.png,dog\n', "l.csv", "line 3: unexpected end of data"),
        ('path,label\na.png,"cat"x\n', "l.csv", "line 2: "),
        (f"path,label\na.png,{'x' * 200_000}\n", "l.csv", "line 2: field larger than field limit"),
        (b"path,label\na.png,cat\nb.png,d\xe9g\n", "l.csv", "line 3: byte 0xe9 is not UTF-8; save"),
        ("path,label\na.png,cat\n".encode("utf-16"), "l.csv", "line 1: byte 0xff is not UTF-8"),
        ("path,label\na.png,cat\nb\0.png,dog\n", "l.csv", "line 3: the path 'b\\x00.png' cannot be"),
        ('{"path": "a.png", "label": "cat"}\n{"path": "b.png"', "l.jsonl", "line 2: not JSON (Expecting"),
        ('{"path": "a.png"}', "l.jsonl", "line 1: no label"),
        ('["a.png", "cat"]', "l.jsonl", 'line 1: not of the form {"path": "a.jpg", "label": "cat"}'),
        ('{"path": "a.png", "label": ["cat"]}', "l.jsonl", 'line 1: label is ["cat"], no text'),
        ('{"path": "a.png", "label": true}', "l.jsonl", "line 1: label is true, no text"),
        ('{"path": "a.png", "label": 1.5}', "l.jsonl", "line 1: label is 1.5, no text"),
        ('{"path": "\\ud800.png", "label": "cat"}', "l.jsonl", "line 1: the path '\\ud800.png' cannot be"),
        ("[" * 100_000, "l.jsonl", "line 1: not JSON (RecursionError)"),
        ('{"path": "a.png", "label": ' + "9" * 5000 + "}", "l.jsonl", "line 1: not JSON (ValueError)"),
        ("path,label\n", "l.csv", "l.csv holds no images"),
        ("path,label\na.png,cat\n", "l.csv", "l.csv holds one class, 'cat'; a classifier needs at least two"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_list_is_named_with_its_line(listed, text, name, what):
    with pytest.raises(DataError, match=re.escape(what)) as problem:
        listed(text, name)
    assert name in str(problem.value)
    assert "\n" not in str(problem.value)
