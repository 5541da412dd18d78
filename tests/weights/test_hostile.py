"""Files that would execute, fill the memory or never end, and damaged ones: a line, and nothing left."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from goingdeeper.errors import DataError
from goingdeeper.weights import pickled, unpickle
from goingdeeper.weights.files import read

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


class Call:
    """Pickles as the call of a function."""

    def __init__(self, called: Callable[..., Any], *arguments: Any) -> None:
        self.called, self.arguments = called, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.called, self.arguments


def refused(take: Callable[[Path], Any], file: Path) -> str:
    with pytest.raises(DataError) as caught:
        take(file)
    text = str(caught.value)
    assert "\n" not in text
    assert str(file) in text
    return text


def children() -> set[int]:
    """Processes that this one has started and that are not gone."""
    own = str(os.getpid())
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if stat.read_text().rpartition(")")[2].split()[1] == own:
                found.add(int(stat.parent.name))
        except OSError:
            pass
    return found


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "call",
    [
        lambda marker: Call(os.system, f"touch {marker}"),
        lambda marker: Call(os.mkdir, str(marker)),
        lambda marker: Call(eval, f"open({str(marker)!r}, 'w')"),
        lambda marker: Call(exec, f"open({str(marker)!r}, 'w')"),
        lambda marker: Call(getattr, Path(marker), "touch"),
        lambda marker: Call(torch.load, str(marker)),
        lambda marker: Call(torch.save, 1, str(marker)),
        lambda marker: Call(shutil.copy, __file__, str(marker)),
        lambda marker: Call(np.savetxt, str(marker), [1]),
    ],
    ids=["system", "mkdir", "eval", "exec", "getattr", "torch.load", "torch.save", "copy", "numpy"],
)
def test_nothing_is_executed(tmp_path, state, unpickled, call, zipped):
    marker = tmp_path / "executed"
    file = tmp_path / "a.pth"
    torch.save({**state, "extra": call(marker)}, file, _use_new_zipfile_serialization=zipped)
    try:
        unpickled(file)  # NumPy's names have stand-ins, which do nothing
    except DataError as problem:
        assert "which was not executed" in str(problem)
    assert not marker.exists()


def test_nothing_is_executed_in_the_program_of_its_own(tmp_path, state, monkeypatch):
    """Neither by the file nor by what lies in the folder that the work is done in."""
    marker, place = tmp_path / "executed", tmp_path / "here"
    place.mkdir()
    for name in ("torch", "pickle", "json", "sitecustomize", "goingdeeper"):
        (place / f"{name}.py").write_text(f"open({str(marker)!r}, 'w')")
    torch.save({**state, "extra": Call(os.system, f"touch {marker}")}, place / "a.pth")
    monkeypatch.chdir(place)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    before = children()
    text = refused(read, Path("a.pth"))
    assert "asks for posix.system when read" in text
    assert not marker.exists()
    assert children() == before
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_pickled_model(tmp_path, unpickled, zipped):
    torch.save(
        {"model": nn.Sequential(nn.Linear(2, 2))}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped
    )
    text = refused(unpickled, tmp_path / "a.pth")
    assert (
        "whole pickled model (it asks for torch.nn.modules.container.Sequential), which would execute" in text
    )
    assert "save its state_dict instead" in text


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_protocols_that_torch_does_not_read_safely(tmp_path, state, unpickled):
    torch.save(state, tmp_path / "a.pth", pickle_protocol=4)
    assert "not of protocol 2" in refused(unpickled, tmp_path / "a.pth")
    torch.save(state, tmp_path / "b.pth", pickle_protocol=4, _use_new_zipfile_serialization=False)
    assert "not of protocol 2" in refused(unpickled, tmp_path / "b.pth")


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), "text", {}, {"a": 1}, {1: torch.zeros(2)}, None])
def test_what_holds_no_weights_by_name(tmp_path, unpickled, content):
    torch.save(content, tmp_path / "a.pth")
    assert "state_dict" in refused(unpickled, tmp_path / "a.pth")


def stored(file: Path, dtype: str = "FloatStorage", **claims: Any) -> Path:
    """A file of torch.save with one tensor of four zeros, but for what it claims of itself."""
    said = {"numel": 4, "offset": 0, "size": (4,), "stride": (1,), "bytes": 16, "packed": 0, **claims}

    def number(value: int) -> bytes:
        if -(2**31) <= value < 2**31:
            return b"J" + struct.pack("<i", value)
        raw = value.to_bytes(9, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    storage = b"(" + text("storage") + f"ctorch\n{dtype}\n".encode() + text("0") + text("cpu")
    storage += number(said["numel"]) + b"tQ"
    body = (
        b"\x80\x02}" + text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(said["offset"])
    )
    body += numbers(said["size"]) + numbers(said["stride"]) + b"\x89ccollections\nOrderedDict\n)RtRs."
    with zipfile.ZipFile(file, "w", said["packed"]) as archive:
        archive.writestr("a/data.pkl", body)
        archive.writestr("a/byteorder", "little")
        archive.writestr("a/data/0", bytes(said["bytes"]))
        archive.writestr("a/version", "3\n")
    return file


def test_the_made_up_file_is_read_where_it_claims_nothing_wrong(tmp_path, write_out):
    assert torch.equal(write_out(stored(tmp_path / "a.pth"))["w"], torch.zeros(4))


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"numel": 40}, "are not those that are stored"),
        ({"numel": 2}, "damaged"),
        ({"numel": 10**12}, "are not those that are stored"),
        ({"numel": -4}, "damaged"),
        ({"size": (5,)}, "damaged"),
        ({"offset": 3}, "damaged"),
        ({"offset": -3}, "damaged"),
        ({"size": (10**6, 10**6), "stride": (0, 0)}, "claims 4,000,000,000,000 bytes with 'w' [1000000, "),
        ({"size": (2**40, 2**40), "stride": (0, 0)}, "damaged"),
        ({"stride": (-1,)}, "damaged"),
        ({"stride": (1, 1)}, "damaged"),
        ({"size": (-1,)}, "damaged"),
        ({"dtype": "NoStorage"}, "asks for torch.NoStorage"),
    ],
)  # fmt: skip
def test_claims_that_its_bytes_do_not_bear_out(tmp_path, write_out, claims, said):
    assert said in refused(write_out, stored(tmp_path / "a.pth", **claims))


def test_overlapping_views_are_copied(tmp_path, write_out):
    found = write_out(stored(tmp_path / "a.pth", size=(3, 2), stride=(1, 1)))
    assert torch.equal(found["w"], torch.zeros(3, 2))


def test_archives_that_would_unpack_to_far_more(tmp_path):
    file = stored(
        tmp_path / "a.pth", numel=10**6, size=(10**6,), bytes=4 * 10**6, packed=zipfile.ZIP_DEFLATED
    )
    assert "claims 4,000," in refused(read, file)
    file = stored(tmp_path / "b.pth")
    content = bytearray(file.read_bytes())
    at = content.rfind(b"a/data/0") - 46
    content[at + 20 : at + 28] = struct.pack("<II", 2**32 - 2, 2**32 - 2)  # its size in the list at the end
    file.write_bytes(content)
    assert "claims 4,294,96" in refused(read, file)


def deep(levels: int) -> bytes:
    """A list in a list in a list."""
    return b"\x80\x02" + b"]" * levels + b"a" * (levels - 1) + b"."


def old_form(file: Path, body: bytes, keys: list[str] | None = None, values: bytes = b"") -> Path:
    """torch.save's older form around a pickle of our own."""
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, VERSION, {"little_endian": True}))
    file.write_bytes(head + body + pickle.dumps(keys or [], 2) + values)
    return file


def claiming(numel: int) -> bytes:
    """A pickle of one tensor whose storage claims so many floats."""
    raw = numel.to_bytes(9, "little")
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu\x8a\x09"
    return (
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n("
        + storage + raw + b"NtQK\x00K\x04\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


def test_the_older_form_whose_storages_are_not_there(tmp_path, unpickled, write_out):
    length = struct.pack("<q", 4)
    whole = old_form(tmp_path / "a.pth", claiming(4), ["0"], length + bytes(16))
    assert torch.equal(write_out(whole)["w"], torch.zeros(4))
    assert "are not those that are stored" in refused(unpickled, old_form(whole, claiming(4)))
    assert "damaged" in refused(unpickled, old_form(whole, claiming(5), ["0"], length + bytes(16)))
    assert "damaged" in refused(unpickled, old_form(whole, claiming(4), ["0"], length + bytes(15)))


def test_deeply_nested(tmp_path, unpickled):
    assert "not weights by name" in refused(unpickled, old_form(tmp_path / "a.pth", deep(100_000)))


@pytest.mark.slow
def test_more_memory_than_the_file_can_fill(tmp_path):
    """In the program of its own, which is held to it: 4 TB for a storage."""
    assert "asks for more memory" in refused(read, old_form(tmp_path / "a.pth", claiming(10**12)))


@pytest.mark.slow
def test_a_file_that_would_never_end(tmp_path):
    """Each level of the key is twice the one before, and to hash it takes twice as long."""
    body = b"\x80\x02}N\x85" + b"q\x00h\x00\x86" * 60 + b"K\x01s."
    assert "far longer to read than its size needs" in refused(read, old_form(tmp_path / "a.pth", body))


def test_a_clock_ends_it_where_nothing_else_does(tmp_path, state, monkeypatch):
    torch.save(state, tmp_path / "a.pth")
    monkeypatch.setattr(pickled, "SECONDS", 0)
    before = children()
    assert "took longer than 0 s to read" in refused(read, tmp_path / "a.pth")
    assert children() == before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_program_ends_with_the_one_that_wants_the_tensors(tmp_path, number):
    """However that ends. The file is one that would keep it busy far beyond the test."""
    body = b"\x80\x02}N\x85" + b"q\x00h\x00\x86" * 60 + b"K\x01s."
    file = old_form(tmp_path / "a.pth", body)
    code = f"from pathlib import Path; from goingdeeper.weights.files import read; read(Path({str(file)!r}))"
    (tmp_path / "temporary").mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
    )  # fmt: skip
    reader = None
    while reader is None and parent.poll() is None:
        reader = next(iter(reading(file)), None)
        time.sleep(0.05)
    parent.send_signal(number)
    parent.wait(60)
    end = time.monotonic() + 60
    while reading(file) and time.monotonic() < end:
        time.sleep(0.05)
    assert reader is not None
    assert not reading(file)
    assert list((tmp_path / "temporary").iterdir()) == []


def reading(file: Path) -> list[int]:
    """The processes that read a file."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if str(file).encode() in words and any(word.endswith(b"unpickle.py") for word in words):
            found.append(int(place.parent.name))
    return found


def safetensors_with(header: Any, values: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + values


@pytest.mark.parametrize(
    "content",
    [
        safetensors_with({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(7)),
        safetensors_with({"w": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}, bytes(8)),
        safetensors_with({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, bytes(8)),
        safetensors_with({"w": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
        safetensors_with({"w": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}, bytes(8)),
        struct.pack("<Q", 90) + b"{",
        struct.pack("<Q", 9) + b"{" * 9,
        safetensors_with({}),
    ],
)
def test_damaged_safetensors(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    assert refused(read, tmp_path / "a.safetensors")


def damaged(content: bytes, random_numbers: random.Random) -> bytes:
    """Cut short, or with some bits turned, most of them in the first and the last kilobyte."""
    if random_numbers.random() < 0.3:
        return content[: random_numbers.randrange(len(content))]
    found = bytearray(content)
    for _ in range(random_numbers.choice([1, 1, 3, 20])):
        near = random_numbers.choice([len(found), min(1000, len(found))])
        place = random_numbers.randrange(near)
        found[random_numbers.choice([place, -1 - place])] ^= 1 << random_numbers.randrange(8)
    return bytes(found)


def test_damaged_files_give_weights_or_a_line(tmp_path, state):
    """safetensors and Caffe's, which are read in this process, and a few of Keras', which have one each."""
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "a.safetensors")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv1"]
        group = file.create_group("conv1")
        group.attrs["weight_names"] = [b"conv1/kernel:0"]
        group["conv1/kernel:0"] = np.ones((3, 3, 3, 4), np.float32)
    layer = b"\n\x05conv1\x12\x0bConvolution" + b":\x17*\x10" + bytes(16) + b":\x03\n\x01\x04"
    (tmp_path / "a.caffemodel").write_bytes(b"\n\x04Name\xa2\x06" + bytes([len(layer)]) + layer)
    numbers = random.Random(0)
    for name, count in (("a.safetensors", 300), ("a.caffemodel", 300), ("a.h5", 3)):
        assert read(tmp_path / name).tensors
        content = (tmp_path / name).read_bytes()
        place = tmp_path / f"damaged-{name}"
        outcomes = set()
        for number in range(count):
            place.write_bytes(damaged(content, numbers) if number else content[: len(content) // 2])
            try:
                read(place)
                outcomes.add("weights")
            except DataError as problem:
                assert "\n" not in str(problem)
                outcomes.add("refused")
        assert "refused" in outcomes


DRIVER = """
import os, sys, pathlib
import torch
sys.path.insert(0, sys.argv[1])
import unpickle
status = []
for file in sorted(pathlib.Path(sys.argv[2]).glob("*.pth")):
    child = os.fork()
    if not child:
        for number, ending in ((1, ".out"), (2, ".said")):
            os.dup2(os.open(file.with_suffix(ending), os.O_WRONLY | os.O_CREAT), number)
        sys.argv[1:] = [str(file), "ema"]
        os._exit(unpickle.main())
    status.append(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
print(*status)
"""


@pytest.mark.slow
def test_damaged_files_of_torch_give_weights_or_a_line(tmp_path, state):
    """Sixty files by the program, forked for each, so that torch is imported once."""
    numbers = random.Random(1)
    for zipped in (True, False):
        torch.save(
            {"state_dict": state, "epoch": 3}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped
        )
        content = (tmp_path / "a.pt").read_bytes()
        for number in range(30):
            (tmp_path / f"{zipped}-{number:03}.pth").write_bytes(damaged(content, numbers))
    held = subprocess.Popen(["sleep", "600"], stdout=subprocess.PIPE)
    try:
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, str(Path(unpickle.__file__).parent), str(tmp_path)],
            stdin=held.stdout, capture_output=True, text=True, check=True, timeout=300,
        )  # fmt: skip
    finally:
        held.kill()
        held.communicate()
    outcomes = []
    files = sorted(tmp_path.glob("*.pth"))
    for file, status in zip(files, map(int, done.stdout.split()), strict=True):
        if status:
            with file.with_suffix(".said").open("rb") as said:
                problem = pickled._reason(file, status, said)
            assert isinstance(problem, DataError), problem
            assert "\n" not in str(problem)
        else:
            with file.with_suffix(".out").open("rb+") as out:
                pickled._mapped(file, out)
        outcomes.append(status)
    assert {0, unpickle.REFUSED} <= set(outcomes)
