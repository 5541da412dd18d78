"""Prepared stores: what is written, in what form, gone on with after any stop, and never half."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goingdeeper.data import packing
from goingdeeper.data.sources import open_source
from goingdeeper.data.sources.digits import digits
from goingdeeper.data.store import Form, prepare, verify
from goingdeeper.errors import DataError, ResourceError, StoreError, UsageError


def smooth(width: int, height: int, shade: int = 0) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    slopes = [x * 255 // width, y * 255 // height, np.full_like(x, shade)]
    return Image.fromarray(np.stack(slopes, 2).astype(np.uint8))


@pytest.fixture
def photos(tmp_path) -> Path:
    """Ten images of two classes: large and small, JPEG and PNG, one turned, one grey, one tiny."""
    root = tmp_path / "photos"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
    turned = Image.Exif()
    turned[0x112] = 6
    smooth(400, 300).save(root / "cat/large.jpg", quality=95)
    smooth(300, 400, 50).save(root / "cat/large.png")
    smooth(200, 150, 60).save(root / "cat/small.jpg", quality=30)
    smooth(200, 150, 70).save(root / "cat/small.png")
    smooth(200, 150, 80).save(root / "cat/turned.jpg", exif=turned)
    smooth(33, 20, 90).save(root / "dog/tiny.png")
    smooth(33, 20, 95).save(root / "dog/tiny.jpg")
    smooth(400, 300, 100).convert("L").save(root / "dog/grey.jpg")
    smooth(160, 160, 110).save(root / "dog/exact.jpg")
    smooth(161, 161, 120).save(root / "dog/one more.jpg")
    return root


def members(out: Path) -> dict[str, tuple[str, bytes]]:
    """By the image's path, the name and content of its member, as tarfile finds them."""
    found = {}
    for number in range(len(list(out.glob("*.tar")))):
        rows = json.loads((out / f"shard-{number:05}.json").read_text())["images"]
        with tarfile.open(out / f"shard-{number:05}.tar") as shard:
            files = [member for member in shard.getmembers() if not member.name.startswith("thumbnails")]
            for row, member in zip(rows, files, strict=True):
                assert row[3] == member.offset_data and row[4] == member.size
                found[row[0]] = member.name, shard.extractfile(member).read()
    return found


def content(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in out.iterdir()}


def test_images_become_as_small_as_told_and_the_rest_keeps_its_bytes(photos, tmp_path):
    made = prepare(open_source(photos), tmp_path / "store", Form(side=160))
    assert (made.images, made.classes, made.shards, made.problems) == (10, 2, 1, ())
    found = members(tmp_path / "store")
    sizes = {path: Image.open(io.BytesIO(data)).size for path, (_, data) in found.items()}
    assert sizes == {
        "cat/large.jpg": (213, 160), "cat/large.png": (160, 213), "cat/small.jpg": (200, 150),
        "cat/small.png": (200, 150), "cat/turned.jpg": (150, 200), "dog/tiny.png": (33, 20),
        "dog/tiny.jpg": (33, 20), "dog/grey.jpg": (213, 160), "dog/exact.jpg": (160, 160),
        "dog/one more.jpg": (160, 160),
    }  # fmt: skip
    kept = {path for path, (_, data) in found.items() if data == (photos / path).read_bytes()}
    assert kept == {"cat/small.jpg", "dog/tiny.jpg", "dog/exact.jpg"}
    raw = {path for path, (name, _) in found.items() if name.endswith(".ppm")}
    assert raw == {"dog/tiny.png"}  # too small to be compressed
    for path, (_, data) in found.items():
        picture = Image.open(io.BytesIO(data))
        assert picture.format == ("PPM" if path == "dog/tiny.png" else "JPEG")
        assert picture.getexif().get(0x112, 1) == 1
        if path not in kept and path not in raw:  # of quality 90, by the tables of libjpeg: 16 * 20 %, ...
            assert picture.quantization[0][:4] == [3, 2, 2, 3]
            assert picture.layer[0][1:3] == (2, 2)  # luminance samples across and down for one of colour
    tiny = np.asarray(Image.open(io.BytesIO(found["dog/tiny.png"][1])))
    assert np.array_equal(tiny, np.asarray(Image.open(photos / "dog/tiny.png")))


def test_reduced_pixels_are_close_to_pillow_s(photos, tmp_path):
    prepare(open_source(photos), tmp_path / "store", Form(side=160, raw=True))
    found = members(tmp_path / "store")
    assert all(name.endswith(".ppm") for name, _ in found.values())
    for path, (_, data) in found.items():
        image = Image.open(photos / path)
        image = image.transpose(Image.Transpose.ROTATE_270) if "turned" in path else image
        pixels = np.asarray(Image.open(io.BytesIO(data)), int)
        expected = image.convert("RGB").resize(pixels.shape[1::-1], Image.Resampling.BILINEAR)
        assert np.abs(pixels - np.asarray(expected)).max() <= 2, path


def test_quality_is_that_of_the_files(photos, tmp_path):
    tables = {}
    for quality in (50, 90):
        prepare(open_source(photos), tmp_path / f"{quality}", Form(side=100, quality=quality))
        data = members(tmp_path / f"{quality}")["cat/large.jpg"][1]
        tables[quality] = Image.open(io.BytesIO(data)).quantization[0]
    assert tables[50][0] == 16 and tables[90][0] == 3  # the standard's own table; a fifth of it


def test_store_json_tells_what_it_holds_and_how_it_was_made(photos, tmp_path):
    out = tmp_path / "store"
    prepare(open_source(photos), out, Form(side=160, quality=80))
    record = json.loads((out / "store.json").read_text())
    assert record["classes"] == ["cat", "dog"]
    assert record["oriented"] is False
    made = record["made"]
    assert (made["side"], made["quality"], made["raw"], made["from"]) == (160, 80, False, str(photos))
    assert {"pillow", "torch", "goingdeeper"} <= made.keys()
    (shard,) = record["shards"]
    tar, index = (out / "shard-00000.tar").read_bytes(), (out / "shard-00000.json").read_bytes()
    assert shard == {
        "bytes": len(tar), "images": 10,
        "sha256": hashlib.sha256(tar).hexdigest(), "index_sha256": hashlib.sha256(index).hexdigest(),
    }  # fmt: skip
    assert sorted(file.name for file in out.iterdir()) == [
        "shard-00000.json",
        "shard-00000.tar",
        "store.json",
    ]


def test_shards_are_as_large_as_told_and_hold_one_image_at_least(photos, tmp_path):
    source = open_source(photos)
    made = prepare(source, tmp_path / "store", Form(side=160, raw=True), shard_bytes=200_000)
    sizes = [file.stat().st_size for file in sorted((tmp_path / "store").glob("*.tar"))]
    assert len(sizes) == made.shards and made.size == sum(sizes)
    assert all(size <= 200_000 for size in sizes)
    # Six images of 160x213 or 150x200 and two of 160x160; no two neighbours would fit into one shard more.
    rows = [row for n in range(len(sizes)) for row in _rows(tmp_path / "store", n)]
    assert [row[0] for row in rows] == [item.path for item in source.items]
    for number, size in enumerate(sizes[1:], start=1):
        first = 512 + -(-_rows(tmp_path / "store", number)[0][4] // 512) * 512
        assert sizes[number - 1] + first > 200_000, size
    prepare(source, tmp_path / "small", Form(side=160, raw=True), shard_bytes=1)
    assert len(list((tmp_path / "small").glob("*.tar"))) == 10


def test_thumbnails_count_for_the_size_of_a_shard(photos, tmp_path):
    """Of 40 images of 16x16, whose thumbnails take as much room as they do."""
    for number in range(40):
        smooth(16, 16, number).save(photos / f"cat/{number}.png")
    source = open_source(photos)
    source = replace(source, items=tuple(item for item in source.items if item.path[4:-4].isdecimal()))
    prepare(source, tmp_path / "store", Form(), shard_bytes=20_480)
    # 512 + 1,024 an image; 512 and 768 a thumbnail, to the next 512; 1,024 behind all.
    sizes = [file.stat().st_size for file in sorted((tmp_path / "store").glob("*.tar"))]
    assert [len(_rows(tmp_path / "store", number)) for number in range(len(sizes))] == [8, 8, 8, 8, 8]
    assert sizes == [8 * 1536 + 512 + 6656 + 1024] * 5 == [20_480] * 5


def _rows(out: Path, number: int) -> list[list[object]]:
    return json.loads((out / f"shard-{number:05}.json").read_text())["images"]


def test_digits_that_are_no_files_are_kept_to_the_bit(tmp_path):
    prepare(replace(digits(), items=digits().items[:40]), tmp_path / "store", Form())
    found = members(tmp_path / "store")
    assert len(found) == 40
    for path in ("digits/0000", "digits/0034"):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(found[path][1]))), digits().read(path))


def test_unreadable_images_are_left_out_and_listed_up_to_the_limit(photos, tmp_path):
    (photos / "cat/broken.jpg").write_bytes(b"<html>")
    source = open_source(photos)
    with pytest.raises(
        DataError,
        match=r"1 of 11 images cannot be read so far, over the 1 % .*/photos --out FOLDER` lists them for "
        r"--exclude.*broken\.jpg is not",
    ):
        prepare(source, tmp_path / "store", Form(side=160))
    assert not (tmp_path / "store" / "store.json").exists()
    made = prepare(source, tmp_path / "store", Form(side=160), bad_share=0.1)
    assert made.images == 10
    (problem,) = made.problems
    assert (problem.path, problem.action) == ("cat/broken.jpg", "left out")
    again = open_source(tmp_path / "store")
    assert again.problems == made.problems and len(again.items) == 10


def test_problems_of_the_folders_are_kept(photos, tmp_path):
    (photos / "none").mkdir()
    made = prepare(open_source(photos), tmp_path / "store", Form(side=160))
    assert [problem.path for problem in made.problems] == ["none"]


# Stopped and gone on with


@pytest.fixture
def whole(photos, tmp_path) -> dict[str, bytes]:
    """The store made in one go, in four shards or more."""
    (photos / "cat/broken.jpg").write_bytes(b"<html>")
    prepare(open_source(photos), tmp_path / "whole", FORM, bad_share=0.1, shard_bytes=SHARD)
    found = content(tmp_path / "whole")
    assert len(found) >= 9
    return found


FORM, SHARD = Form(side=160, raw=True), 200_000


@pytest.mark.parametrize("place", range(1, 12))
def test_stopped_at_any_image_and_gone_on_with(photos, tmp_path, whole, place):
    """The same bytes in the end, and nothing that is finished is made again."""
    out = tmp_path / "store"

    def stop(done: int, total: int) -> None:
        assert total == 11
        if done == place:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(open_source(photos), out, FORM, bad_share=0.1, shard_bytes=SHARD, progress=stop)
    left = content(out)
    assert "store.json" not in left
    assert not [name for name in left if name.startswith(".")]
    finished = [name for name in left if name.startswith("shard")]
    assert all(left[name] == whole[name] for name in finished)
    with pytest.raises(DataError, match="is an unfinished store; run the same"):
        open_source(out)
    seen: list[int] = []
    prepare(
        open_source(photos), out, FORM, bad_share=0.1, shard_bytes=SHARD, progress=lambda n, _: seen.append(n)
    )
    assert content(out) == whole
    taken = sum(len(_rows(out, n)) for n in range(len(finished) // 2))
    broken = 1 if finished else 0  # the second image, in the first shard
    assert seen[0] == taken + broken + 1


@pytest.mark.parametrize("harm", ["flip", "cut", "gone", "index", "no index"])
def test_a_finished_shard_that_has_changed_is_made_again(photos, tmp_path, whole, harm):
    out = tmp_path / "store"

    def stop(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(open_source(photos), out, FORM, bad_share=0.1, shard_bytes=SHARD, progress=stop)
    shard, index = out / "shard-00001.tar", out / "shard-00001.json"
    data = bytearray(shard.read_bytes())
    match harm:
        case "flip":
            data[len(data) // 2] ^= 1
            shard.write_bytes(data)
        case "cut":
            shard.write_bytes(data[:-1])
        case "gone":
            shard.unlink()
        case "index":
            index.write_bytes(index.read_bytes()[:100])
        case "no index":
            index.unlink()
    prepare(open_source(photos), out, FORM, bad_share=0.1, shard_bytes=SHARD)
    assert content(out) == whole


def test_a_finished_store_is_found_finished(photos, tmp_path, whole):
    out = tmp_path / "whole"
    before = {file: file.stat().st_mtime_ns for file in out.iterdir()}
    made = prepare(open_source(photos), out, FORM, bad_share=0.1, shard_bytes=SHARD)
    assert made.images == 10 and made.shards >= 4
    assert {file: file.stat().st_mtime_ns for file in out.iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.2, 0.7])
def test_killed_and_gone_on_with(test_data, tmp_path, moment):
    """kill -9 of the command itself on real photographs; the same bytes as without."""
    (tmp_path / "photos").mkdir()
    for number, file in enumerate(sorted((test_data / "photos").glob("*.JPEG"))[:40]):
        (tmp_path / "photos" / str(number % 2)).mkdir(exist_ok=True)
        (tmp_path / "photos" / str(number % 2) / file.name).symlink_to(file)
    code = (
        "import sys\nfrom pathlib import Path\nfrom goingdeeper.data.sources import open_source\n"
        "from goingdeeper.data.store import Form, prepare\nprint(flush=True)\n"
        "prepare(open_source(sys.argv[1]), Path(sys.argv[2]), Form(128), shard_bytes=50_000)"
    )
    prepare(open_source(tmp_path / "photos"), tmp_path / "whole", Form(128), shard_bytes=50_000)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "photos"), str(tmp_path / "store")],
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    shards = len(list((tmp_path / "whole").glob("*.tar")))
    deadline = time.monotonic() + 30
    while len(list((tmp_path / "store").glob("*.tar"))) < moment * shards:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "store/store.json").exists()
    prepare(open_source(tmp_path / "photos"), tmp_path / "store", Form(128), shard_bytes=50_000)
    assert content(tmp_path / "store") == content(tmp_path / "whole")


@pytest.mark.parametrize("at", ["shard-00001.tar", "shard-00001.json", "store.json"])
def test_a_full_disk_is_told_and_gone_on_with(photos, tmp_path, whole, monkeypatch, at):
    out = tmp_path / "store"
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == at:
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(ResourceError, match=rf"the disk is full at {out}/{at}, where .* are needed"):
            prepare(open_source(photos), out, FORM, bad_share=0.1, shard_bytes=SHARD)
    assert not [file for file in out.iterdir() if file.name.startswith(".shard")]
    prepare(open_source(photos), out, FORM, bad_share=0.1, shard_bytes=SHARD)
    assert content(out) == whole


# What is at the place already


def test_other_settings_are_told_and_nothing_touched(photos, tmp_path, whole):
    for name in ("whole", "part"):
        out = tmp_path / name
        if name == "part":
            out.mkdir()
            (out / "unfinished.json").write_bytes(
                json.dumps(json.loads(whole["store.json"])["made"]).encode()
            )
            (out / "shard-00000.json").write_bytes(whole["shard-00000.json"])
        before = content(out)
        source = open_source(photos)
        with pytest.raises(
            UsageError, match=r"store of other settings \(side 160, now 99\); give another -o"
        ):
            prepare(source, out, Form(side=99, raw=True), shard_bytes=SHARD)
        (photos / "cat/new.png").write_bytes((photos / "cat/small.png").read_bytes())
        with pytest.raises(UsageError, match="images 11, now 12"):
            prepare(open_source(photos), out, FORM, shard_bytes=SHARD)
        (photos / "cat/broken.jpg").unlink()
        with pytest.raises(UsageError, match="store of other images; give another -o"):
            prepare(open_source(photos), out, FORM, shard_bytes=SHARD)
        (photos / "cat/new.png").rename(photos / "cat/broken.jpg")
        assert content(out) == before


def test_without_a_finished_shard_nothing_was_begun(photos, tmp_path, whole):
    """Too many unreadable images: once they are repaired or removed, the same command starts afresh."""
    out = tmp_path / "store"
    (photos / "cat/cut.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="repair or remove them"):
        prepare(open_source(photos), out, FORM, bad_share=0.1, shard_bytes=10**8)
    assert (out / "unfinished.json").is_file() and not list(out.glob("shard-*.json"))
    (photos / "cat/cut.jpg").unlink()
    prepare(open_source(photos), out, FORM, bad_share=0.1, shard_bytes=SHARD)
    assert content(out) == whole


def test_other_folders_and_files_are_left_alone(photos, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    source = open_source(photos)
    with pytest.raises(UsageError, match="notes is there already and is not a store; give another -o"):
        prepare(source, tmp_path / "notes", Form())
    with pytest.raises(UsageError, match="file is a file; give a folder"):
        prepare(source, tmp_path / "file", Form())
    with pytest.raises(UsageError, match="lies in the folder of the images"):
        prepare(source, photos / "store", Form())
    assert not (photos / "store").exists()
    assert [file.name for file in (tmp_path / "notes").iterdir()] == ["a.txt"]
    (tmp_path / "empty").mkdir()
    assert prepare(source, tmp_path / "empty", Form()).images == 10


def test_two_at_a_time_are_refused(photos, tmp_path):
    out = tmp_path / "store"
    source = open_source(photos)

    def second(done: int, total: int) -> None:
        with pytest.raises(UsageError, match="is being written by another process"):
            prepare(source, out, Form())

    prepare(source, out, Form(), progress=second)
    assert verify(out).images == 10


def test_what_an_earlier_version_made_is_refused(photos, tmp_path, whole):
    """Without the hashes of the originals: finished, and unfinished."""
    record = json.loads(whole["store.json"])
    del record["made"]["schema"]
    (tmp_path / "whole/store.json").write_text(json.dumps({**record, "schema": 1}))
    with pytest.raises(DataError, match=r"\(schema 1, here 2\); remove the store and make it again with"):
        prepare(open_source(photos), tmp_path / "whole", FORM, shard_bytes=SHARD)
    (tmp_path / "part").mkdir()
    (tmp_path / "part/unfinished.json").write_text(json.dumps(record["made"]))
    (tmp_path / "part/shard-00000.json").write_text("{}")
    with pytest.raises(UsageError, match=r"\(schema 1, now 2\); give another -o, or remove it"):
        prepare(open_source(photos), tmp_path / "part", FORM, shard_bytes=SHARD)
    (tmp_path / "part/unfinished.json").write_text("{")
    with pytest.raises(UsageError, match="an unfinished store of settings that cannot be read; give another"):
        prepare(open_source(photos), tmp_path / "part", FORM, shard_bytes=SHARD)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (Form(), Form(quality=0, raw=True), "quality 90, now raw"),
        (Form(quality=0, raw=True), Form(quality=80), "raw, now quality 80"),
        (Form(), Form(quality=80, side=64), "side 256, now 64; quality 90, now quality 80"),
    ],
)
def test_other_settings_are_told_as_they_are_given(photos, tmp_path, one, other, said):
    prepare(open_source(photos), tmp_path / "store", one)
    with pytest.raises(UsageError, match=rf"finished store of other settings \({said}\); give another"):
        prepare(open_source(photos), tmp_path / "store", other)


# Every byte compared


def test_verify_finds_every_flipped_byte_and_names_the_image(tmp_path, whole):
    out = tmp_path / "whole"
    assert verify(out).images == 10
    for number in range(len(list(out.glob("*.tar")))):
        shard = out / f"shard-{number:05}.tar"
        data = shard.read_bytes()
        for path, _, _, offset, length, *_ in _rows(out, number):
            for place in (offset, offset + length - 1):
                shard.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
                with pytest.raises(
                    StoreError, match=rf"{shard.name} is damaged at {path}, bytes {offset:,} to"
                ):
                    verify(out)
        start, length, _ = json.loads((out / f"shard-{number:05}.json").read_text())["thumbnails"]
        for place in (0, start, start + length - 1, len(data) - 1):
            shard.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
            with pytest.raises(StoreError, match="is damaged outside of the images"):
                verify(out)
        shard.write_bytes(data)


def test_one_thread_and_several_write_the_same(photos, tmp_path, whole, monkeypatch):
    monkeypatch.setattr(packing, "cpus", lambda: 3)
    prepare(open_source(photos), tmp_path / "store", FORM, bad_share=0.1, shard_bytes=SHARD)
    assert content(tmp_path / "store") == whole
