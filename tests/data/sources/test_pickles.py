"""Pickles: those of CIFAR are read as Python reads them, and nothing in any other is run."""

from __future__ import annotations

import builtins
import os
import pickle
import pickletools
import subprocess
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goingdeeper.data.sources import open_source
from goingdeeper.data.sources.pickles import load
from goingdeeper.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 3072), np.uint8)


def loaded(tmp_path, data):
    (tmp_path / "batch").write_bytes(data)
    return load(tmp_path / "batch")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_python_3_writes(tmp_path, protocol, order):
    batch = {
        "data": np.array(PIXELS, order=order),
        b"labels": [0, 1, 300],
        "names": ["ä", b"b\xff"],
        "n": None,
    }
    found = loaded(tmp_path, pickle.dumps(batch, protocol))
    assert np.array_equal(found.pop("data"), PIXELS)
    assert found == {"labels": [0, 1, 300], "names": ["ä", b"b\xff"], "n": None}


def python_2(pixels, labels):
    """The operations of the published batches, which Python 2.7's cPickle wrote with protocol 2."""
    raw = pixels.tobytes()
    shape = b"(" + b"".join(b"M" + int(side).to_bytes(2, "little") for side in pixels.shape) + b"t"
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    kind = b"cnumpy\ndtype\nq\x05U\x02u1K\x00K\x01\x87Rq\x06(K\x03U\x01|NNN"
    kind += b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85U\x01b\x87Rq\x04"
    array += b"(K\x01" + shape + kind + b"\x89" + b"T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    name = b"U\x0bbatch_labelU\x04a \xe9\xe8"
    return b"\x80\x02}q\x01(U\x06labels" + listed + b"U\x04data" + array + name + b"u."


def test_what_python_2_wrote(tmp_path):
    data = python_2(PIXELS, [3, 0, 9])
    expected = pickle.loads(data, encoding="latin1")
    found = loaded(tmp_path, data)
    assert np.array_equal(expected["data"], PIXELS)
    assert np.array_equal(found["data"], PIXELS)
    assert found["labels"] == expected["labels"] == [3, 0, 9]
    assert found["batch_label"] == expected["batch_label"] == "a éè"


class Calls:
    """Pickles into a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(mark):
    """Each would make the file `mark`, if anything of it were run; nested where a batch has its parts."""
    return {
        "os.system": Calls(os.system, f"touch {mark}"),
        "exec": Calls(exec, f"open({str(mark)!r}, 'w')"),
        "eval": Calls(eval, f"open({str(mark)!r}, 'w')"),
        "open": Calls(open, str(mark), "w"),
        "subprocess": Calls(subprocess.call, ["touch", str(mark)]),
        "import": Calls(builtins.__import__, "os"),
        "getattr": Calls(getattr, "x", "join"),
        "numpy.load": Calls(np.load, str(mark), None, True),
        "numpy.fromfile": Calls(np.fromfile, "/etc/passwd", "u1"),
        "numpy.memmap": Calls(np.memmap, str(mark), "u1", "w+", 0, (4,)),
        "numpy.save": Calls(np.save, str(mark), PIXELS),
        "Path": Path("/etc/passwd"),
        "object array": np.array([Calls(os.system, f"touch {mark}")], object),
        "floats": np.zeros(3),
        "type": os.system,
    }


@pytest.mark.parametrize("kind", hostile("x"))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_in_a_hostile_pickle_is_run(tmp_path, kind, protocol):
    mark = tmp_path / "ran"
    bad = hostile(mark)[kind]
    for batch in (bad, {"data": bad, "labels": [0]}, {"data": PIXELS, "labels": [[bad]]}):
        with pytest.raises(DataError, match=r"batch, byte [0-9,]+: .*nothing in it was run"):
            loaded(tmp_path, pickle.dumps(batch, protocol))
    assert not mark.exists()
    assert not Path(f"{mark}.npy").exists()


def test_the_hostile_pickles_are_live(tmp_path):
    """As a control: Python's own reader runs them."""
    mark = tmp_path / "ran"
    pickle.loads(pickle.dumps(hostile(mark)["os.system"]))
    assert mark.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'touch ran'\ntR.",
        b"(S'touch ran'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch ran'\no.",
        b"\x80\x02cbuiltins\neval\n(U\x011tR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.",
        b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93).",
        b"\x80\x02}cnumpy\nndarray\nb.",
        b"\x80\x02cnumpy\ndtype\n(U\x02O8tR.",
        b"\x80\x02cnumpy\nndarray\n(K\x01tR.",
        b"\x80\x02cnumpy\nndarray\n)\x81.",
        b"\x80\x02\x82\x01.",
        b"Pid\n.",
        b"(K\x01K\x02l}s.",
        b"\x80\x02})K\x01s.",
    ],
)
def test_operations_that_no_batch_needs(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match=r"batch(, byte [0-9,]+: .*nothing in it was run| is damaged at byte)"
    ):
        loaded(tmp_path, data)
    assert [file.name for file in tmp_path.iterdir()] == ["batch"]


def test_a_key_is_text(tmp_path):
    """Hashing a tuple can take for ever."""
    for key, kind in ((b")", "tuple"), (b"K\x07", "int"), (b"N", "NoneType")):
        with pytest.raises(DataError, match=f"a key is {kind}, no text; nothing in it was run"):
            loaded(tmp_path, b"\x80\x02}" + key + b"K\x01s.")


def doubled(depth):
    """A tuple of two of the same tuples, and so on: few bytes, which would take for ever to hash or print."""
    return b")" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(depth))


def array(shape):
    return (
        b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\n)R(K\x01" + shape
        + b"cnumpy\ndtype\nU\x02u1\x85R\x89U\x01xtbs."
    )  # fmt: skip


BOMBS = {
    "deep lists": b"\x80\x02}U\x01a" + b"]" * 50_000 + b"a" * 49_999 + b"s.",
    "a key of doubled tuples": b"\x80\x02}" + doubled(250) + b"K\x01s.",
    "a shape of doubled tuples": array(doubled(250)),
    "a large array": array(b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"),
    "a name of doubled tuples": b"\x80\x04" + doubled(250) + b"\x8c\x01x\x93.",
    "a far place in the memory": b"\x80\x02}r\xff\xff\xff\xff.",
    "long bytes": b"\x80\x04\x8e" + (1 << 60).to_bytes(8, "little") + b"x",
    "a long array of bytes": b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"x",
    "a long frame": b"\x80\x04\x95" + (1 << 60).to_bytes(8, "little") + b"}.",
    "a long number": b"\x80\x02\x8b\xff\xff\xff\x7fx",
    "a number of many digits": b"I" + b"9" * 100_000 + b"\n.",
    "no end": b"\x80\x02" + b"}" * 10,
    "nothing": b"",
    "empty stack": b"\x80\x02a.",
    "no mark": b"\x80\x02}e.",
    "no dict": b"\x80\x02].",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_small_files_take_little_time_and_memory(tmp_path, kind):
    begun = time.perf_counter()
    tracemalloc.start()
    try:
        if kind in ("deep lists", "a far place in the memory", "a long frame"):  # odd, and harmless
            loaded(tmp_path, BOMBS[kind])
        else:
            with pytest.raises(DataError, match="batch"):
                loaded(tmp_path, BOMBS[kind])
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - begun < 20


def test_a_file_of_endless_operations_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("goingdeeper.data.sources.pickles.MOST_OPERATIONS", 1000)
    with pytest.raises(DataError, match="over 1,000 operations"):
        loaded(tmp_path, b"\x80\x02" + b"]" * 2000 + b".")
    monkeypatch.setattr("goingdeeper.data.sources.pickles.MOST_BYTES", 1000)
    with pytest.raises(DataError, match=r"2,003 bytes; over 1,000 is no CIFAR batch"):
        loaded(tmp_path, b"\x80\x02" + b"]" * 2000 + b".")


VALID = pickle.dumps({"data": PIXELS[:, :100], "labels": [0, 1, 2], b"x": "y"}, protocol=4)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(1, len(VALID)),
)
def test_mutations_are_read_or_refused(tmp_path_factory, changes, length):
    data = bytearray(VALID)
    for place, value in changes:
        data[place] = value
    file = tmp_path_factory.getbasetemp() / "batch"
    file.write_bytes(data[:length])
    try:
        assert isinstance(load(file), dict)
    except DataError as problem:
        assert str(file) in str(problem)


def test_every_operation_of_a_real_batch_is_known(tmp_path):
    """The control of python_2: its operations are those that the published files hold."""
    names = {operation.name for operation, _, _ in pickletools.genops(python_2(PIXELS, [1]))}
    assert {"GLOBAL", "REDUCE", "BUILD", "BINSTRING", "SHORT_BINSTRING", "BINPUT", "SETITEMS"} <= names


def test_a_hostile_batch_in_a_folder(written, tmp_path):
    location = written("cifar-10")
    (location / "data_batch_3").write_bytes(pickle.dumps(hostile(tmp_path / "ran")["os.system"]))
    with pytest.raises(DataError, match=r"data_batch_3, byte .* asks for '(posix|nt)\.system'"):
        open_source(location)
    assert not (tmp_path / "ran").exists()
