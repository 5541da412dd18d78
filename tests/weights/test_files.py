"""Files of weights as torch, safetensors and the Hub write them: read, unwrapped and told."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import tarfile
import types
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from goingdeeper.errors import DataError
from goingdeeper.weights.files import Weights, _plain, _unwrapped, read, shapes
from goingdeeper.weights.kinds import kind_of


def same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)


def contiguous(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value.contiguous() for key, value in state.items()}


def message(path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_as_training_leaves_it(tmp_path, state, zipped, monkeypatch):
    """Everything at once, through the program of its own: wrapped, half, with an optimizer and arguments."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    model = nn.DataParallel(
        nn.Sequential(OrderedDict(conv1=nn.Conv2d(3, 4, 3), bn1=nn.BatchNorm2d(4)))
    ).half()
    optimiser = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for value in model.parameters():
        value.grad = torch.ones_like(value)
    optimiser.step()
    torch.save(
        {
            "epoch": 90, "arch": "resnet", "best_acc1": torch.tensor(76.1), "loss": np.float64(0.3),
            "args": argparse.Namespace(data=pathlib.PurePosixPath("/data"), lr=0.1),
            "state_dict": model.state_dict(), "optimizer": optimiser.state_dict(),
        },
        tmp_path / "checkpoint.pth.tar", _use_new_zipfile_serialization=zipped,
    )  # fmt: skip
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    weights = read(tmp_path / "checkpoint.pth.tar")
    expected = {key: value for key, value in model.module.float().state_dict().items()}
    assert same(weights.tensors, expected)
    assert weights.format == "torch.save"
    assert weights.notes == (
        "took 'state_dict'", "left module. out of the keys", "6 tensors of float16 became float32",
    )  # fmt: skip
    assert all(value.is_contiguous() and not value.requires_grad for value in weights.tensors.values())
    assert list(temporary.iterdir()) == []


def test_safetensors(tmp_path, state):
    save_file(contiguous(state), tmp_path / "model.safetensors")
    weights = read(tmp_path / "model.safetensors")
    assert same(weights.tensors, state)
    assert weights == Weights(weights.tensors, "safetensors", ())
    assert shapes(weights.tensors)["fc.weight"] == (5, 4)
    assert shapes(weights.tensors)["bn1.num_batches_tracked"] == ()


def test_the_content_tells_the_kind_and_another_ending_is_said(tmp_path, state, unpickled):
    torch.save(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.caffemodel", _use_new_zipfile_serialization=False)
    save_file(contiguous(state), tmp_path / "c.pth")
    (tmp_path / "d.bin").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (tmp_path / "e").write_bytes(b"\n\x08AlexNet2\xa2\x06\x00")
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", "")
    kinds = [kind_of(file) for file in sorted(tmp_path.iterdir())]
    assert kinds == ["torch", "torch", "safetensors", "keras", "caffe", "keras"]
    weights = read(tmp_path / "c.pth")
    assert same(weights.tensors, state)
    assert weights.notes == ("c.pth is a file of safetensors, whatever its ending says",)
    assert same(unpickled(tmp_path / "a.safetensors").tensors, state)
    assert same(unpickled(tmp_path / "b.caffemodel").tensors, state)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.pth", b"", "is empty (0 bytes)"),
        (
            "a.pth",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1f\nsize 102530333\n",
            "git lfs pull",
        ),
        ("a.pth", b"\n <!DOCTYPE html><html>Sign in</html>", "is a web page"),
        ("a.pth", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
        ("a.pth", b'{"error": "Repository not found"}', "is JSON"),
        ("a.pth", b"\x80\x04\x95\x00", "is a pickle, but not of torch.save"),
        ("a.pth", bytes(2000), "zeros"),
        ("a.pth", b"PK\x03\x04" + bytes(90), "cut short"),
        ("a.h5", b"\x1f\x8b\x08" + bytes(90), "is packed (gzip)"),
        ("a.ckpt", bytes(range(90)) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "is a checkpoint of TensorFlow"),
        ("a.mat", b"MATLAB 5.0 MAT-file" + bytes(90), "MATLAB"),
        ("a.pth", b"what is this", "no file of weights known here"),
    ],
)
def test_what_is_no_file_of_weights_is_called_by_its_name(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in message(tmp_path / name)


def test_archives_that_hold_other_things(tmp_path, state):
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"script/{name}", "")
    assert "TorchScript" in message(tmp_path / "script.pt")
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    assert "holds NumPy's arrays; save them with safetensors" in message(tmp_path / "a.npz")
    with tarfile.open(tmp_path / "old.pth", "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            archive.addfile(tarfile.TarInfo(name))
    assert "torch's oldest form" in message(tmp_path / "old.pth")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("resnet.pth"))
    assert "tar archive; unpack it" in message(tmp_path / "a.tar")


def test_what_is_not_there_or_no_file(tmp_path):
    assert "is not there" in message(tmp_path / "none.pth")
    assert "no regular file" in message(Path("/dev/null"))
    assert "holds no file of weights" in message(tmp_path)


def test_one_file_in_a_folder(tmp_path, state):
    save_file(contiguous(state), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    assert same(read(tmp_path).tensors, state)
    (tmp_path / "pytorch_model.bin").write_bytes(b"not looked at")
    assert read(tmp_path).notes == ("took model.safetensors, and left pytorch_model.bin",)
    save_file(contiguous(state), tmp_path / "other.safetensors")
    assert "holds 2 files of weights (model.safetensors, other.safetensors); name one" in message(tmp_path)


def test_parts_with_their_list(tmp_path, state):
    state = contiguous(state)
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    save_file({key: state[key] for key in list(state)[:2]}, tmp_path / first)
    save_file({key: state[key] for key in list(state)[2:]}, tmp_path / second)
    index = tmp_path / "model.safetensors.index.json"
    places = {key: first if number < 2 else second for number, key in enumerate(state)}
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert same(read(tmp_path).tensors, state)
    assert same(read(index).tensors, state)
    beside = {"left": torch.ones(1), next(iter(state)): torch.ones(1)}
    save_file({key: state[key] for key in list(state)[2:]} | beside, tmp_path / second)
    assert same(read(index).tensors, state)  # of each part what the list says that it holds
    index.write_text(json.dumps({"weight_map": {**places, "fc.bias": second}}))
    assert "lacks 'fc.bias'" in message_of(index)
    index.write_text(json.dumps({"weight_map": {**places, "fc.bias": "../../secret"}}))
    assert "outside of its folder" in message_of(index)
    index.write_text(json.dumps({"weight_map": {**places, "fc.bias": "\ud800"}}))
    assert "no list of parts" in message_of(index)
    index.write_text(json.dumps({"weight_map": places}))
    (tmp_path / second).unlink()
    assert "(1 of 2 parts are missing)" in message_of(index)


def message_of(index: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(index)
    return str(caught.value)


WRAPPED = {
    "state_dict": lambda state: {"state_dict": state, "best_prec1": 93.0},
    "model": lambda state: {"model": state, "optimizer": {"state": dict.fromkeys(state, state)}},
    "net": lambda state: {"net": state, "acc": 95.1, "epoch": 3},
    "params": lambda state: defaultdict(dict, params=state),
    "model.state_dict": lambda state: {"model": {"state_dict": state}, "scheduler": {"last": torch.ones(1)}},
}


@pytest.mark.parametrize("place", WRAPPED)
def test_checkpoints_are_unwrapped(tmp_path, state, unpickled, place):
    torch.save(WRAPPED[place](state), tmp_path / "a.pth")
    found = unpickled(tmp_path / "a.pth")
    assert same(found.tensors, state)
    assert found.notes == [f"took '{place}'"]


@pytest.mark.parametrize(
    ("last", "averaged"),
    [("state_dict", "state_dict_ema"), ("model", "model_ema"), ("net", "ema"), ("params", "params_ema")],
)
def test_averaged_weights_are_taken_unless_asked_otherwise(tmp_path, state, unpickled, last, averaged):
    other = {key: value + 1 for key, value in state.items()}
    torch.save({last: state, averaged: other, "ema_decay": torch.tensor(0.9)}, tmp_path / "a.pth")
    found = unpickled(tmp_path / "a.pth")
    assert same(found.tensors, other)
    assert found.notes == [
        f"took the averaged weights in '{averaged}'; '{last}' holds those of the last step"
    ]
    found = unpickled(tmp_path / "a.pth", ema=False)
    assert same(found.tensors, state)
    assert found.notes == [f"took '{last}', and not the averaged weights in '{averaged}'"]


def test_the_optimisers_tensors_are_no_weights_though_they_have_their_names(tmp_path, state, unpickled):
    moments = {key: torch.zeros_like(value) for key, value in state.items()}
    torch.save({"optimizer": {"exp_avg": moments}, "generator": state}, tmp_path / "a.pth")
    found = unpickled(tmp_path / "a.pth")
    assert same(found.tensors, state)
    assert found.notes == ["took 'generator'"]


def test_of_several_the_one_with_the_most_tensors(tmp_path, state, unpickled):
    less = dict(list(state.items())[:3])
    torch.save({"discriminator": less, "generator": state}, tmp_path / "a.pth")
    found = unpickled(tmp_path / "a.pth")
    assert same(found.tensors, state)
    assert found.notes == ["took 'generator' with 4 tensors, and left 'discriminator'"]


def test_lightning_and_its_own_dicts(tmp_path, state, unpickled, monkeypatch):
    """A stand-in takes the place of what is not installed; the model's attribute goes from the keys."""
    monkeypatch.setitem(sys.modules, "pytorch_lightning", types.ModuleType("pytorch_lightning"))
    place = types.ModuleType("pytorch_lightning.utilities.parsing")
    place.AttributeDict = type("AttributeDict", (dict,), {"__module__": place.__name__})
    monkeypatch.setitem(sys.modules, place.__name__, place)
    torch.save(
        {
            "pytorch-lightning_version": "2.1.0", "hyper_parameters": place.AttributeDict(lr=0.1), "epoch": 3,
            "state_dict": {f"resnet.{key}": value for key, value in state.items()},
        },
        tmp_path / "a.ckpt",
    )  # fmt: skip
    found = unpickled(tmp_path / "a.ckpt")
    notes: list[str] = []
    assert same(_unwrapped(found.tensors, found.lightning, notes), state)
    assert notes == ["left resnet. out of the keys"]


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (lambda key: f"module.{key}", "module."),
        (lambda key: f"_orig_mod.module.{key}", "_orig_mod., module."),
        (lambda key: f"module.model.{key}", "module., model."),
        (lambda key: key.replace("conv1.", "conv1.module."), "module."),
    ],
)
def test_what_wrappers_put_into_keys_is_left_out(state, wrap, said):
    notes: list[str] = []
    assert same(_unwrapped({wrap(key): value for key, value in state.items()}, False, notes), state)
    assert notes == [f"left {said} out of the keys"]


def test_keys_stay_where_nothing_wraps_all_or_two_would_be_one(state):
    notes: list[str] = []
    for keys in (("features.0.weight", "features.3.weight"), ("model.a", "head.b"), ("module.a", "a")):
        tensors = dict.fromkeys(keys, state["fc.weight"])
        assert _unwrapped(tensors, False, notes) == tensors
    assert notes == []


def test_swa_counts_its_steps(state):
    averaged = torch.optim.swa_utils.AveragedModel(nn.Linear(3, 2))
    averaged.update_parameters(nn.Linear(3, 2))
    notes: list[str] = []
    found = _unwrapped(averaged.state_dict(), False, notes)
    assert list(found) == ["weight", "bias"]
    assert notes == ["weights averaged over 1 steps", "left module. out of the keys"]


def test_all_become_float32_and_counters_stay(tmp_path):
    kinds = {"a": torch.float64, "b": torch.float16, "c": torch.bfloat16, "d": torch.float32}
    save_file(
        {key: torch.full((3,), 1.5, dtype=kind) for key, kind in kinds.items()}, tmp_path / "a.safetensors"
    )
    weights = read(tmp_path / "a.safetensors")
    assert all(torch.equal(value, torch.full((3,), 1.5)) for value in weights.tensors.values())
    assert sorted(weights.notes) == [
        f"1 tensors of {kind} became float32" for kind in ("bfloat16", "float16", "float64")
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.zeros(3, dtype=torch.int8), "'w' is int8, as quantised weights are"),
        (torch.zeros(3, dtype=torch.float8_e4m3fn), "'w' is float8_e4m3fn, as quantised weights are"),
        (torch.zeros(3, dtype=torch.bool), "'w' is bool"),
        (torch.zeros(3, dtype=torch.complex64), "'w' is complex64, which is not read"),
        (torch.tensor([1.0, float("nan"), float("inf")]), "2 of the 3 values of 'w' are not finite (NaN"),
        (torch.tensor([1e300], dtype=torch.float64), "'w' are not finite as float32"),
    ],
)
def test_what_is_no_weight_is_refused(tmp_path, value, said):
    with pytest.raises(DataError, match="a") as caught:
        _plain(tmp_path / "a.pth", {"w": value}, [])
    assert said in str(caught.value)


def test_large_values_are_finite_though_their_sum_is_not(tmp_path):
    assert _plain(tmp_path, {"w": torch.full((4,), 3e38)}, [])["w"].isfinite().all()


@pytest.mark.parametrize(
    "value",
    [
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        lambda: torch.ones(2, device="meta"),
    ],
    ids=["sparse", "quantised", "meta"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_values_that_are_no_dense_floats_are_refused_by_name(tmp_path, state, value, write_out):
    torch.save({**state, "odd": value()}, tmp_path / "a.pth")
    with pytest.raises(DataError, match="holds 'odd'"):
        write_out(tmp_path / "a.pth")


def test_shared_parameters_and_views(tmp_path, state, write_out):
    tied = nn.Parameter(torch.randn(6, 5))
    views = {"row": tied.data[2], "turned": tied.data.T, "wide": torch.ones(1).expand(9)}
    torch.save({"a": tied, "b": tied, **views}, tmp_path / "a.pth")
    found = write_out(tmp_path / "a.pth")
    assert torch.equal(found["a"], tied.data)
    assert torch.equal(found["b"], tied.data)
    assert torch.equal(found["row"], tied.data[2])
    assert torch.equal(found["turned"], tied.data.T)
    assert torch.equal(found["wide"], torch.ones(9))
