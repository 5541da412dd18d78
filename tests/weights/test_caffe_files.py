"""Files that protobuf writes by descriptors of its own are read, what is written protobuf reads."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from goingdeeper.errors import DataError
from goingdeeper.weights.caffe_files import read_caffe, write_caffe

INT32, INT64, FLOAT, DOUBLE, STRING, MESSAGE, ENUM = 5, 3, 2, 1, 9, 11, 5

# caffe.proto: number, type, repeated, packed, and the message within. An enum is a number on the wire.
PROTO = {
    "BlobShape": {"dim": (1, INT64, True, True, "")},
    "BlobProto": {
        "num": (1, INT32, False, False, ""), "channels": (2, INT32, False, False, ""),
        "height": (3, INT32, False, False, ""), "width": (4, INT32, False, False, ""),
        "data": (5, FLOAT, True, True, ""), "diff": (6, FLOAT, True, True, ""),
        "shape": (7, MESSAGE, False, False, "BlobShape"),
        "double_data": (8, DOUBLE, True, True, ""), "double_diff": (9, DOUBLE, True, True, ""),
    },
    "ConvolutionParameter": {"num_output": (1, INT32, False, False, "")},
    "LayerParameter": {
        "name": (1, STRING, False, False, ""), "type": (2, STRING, False, False, ""),
        "bottom": (3, STRING, True, False, ""), "top": (4, STRING, True, False, ""),
        "loss_weight": (5, FLOAT, True, False, ""), "blobs": (7, MESSAGE, True, False, "BlobProto"),
        "convolution_param": (106, MESSAGE, False, False, "ConvolutionParameter"),
    },
    "V1LayerParameter": {
        "bottom": (2, STRING, True, False, ""), "name": (4, STRING, False, False, ""),
        "type": (5, ENUM, False, False, ""), "blobs": (6, MESSAGE, True, False, "BlobProto"),
        "blobs_lr": (7, FLOAT, True, False, ""),
    },
    "NetParameter": {
        "name": (1, STRING, False, False, ""), "layers": (2, MESSAGE, True, False, "V1LayerParameter"),
        "input": (3, STRING, True, False, ""), "layer": (100, MESSAGE, True, False, "LayerParameter"),
    },
}  # fmt: skip


def _message(packed=True):
    """protobuf's class of a NetParameter."""
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for name, fields in PROTO.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated, pack, within) in fields.items():
            made = message.field.add(name=field, number=number, type=kind, label=3 if repeated else 1)
            made.options.packed = pack and packed
            if within:
                made.type_name = f".caffe.{within}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def _fill(blob, value, legacy=False, double=False):
    if legacy:
        sides = (1,) * (4 - value.ndim) + value.shape
        blob.num, blob.channels, blob.height, blob.width = sides
    else:
        blob.shape.dim.extend(value.shape)
    (blob.double_data if double else blob.data).extend(value.flatten().tolist())
    blob.diff.extend([9.0, 9.0])


CONV = np.arange(48, dtype="f4").reshape(4, 3, 2, 2) / 7
BIAS = np.arange(4, dtype="f4")
FULL = np.arange(20, dtype="f4").reshape(5, 4)


def _saved(path, legacy=False, double=False, packed=True):
    net = _message(packed)(name="net", input=["data"])
    layers = net.layers if legacy else net.layer
    layers.add(name="data", type=5 if legacy else "Data")
    conv = layers.add(name="conv1/7x7", type=4 if legacy else "Convolution")
    full = layers.add(name="fc", type=14 if legacy else "InnerProduct")
    if not legacy:
        conv.convolution_param.num_output = 4
        conv.loss_weight.append(0.5)
    for layer, values in ((conv, (CONV, BIAS)), (full, (FULL, FULL[:, 0]))):
        for value in values:
            _fill(layer.blobs.add(), value, legacy, double)
    path.write_bytes(net.SerializeToString())
    return path


@pytest.mark.parametrize(
    "form",
    [{}, {"legacy": True}, {"double": True}, {"packed": False}, {"legacy": True, "packed": False}],
    ids=str,
)
def test_files_of_protobuf_are_read_to_the_bit(tmp_path, form):
    found = read_caffe(_saved(tmp_path / "net.caffemodel", **form))
    expected = {"conv1/7x7[0]": CONV, "conv1/7x7[1]": BIAS, "fc[0]": FULL, "fc[1]": FULL[:, 0]}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].dtype == torch.float32
        assert torch.equal(found[key], torch.from_numpy(value.copy())), key


@pytest.mark.parametrize(
    ("kind", "shape", "index", "unwrapped"),
    [
        ("Convolution", (1, 1, 3, 3), 0, (1, 1, 3, 3)),
        ("Convolution", (1, 5, 1, 1), 0, (1, 5, 1, 1)),
        ("Convolution", (1, 1, 1, 5), 1, (5,)),
        ("InnerProduct", (1, 1, 2, 5), 0, (2, 5)),
        ("InnerProduct", (1, 1, 1, 5), 0, (1, 5)),
        ("InnerProduct", (1, 5), 0, (1, 5)),
        ("BN", (1, 5, 1, 1), 2, (5,)),
        ("BN", (1, 5, 1, 1), 0, (5,)),
        ("BatchNorm", (1,), 2, (1,)),
        ("Scale", (5,), 0, (5,)),
    ],
)
def test_only_sides_that_wrap_are_taken_away(tmp_path, kind, shape, index, unwrapped):
    net = _message()()
    layer = net.layer.add(name="a", type=kind)
    for one in range(index + 1):
        _fill(layer.blobs.add(), np.ones(shape if one == index else (1,), "f4"))
    (tmp_path / "net.caffemodel").write_bytes(net.SerializeToString())
    assert read_caffe(tmp_path / "net.caffemodel")[f"a[{index}]"].shape == unwrapped


def test_protobuf_reads_what_is_written(tmp_path):
    tensors = {f"bn[{index}]": torch.full((3,), float(index)) for index in (1, 0, 2)}
    tensors |= {"conv1/7x7[0]": torch.randn(300, 3, 2, 2).half()}
    write_caffe(tmp_path / "net.caffemodel", tensors)
    net = _message()()
    net.ParseFromString((tmp_path / "net.caffemodel").read_bytes())
    found = {
        f"{layer.name}[{index}]": torch.tensor(list(blob.data)).view(tuple(blob.shape.dim))
        for layer in net.layer
        for index, blob in enumerate(layer.blobs)
    }
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[key], tensors[key].float()) for key in tensors)
    assert all(
        torch.equal(value, found[key]) for key, value in read_caffe(tmp_path / "net.caffemodel").items()
    )


def test_every_cut_is_refused_or_ends_between_layers(tmp_path):
    whole = _saved(tmp_path / "net.caffemodel").read_bytes()
    complete = read_caffe(tmp_path / "net.caffemodel").keys()
    path = tmp_path / "cut.caffemodel"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            found = read_caffe(path)
        except DataError as problem:
            assert "cut.caffemodel" in str(problem) and "\n" not in str(problem)
        else:
            assert found.keys() < complete and len(found) == 2


def _nested(path):
    path.write_bytes(b"\xa2\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")


def _claims(path):
    net = _message()()
    blob = net.layer.add(name="conv1", type="Convolution").blobs.add()
    blob.shape.dim.extend([2**31, 2**31])
    path.write_bytes(net.SerializeToString())


def _many(path):
    net = _message()()
    net.layer.add(name="conv1").blobs.add().shape.dim.extend([1] * 1000)
    path.write_bytes(net.SerializeToString())


def _negative(path):
    net = _message()()
    blob = net.layer.add(name="conv1").blobs.add()
    blob.shape.dim.extend([-1, -1])
    blob.data.append(1)
    path.write_bytes(net.SerializeToString())


def _twice(path):
    net = _message()()
    for _ in range(2):
        _fill(net.layer.add(name="conv1").blobs.add(), BIAS)
    path.write_bytes(net.SerializeToString())


def _bare(path):
    net = _message()()
    net.layer.add(name="conv1", type="Convolution")
    path.write_bytes(net.SerializeToString())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_nested, "cannot be read as a Caffe model (a field of 18,446,744,073,709,551,615 bytes"),
        (_claims, "conv1[0] has 0 numbers for 2147483648x2147483648"),
        (_many, "conv1[0] has 0 numbers for 1x1x1x1x1"),
        (_negative, "conv1[0] has 1 numbers for 18446744073709551615x18446744073709551615"),
        (_twice, "two layers are called 'conv1'"),
        (_bare, "holds no layer with weights; take the .caffemodel, not the .prototxt"),
        (lambda path: path.write_bytes(b""), "is empty; load it again"),
        (lambda path: path.write_text('name: "AlexNet"\nlayer {\n'), "cannot be read as a Caffe model"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "cannot be read as a Caffe model"),
        (lambda path: None, "is not there, or no file; check the path"),
    ],
)
def test_what_is_no_such_file_is_said_in_one_line(tmp_path, make, said):
    path = tmp_path / "given.caffemodel"
    make(path)
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        read_caffe(path)
    assert "given.caffemodel" in str(caught.value) and "\n" not in str(caught.value)


def test_chance_never_gives_more_than_a_refusal(tmp_path):
    whole = bytearray(_saved(tmp_path / "net.caffemodel").read_bytes())
    path = tmp_path / "flipped.caffemodel"
    chance = np.random.default_rng(1)
    for _ in range(2000):
        flipped = whole.copy()
        for place in chance.integers(0, len(whole), 5):
            flipped[place] = chance.integers(0, 256)
        path.write_bytes(flipped)
        try:
            read_caffe(path)
        except DataError as problem:
            assert "\n" not in str(problem)


def test_numbers_in_a_field_each_and_packed_come_in_order(tmp_path):
    """As protobuf reads repeated fields: packed or not, one after another."""
    shape = b"\x3a\x03\x0a\x01\x06"  # field 7: a BlobShape of one dimension, 6
    loose = [b"\x2d" + struct.pack("<f", value) for value in (1.0, 2.0, 5.0, 6.0)]
    packed = b"\x2a\x08" + struct.pack("<2f", 3.0, 4.0)
    blob = b"".join([shape, *loose[:2], packed, *loose[2:]])
    layer = b"\x0a\x01a" + b"\x12\x09Parameter" + b"\x3a" + bytes([len(blob)]) + blob
    (tmp_path / "a.caffemodel").write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    (found,) = read_caffe(tmp_path / "a.caffemodel").values()
    assert found.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
