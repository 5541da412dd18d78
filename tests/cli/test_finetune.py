"""`deeper train --weights` and `deeper features` as from a shell, and what they refuse."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import goingdeeper as gd
from goingdeeper.names import entries, namings
from goingdeeper.nn.build import build
from goingdeeper.runs.model import load_model
from goingdeeper.training.plan import Wishes
from goingdeeper.training.train import train
from goingdeeper.weights.forms import to_theirs


def reasons(folder) -> dict[str, tuple[str, str]]:
    run = json.loads((Path(folder) / "run.json").read_text())
    return {reason["what"]: (reason["value"], reason["why"]) for reason in run["reasons"]}


@pytest.fixture
def others(picture_folder):
    return picture_folder({"ant": 8, "bee": 8}, "insects")


def test_weights_alone_fine_tune_their_network_at_their_size_and_scale(deeper, here, run, others):
    said = deeper("train", others, "--weights", run, "--epochs", "2", "--out", "tuned", "--json")
    assert said.status == 0, said
    folder, begun = Path("tuned"), load_model(run)
    record, found = json.loads((folder / "run.json").read_text()), load_model(folder)
    assert record["recipe"]["name"] == "finetune"
    assert "--recipe finetune" in record["command"] and f"--weights {run}" in record["command"]
    assert record["from"]["sha256"] == begun.config["weights"]["sha256"]
    assert found.net.description.layers == begun.net.description.layers
    assert found.preprocessing == begun.preprocessing and found.classes == ("ant", "bee")
    why = reasons(folder)
    assert why["model"][1] == why["size"][1] == "that of the weights"
    assert why["classifier"][0] == "new" and "the weights' 3 classes are others" in why["classifier"][1]
    assert why["input"][1] == "the scale of the weights, not of these images"
    assert why["head_epochs"][0] == "1" and why["norm_frozen"][0] == "true"  # a batch of 12
    for line in ("classifier", "norm_frozen", "the classifier trains alone for 1 epoch"):
        assert line in said.err


def test_another_recipe_and_size_as_asked(deeper, here, run, pets):
    words = (
        "--recipe",
        "scratch",
        "--size",
        "24",
        "--epochs",
        "1",
        "--set",
        "rate=0",
        "--out",
        "on",
        "--json",
    )
    assert deeper("train", pets, "--weights", run, *words).status == 0
    on, begun = load_model(Path("on")), load_model(run)
    assert on.config["provenance"]["recipe"] == "scratch" and on.preprocessing == begun.preprocessing.at(24)
    for name, value in begun.net.named_parameters():
        assert (on.net.get_parameter(name) == value).all(), name


def test_freezing_all_but_the_classifier_says_what_else_does_the_same(deeper, here, run, others):
    words = ("--set", "freeze=head", "--epochs", "1", "--out", "probe", "--json")
    said = deeper("train", others, "--weights", run, *words)
    assert said.status == 0 and "`deeper features` and a logistic regression do the same" in said.err
    begun, found = load_model(run).net.state_dict(), load_model(Path("probe")).net.state_dict()
    changed = {
        name for name in begun if begun[name].shape != found[name].shape or (begun[name] != found[name]).any()
    }
    assert changed == {"fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--weights", "nothing"), 2, "--weights nothing: there is no such folder or file; give a run"),
        (("--weights", "{run}", "--from", "{run}"), 2, "give one of them"),
        (("--weights", "{run}", "--model", "cifar-resnet-32-a"), 2, "cifar-resnet-32-a: they have no"),
        (("--weights", "{run}", "--set", "freeze=conv9"), 2, "unknown value of freeze for cifar-resnet"),
        (("--weights", "{run}", "--set", "freeze=fc"), 2, "freeze=head leaves it alone"),
        (("--weights", "{run}", "--set", "input=Centre"), 2, "--weights keeps the scale of its weights'"),
        (
            ("--weights", "{run}", "--set", "population=true", "--set", "freeze=conv2"),
            2,
            "population replaces the statistics that norm_frozen and freeze keep; give one of them",
        ),
        (("--set", "freeze=head"), 2, "freeze=head keeps trained weights; give --weights SOURCE or"),
        (("--recipe", "finetune"), 2, "goes on from trained weights; give --weights SOURCE or --from RUN"),
    ],
)  # fmt: skip
def test_what_is_refused_in_one_line(deeper, here, run, others, words, status, said):
    given = [str(word).format(run=run) for word in words]
    assert said in deeper("train", others, *given, "--epochs", "1").refusal(status)
    assert not Path("runs").exists()


def test_a_file_of_torchvisions_names_is_imported_once(deeper, here, others, monkeypatch):
    """As torch.save writes it; the second run takes what the first has imported."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(here / "cache"))
    net = build("resnet-18-b", seed=3)
    naming = next(one for one in namings("torchvision") if one.model == "resnet18")
    torch.save(to_theirs(entries(naming), net.state_dict()), here / "resnet18.pth")
    words = ("--weights", "resnet18.pth", "--size", "32", "--epochs", "1", "--set", "freeze=head")
    said = deeper("train", others, *words, "--out", "one")
    assert said.status == 0, said
    assert reasons("one")["weights"] == (
        "torchvision resnet18", "imported from resnet18.pth, licence unknown",
    )  # fmt: skip
    found = load_model(Path("one")).net.state_dict()
    assert torch.equal(found["conv5_2.conv2.conv.weight"], net.state_dict()["conv5_2.conv2.conv.weight"])
    (kept,) = (here / "cache/goingdeeper/models").iterdir()
    before = (kept / "config.json").stat().st_mtime_ns
    assert deeper("train", others, *words, "--out", "two").status == 0
    assert (kept / "config.json").stat().st_mtime_ns == before
    assert [kept] == [*(here / "cache/goingdeeper/models").iterdir()]


def test_too_few_images(deeper, here, run, picture_folder):
    few = picture_folder({"train/ant": 4, "train/bee": 1, "val/ant": 2}, "few")
    said = deeper("train", few, "--weights", run).refusal(3)
    assert "class 'bee' has 1 image; fine-tuning needs 2 a class" in said


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet"])
def test_features_of_a_folder(deeper, here, run, pets, suffix):
    said = deeper("features", run, pets, "-o", f"f.{suffix}", "--device", "cpu")
    assert said.status == 0 and said.out == f"36 vectors of 64 numbers -> f.{suffix}\n"
    expected = gd.features(run, pets, device="cpu")
    assert expected.classes == ("cat",) * 12 + ("dog",) * 12 + ("owl",) * 12
    if suffix == "npz":
        with np.load("f.npz") as found:
            np.testing.assert_array_equal(found["features"], expected.values)
            assert tuple(found["paths"]) == expected.paths and tuple(found["classes"]) == expected.classes
    elif suffix == "csv":
        with Path("f.csv").open(newline="") as stream:
            rows = list(csv.reader(stream))[1:]
        np.testing.assert_array_equal(np.array([row[2:] for row in rows], np.float32), expected.values)


def test_features_leave_out_what_cannot_be_read_with_status_3(deeper, here, run, pets):
    shutil.copytree(pets, "mixed")
    Path("mixed/cat/00.png").write_bytes(b"no image")
    said = deeper("features", run, "mixed", "-o", "f.npz", "--json")
    assert said.status == 3 and json.loads(said.out)["images"] == 35
    assert "left out: mixed/cat/00.png" in said.err
    assert said.err.endswith("deeper: 1 of 36 images could not be read\n")
    assert np.load("f.npz")["features"].shape == (35, 64)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("{pets}", "-o", "f.txt"), 2, "unknown kind of file '.txt'"),
        (("{pets}", "-o", "none/f.npz"), 2, "give a file in a folder that is there"),
        (("{pets}", "-o", "f.npz", "--layer", "conv7"), 2, "unknown address in cifar-resnet-20-a: 'conv7'"),
        (("none.png", "-o", "f.npz"), 3, "none.png"),
        (("{pets}",), 2, "Missing option '-o' / '--out'"),
    ],
)
def test_features_refuse_in_one_line(deeper, here, run, pets, words, status, said):
    given = [str(word).format(pets=pets) for word in words]
    assert said in deeper("features", run, *given).refusal(status)
    assert list(Path().iterdir()) == []


@pytest.mark.slow
def test_a_linear_probe_reaches_the_runs_own_error(tmp_path):
    """Logistic regression on the vectors of the training images, scored on those that were held out."""
    folder = train(Wishes("digits", epochs=4, size=16), tmp_path / "run")
    found = gd.features(folder.path, "digits", device="cpu")
    side = {row["path"]: row["split"] for row in folder.split()}
    train_side = np.array([side[path] == "train" for path in found.paths])
    names = np.array(found.classes)
    probe = LogisticRegression(max_iter=2_000).fit(found.values[train_side], names[train_side])
    error = 100 * (probe.predict(found.values[~train_side]) != names[~train_side]).mean()
    own = folder.run()["result"]["top1_error"]
    assert own < 15 and error <= own + 2
