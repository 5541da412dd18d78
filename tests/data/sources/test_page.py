"""The page on data: each of its examples is one that works."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goingdeeper.data.sources import cifar, folder, hdf5, listing, open_source, parquet, shards
from goingdeeper.data.sources.source import SPLITS

PAGE = (Path(__file__).parents[3] / "docs" / "data.md").read_text("utf-8")
EXAMPLES = re.findall(r"^deeper train (\S+)$", PAGE, re.MULTILINE)


@pytest.fixture
def laid_out(tmp_path, written):
    """Everything that the page's examples name."""

    def put(kind, name):
        made = written(kind)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.move(made, tmp_path / name)

    put("folder", "photos")
    put("tar", "shards/train-0000.tar")
    put("cifar-10", "cifar-10-batches-py")
    put("hdf5", "train_signs.h5")
    put("plain parquet", "hub")
    put("parquet", "data.parquet")
    (tmp_path / "signs").mkdir()
    shutil.copy(tmp_path / "train_signs.h5", tmp_path / "signs" / "train_signs.h5")
    image = tmp_path / "image.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(image)
    for place in ("train/n01440764/1", "train/n01443537/1", "val/ILSVRC2012_val_00000001"):
        (tmp_path / "ILSVRC2012" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, tmp_path / "ILSVRC2012" / f"{place}.JPEG")
    (tmp_path / "ILSVRC2012" / "LOC_val_solution.csv").write_text(
        "a,b\nILSVRC2012_val_00000001,n01443537 1 2 3 4\n"
    )
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    lists = [text for language, text in blocks if not language and "shots/" in text]
    (tmp_path / "all.csv").write_text(lists[0])
    (tmp_path / "all.jsonl").write_text(lists[1])
    assert len(list(csv.DictReader(lists[0].splitlines()))) == 3
    assert all(json.loads(line) for line in lists[1].splitlines())
    return tmp_path


def test_every_example_opens(laid_out):
    assert len(EXAMPLES) >= 11
    for location in EXAMPLES:
        source = open_source(laid_out / location)
        assert len(source.classes) >= 2, location
        assert source.items, location


def test_the_page_names_every_suffix_split_and_key():
    words = set(re.findall(r"[.\w-]+", PAGE))
    known = {*folder.SUFFIXES, *hdf5.SUFFIXES, ".parquet", *shards.SUFFIXES, ".csv", ".tsv", ".jsonl"}
    known |= {*SPLITS, *listing.PATHS, *listing.LABELS, *hdf5._NAMES, *hdf5._IMAGES, *hdf5._LABELS}
    known |= {form.meta for form in cifar._FORMS} | {form.test for form in cifar._FORMS}
    assert known - words == set()
    assert f"{parquet.MOST_KEPT >> 20} MB" in PAGE
