import csv
import platform
import random
import shlex
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from goingdeeper.cli import deeper
from goingdeeper.cli.train import train_command
from goingdeeper.errors import DataError, GateError, Interrupted, RunFolderError, UsageError
from goingdeeper.notation import from_data
from goingdeeper.prediction.predictor import predict
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model
from goingdeeper.training.events import Events
from goingdeeper.training.plan import Wishes
from goingdeeper.training.record import command
from goingdeeper.training.train import train

STEPS = 6


@pytest.fixture(scope="module")
def finished(pets, tmp_path_factory):
    """The uninterrupted run of `wishes`."""
    out = tmp_path_factory.mktemp("finished") / "run"
    return train(Wishes(str(pets), "cifar-resnet-20-a", epochs=3, batch=12, size=16), out)


def tree(path):
    return {str(file): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def without_report(folder):
    """What a run holds, checkpoints and lock aside."""
    return sorted(
        str(file.relative_to(folder.path))
        for file in folder.path.rglob("*")
        if file.is_file() and "checkpoints" not in file.parts and file.name != ".lock"
    )


def test_what_a_run_folder_holds(finished, pets):
    assert without_report(finished) == [
        "gradients.csv", "log.jsonl", "metrics.csv",
        "model/README.md", "model/config.json", "model/golden.png",
        "model/model.safetensors", "predictions.csv", "run.json", "split.csv",
    ]  # fmt: skip


def test_run_json(finished, pets):
    run = finished.run()
    assert (run["schema"], run["status"], run["seed"], run["device"]) == (1, "finished", 0, "cpu")
    assert run["network"] == "cifar-resnet-20-a"
    description = from_data(run["description"])
    assert (description.input, description.classes) == ((3, 16, 16), 3)
    assert run["classes"] == ["cat", "dog", "owl"]
    words = shlex.split(run["command"])
    assert words == [
        "deeper", "train", str(pets), "--model", "cifar-resnet-20-a", "--epochs", "3", "--batch", "12",
        "--size", "16",
    ]  # fmt: skip
    data = run["data"]
    assert (data["source"], data["name"]) == (str(pets), "pets")
    assert (data["images"], data["train"] + data["val"]) == (36, 36)
    assert data["per_class"].keys() == {"cat", "dog", "owl"}
    assert all(sides["train"] + sides["val"] == 12 for sides in data["per_class"].values())
    assert data["sizes"] == {"smallest": [20, 20], "median": [20, 20], "largest": [20, 20]}
    assert data["split"] == "stratified, seed 0"
    assert (data["duplicates"], data["problems"]) == (0, [])
    assert len(bytes.fromhex(data["fingerprint"])) == 32
    assert {reason["what"] for reason in run["reasons"]} >= {
        "device", "model", "size", "batch", "epochs", "rate", "flip",
    }  # fmt: skip
    assert all(reason["why"] and reason["value"] for reason in run["reasons"])
    assert run["versions"].keys() == {"python", "torch", "goingdeeper"}
    assert run["versions"]["torch"] == torch.__version__
    assert run["threads"] == torch.get_num_threads()
    system, _, processor = run["machine"].partition(", ")
    assert system.startswith(platform.system())
    if Path("/proc/cpuinfo").exists():
        assert processor in Path("/proc/cpuinfo").read_text("utf-8")
    assert processor
    assert run["started"][4] == "-"
    result = run["result"]
    assert result["epochs"] == 3
    assert 1 <= result["best_epoch"] <= 3
    assert (result["protocol"], result["images"]) == ("1crop", data["val"])
    assert result["top5_error"] is None
    low, high = result["interval_95"]
    assert 0 <= low <= result["top1_error"] <= high <= 100
    assert min(result["seconds"], result["images_per_second"], result["cross_entropy"]) >= 0
    latency = result["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"]
    assert (latency["batch"], latency["device"], latency["threads"]) == (1, "cpu", run["threads"])


def test_tables(finished):
    run = finished.run()
    split = finished.split()
    assert [row["split"] for row in split].count("train") == run["data"]["train"]
    assert len({row["path"] for row in split}) == 36
    assert all(row["path"].startswith(row["class"] + "/") for row in split)

    rows = finished.metrics()
    with (finished.path / "metrics.csv").open(newline="") as stream:
        assert next(csv.reader(stream)) == [
            "epoch", "train_loss", "train_error", "val_loss", "val_error", "learning_rate",
            "images_per_second", "data_wait", "seconds",
        ]  # fmt: skip
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    # Six steps, three of warm-up: the last steps of the epochs are at 2/4, 4/4 and (1 + cos 120 deg) / 2.
    rate = 0.1 * 12 / 128
    assert [row["learning_rate"] for row in rows] == pytest.approx([rate / 2, rate, rate / 4], rel=1e-3)
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    best = min(rows, key=lambda row: (row["val_error"], row["val_loss"]))
    assert best["epoch"] == run["result"]["best_epoch"]
    assert best["val_error"] == pytest.approx(run["result"]["top1_error"], rel=1e-4)
    assert best["val_loss"] == pytest.approx(run["result"]["cross_entropy"], rel=1e-4)

    predictions = finished.predictions()
    assert [row["path"] for row in predictions] == [row["path"] for row in split if row["split"] == "val"]
    wrong = sum(row["true"] != row["predicted"] for row in predictions)
    assert 100 * wrong / len(predictions) == pytest.approx(run["result"]["top1_error"])
    for row in predictions:
        assert row["true"] == row["path"].partition("/")[0]
        assert row["predicted"] in run["classes"]
        assert 0 <= float(row["probability_true"]) <= float(row["probability"]) <= 1
        assert (row["true"] == row["predicted"]) == (row["probability_true"] == row["probability"])


def test_the_model_is_the_best_epochs_and_gives_the_predictions(finished, pets):
    model = load_model(finished.path)
    assert model.classes == ("cat", "dog", "owl")
    assert model.preprocessing.size == 16
    run = finished.run()
    assert model.config["scores"]["top1_error"] == run["result"]["top1_error"]
    provenance = model.config["provenance"]
    assert (provenance["data"], provenance["epoch"]) == ("pets", run["result"]["best_epoch"])
    assert provenance["data_fingerprint"] == run["data"]["fingerprint"]
    rows = finished.predictions()
    answers = list(predict(model, [pets / row["path"] for row in rows], top=1))
    for row, answer in zip(rows, answers, strict=True):
        (name, probability) = answer.top[0]
        assert name == row["predicted"]
        assert probability == pytest.approx(float(row["probability"]), abs=1e-4)


def test_the_model_is_not_the_last_epochs_where_that_is_worse(here, wishes):
    for seed in range(20):
        folder = train(replace(wishes, seed=seed, settings=(("rate", "0.3"),)))
        rows = folder.metrics()
        best = int(min(rows, key=lambda row: (row["val_error"], row["val_loss"]))["epoch"])
        if best < 3:
            break
    assert best < 3
    result = folder.run()["result"]
    assert result["best_epoch"] == best
    assert result["cross_entropy"] == pytest.approx(rows[best - 1]["val_loss"], rel=1e-4)
    tensors = load_file(max(folder.checkpoints.glob("step-*")) / "tensors.safetensors")
    state = load_model(folder.path).net.state_dict()
    assert all(torch.equal(value, tensors[f"best.{name}"]) for name, value in state.items())
    assert not all(torch.equal(value, tensors[f"objective.net.{name}"]) for name, value in state.items())


def test_the_resolved_recipe_stands_in_run_json(here, pets):
    settings = (
        ("rate", "0.02"), ("optimiser.momentum", "0.5"), ("nesterov", "no"), ("weight_decay", "0"),
        ("warmup_epochs", "1"), ("pad", "0.25"), ("flip", "false"), ("smoothing", "0.2"),
        ("head_weights", "0"), ("bad_share", "0.5"), ("epochs", "1"),
    )  # fmt: skip
    run = train(Wishes(str(pets), batch=20, size=16, settings=settings)).run()
    recipe = run["recipe"]
    assert recipe["name"] == "scratch"
    changed = {"rate": 0.02, "momentum": 0.5, "nesterov": False, "weight_decay": 0.0}
    assert recipe["optimiser"] == {"kind": "SGD", **changed}
    assert recipe["schedule"] == {"kind": "WarmupCosine", "warmup_epochs": 1.0, "start": 0.0, "end": 0.0}
    assert recipe["augmentation"]["crop"] == {"kind": "Padded", "pad": 0.25, "reflect": False}
    assert recipe["augmentation"]["flip"] is False
    flat = {key: recipe[key] for key in ("epochs", "batch", "head_weights", "bad_share")}
    assert flat == {"epochs": 1, "batch": 20, "head_weights": [["*", 0.0]], "bad_share": 0.5}
    assert recipe["loss"] == {"kind": "CrossEntropy", "smoothing": 0.2}
    assert "--set rate=0.02 --set optimiser.momentum=0.5" in run["command"]
    assert len(RunFolder(next(here.glob("runs/*"))).metrics()) == 1


def test_status_from_running_to_finished(here, wishes):
    seen = []

    class Look(Events):
        def step(self, pace):
            run = RunFolder(next(here.glob("runs/*"))).run()
            seen.append((run["status"], run["result"]))

    folder = train(wishes, None, Look())
    assert seen == [("running", None)] * STEPS
    assert folder.run()["status"] == "finished"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", range(1, STEPS + 1))
def test_interrupted_and_gone_on_is_the_same_run_bit_for_bit(
    here, wishes, finished, signals, outcome, after, number
):
    with pytest.raises(Interrupted) as caught:
        train(wishes, None, signals(after, number))
    assert caught.value.exit_status == 128 + number
    (path,) = here.glob("runs/*")
    run = RunFolder(path).run()
    assert (run["status"], run["result"]) == ("interrupted", None)
    assert str(caught.value).endswith(f"Go on with: {run['command']} --out {path.relative_to(here)}")
    assert run["command"] == command(wishes)
    reached = "the end of epoch 3" if after == STEPS else f"epoch {(after + 1) // 2}, step {2 - after % 2}"
    reached = reached if after == STEPS or after % 2 else f"the end of epoch {after // 2}"
    assert f"saved up to {reached}." in str(caught.value)
    assert not (path / "model").exists()

    events = signals()
    folder = train(wishes, None, events)
    assert folder.path.resolve() == path.resolve()
    assert f"going on from {reached}" in events.notes
    assert len(events.paces) == STEPS - after
    assert outcome(path) == outcome(finished.path)


def test_interrupted_after_every_step(here, wishes, finished, signals, outcome):
    for step in range(STEPS):
        events = signals(1)
        with pytest.raises(Interrupted):
            train(wishes, None, events)
        assert events.paces[0].step == step % 2 + 1
    assert outcome(train(wishes).path) == outcome(finished.path)
    assert len(list(here.glob("runs/*"))) == 1


def test_the_same_seed_gives_the_same_weights_and_another_others(here, wishes, finished, outcome):
    assert outcome(train(wishes).path) == outcome(finished.path)
    other = outcome(train(replace(wishes, seed=1)).path)
    assert other["weights"] != outcome(finished.path)["weights"]
    assert other["split"] == outcome(finished.path)["split"]  # so that runs can be compared


def test_initial_weights_and_held_out_images_have_seeds_of_their_own(here, wishes, finished, outcome):
    first, own = outcome(finished.path), outcome(train(replace(wishes, seed=1, init_seed=0)).path)
    assert own["weights"] != first["weights"]  # another order of images
    again = train(replace(wishes, split_seed=1))
    assert outcome(again.path)["split"] != first["split"]


def test_runs_of_one_initial_seed_begin_with_the_same_weights(here, wishes):
    begun = [replace(wishes, seed=seed, init_seed=0, epochs=1, settings=(("rate", "0"),)) for seed in (1, 2)]
    first, second = (load_model(train(one).path).net.state_dict() for one in begun)
    assert all(torch.equal(first[name], second[name]) for name in first if name.endswith("conv.weight"))
    third = load_model(train(replace(begun[0], init_seed=None)).path).net.state_dict()
    assert not torch.equal(first["conv1.conv.weight"], third["conv1.conv.weight"])


def test_global_random_states_and_settings_stay(here, wishes):
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)

    def states():
        keys, place = np.random.get_state()[1:3]
        return (
            torch.get_rng_state().tolist(), keys.tolist(), place, random.getstate(), torch.get_num_threads(),
            torch.get_default_dtype(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled(),
            [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        )  # fmt: skip

    before = states()
    train(replace(wishes, epochs=1))
    assert states() == before


def test_random_states_that_others_move_do_not_matter(here, wishes, finished, outcome):
    class Meddler(Events):
        def step(self, pace):
            torch.manual_seed(pace.step)
            np.random.seed(pace.step)
            random.seed(pace.step)

    assert outcome(train(wishes, None, Meddler()).path) == outcome(finished.path)


def test_off_the_main_thread(here, wishes, finished, outcome):
    """A notebook's or a server's thread: no signals there, the rest is the same."""
    done = []
    thread = threading.Thread(target=lambda: done.append(train(wishes)))
    thread.start()
    thread.join()
    assert outcome(done[0].path) == outcome(finished.path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_quits_at_once_and_the_last_checkpoint_goes_on(
    here, wishes, finished, signals, outcome, number
):
    events = signals(4, number, times=2)
    with pytest.raises(
        Interrupted, match=r"stopped at once; the last checkpoint is kept. Go on with: deeper"
    ) as caught:
        train(wishes, None, events)
    assert caught.value.exit_status == 128 + number
    assert events.closed
    (path,) = here.glob("runs/*")
    assert RunFolder(path).run()["status"] == "interrupted"
    events = signals()
    train(wishes, None, events)
    assert "going on from the end of epoch 1" in events.notes
    assert outcome(path) == outcome(finished.path)


def test_interrupted_while_the_images_are_read_leaves_nothing(here, wishes):
    class Interrupt(Events):
        def reading(self, done, total):
            signal.raise_signal(signal.SIGINT)

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        train(wishes, None, Interrupt())
    assert list(here.iterdir()) == []
    assert threading.active_count() == threads


@pytest.mark.parametrize("damage", ["truncated", "flipped", "absent"])
def test_a_damaged_checkpoint_is_passed_over(here, wishes, finished, signals, outcome, damage):
    with pytest.raises(Interrupted):
        train(wishes, None, signals(5))
    (path,) = here.glob("runs/*")
    newest = max((path / "checkpoints").glob("step-*"))
    assert newest.name == "step-00000005"
    file = newest / "tensors.safetensors"
    content = bytearray(file.read_bytes())
    if damage == "absent":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(content[: len(content) // 2])
    else:
        content[-5] ^= 16
        file.write_bytes(content)
    events = signals()
    train(wishes, None, events)
    assert any("the checkpoint step-00000005 is passed over" in note for note in events.notes)
    assert "going on from the end of epoch 2" in events.notes
    assert outcome(path) == outcome(finished.path)


def test_all_checkpoints_damaged_starts_again(here, wishes, finished, signals, outcome):
    with pytest.raises(Interrupted):
        train(wishes, None, signals(3))
    (path,) = here.glob("runs/*")
    for file in path.glob("checkpoints/*/progress.json"):
        file.write_text("{}")
    events = signals()
    train(wishes, None, events)
    assert len(events.paces) == STEPS
    assert outcome(path) == outcome(finished.path)


def test_a_kill_before_the_last_metrics_were_written_loses_none(here, wishes, finished, signals, outcome):
    with pytest.raises(Interrupted):
        train(wishes, None, signals(STEPS))
    (path,) = here.glob("runs/*")
    (path / "metrics.csv").unlink()
    train(wishes)
    assert outcome(path) == outcome(finished.path)


def test_the_same_command_while_one_is_running_starts_another_run(here, wishes, finished, outcome):
    second = []

    class Another(Events):
        def step(self, pace):
            if not second:
                second.append(train(wishes))

    first = train(wishes, None, Another())
    assert first.path != second[0].path
    assert outcome(first.path) == outcome(second[0].path) == outcome(finished.path)


def test_the_same_out_while_one_is_running_is_refused(here, wishes):
    refused = []

    class Another(Events):
        def step(self, pace):
            if not refused:
                with pytest.raises(RunFolderError, match="out is being trained by another process") as caught:
                    train(wishes, here / "out")
                refused.append(caught.value)

    folder = train(wishes, here / "out", Another())
    assert folder.run()["status"] == "finished"
    assert refused[0].exit_status == 2


def test_out_of_an_unfinished_run_goes_on_with_the_same_settings_only(
    here, wishes, finished, signals, outcome
):
    out = here / "out"
    with pytest.raises(Interrupted, match=f"--out {out}") as caught:
        train(wishes, out, signals(3))
    assert shlex.split(str(caught.value))[-2:] == ["--out", str(out)]
    before = tree(out)
    for other, difference in (
        (replace(wishes, epochs=4), "epochs 3, now 4"),
        (replace(wishes, batch=None), "batch 12, now default"),
        (replace(wishes, settings=(("rate", "0.5"),)), "rate default, now 0.5"),
    ):
        with pytest.raises(
            RunFolderError, match=rf"out holds an unfinished run of other settings \({difference}\)"
        ):
            train(other, out)
        assert tree(out) == before
    train(wishes, out)
    assert outcome(out) == outcome(finished.path)
    before = tree(out)
    with pytest.raises(RunFolderError, match="out holds a finished run, which is kept; give another --out"):
        train(wishes, out)
    assert tree(out) == before


def test_out_is_looked_at_before_the_images_are_read(here, wishes):
    (here / "out").mkdir()
    (here / "out" / "thesis.txt").write_text("precious")
    read = []

    class Listener(Events):
        def reading(self, done, total):
            read.append(done)

    with pytest.raises(RunFolderError, match="is not a run folder"):
        train(wishes, here / "out", Listener())
    assert not read
    assert [file.name for file in (here / "out").iterdir()] == ["thesis.txt"]


def test_changed_images_start_another_run(here, pets, wishes, signals, tmp_path_factory):
    copy = tmp_path_factory.mktemp("copy") / "pets"
    shutil.copytree(pets, copy)
    wishes = replace(wishes, source=str(copy))
    with pytest.raises(Interrupted):
        train(wishes, None, signals(3))
    (copy / "cat" / "00.png").unlink()
    events = signals()
    train(wishes, None, events)
    assert len(events.paces) == STEPS
    assert sorted(RunFolder(path).run()["status"] for path in here.glob("runs/*")) == [
        "finished",
        "interrupted",
    ]


def test_a_diverging_run_keeps_its_last_healthy_checkpoint(here, wishes):
    wishes = replace(wishes, batch=7, settings=(("rate", "1e30"), ("warmup_epochs", "0")))
    with pytest.raises(GateError, match=r"the (validation )?loss is .*--set rate=0\.1") as caught:
        train(wishes)
    assert caught.value.exit_status == 6
    (path,) = here.glob("runs/*")
    assert not (path / "model").exists()
    for file in path.glob("checkpoints/*/tensors.safetensors"):
        assert all(bool(value.isfinite().all()) for value in load_file(file).values())


def test_unreadable_images_up_to_the_share_are_left_out_and_listed(
    here, pets, wishes, tmp_path_factory, signals
):
    photos = tmp_path_factory.mktemp("bad") / "photos"
    shutil.copytree(pets, photos)
    (photos / "cat" / "00.png").write_bytes((photos / "cat" / "00.png").read_bytes()[:400])
    (photos / "owl" / "03.png").write_text("<html>not found</html>")
    before = tree(photos)
    wishes = replace(wishes, source=str(photos))
    with pytest.raises(DataError, match=r"2 of 36 images cannot be read, over the 1 %.*00.png.*03.png"):
        train(wishes)
    assert not (here / "runs").exists()

    events = signals()
    run = train(replace(wishes, settings=(("bad_share", "0.1"),)), None, events).run()
    problems = {problem["path"]: problem["problem"] for problem in run["data"]["problems"]}
    assert problems.keys() == {"cat/00.png", "owl/03.png"}
    assert all(path in problem for path, problem in problems.items())
    assert run["data"]["train"] + run["data"]["val"] == 34
    (line,) = [note for note in events.notes if note.startswith("left out: ")]  # one kind
    assert "cat/00.png" in line
    assert "1 more" in line
    assert tree(photos) == before


def test_a_class_without_a_readable_image_is_an_error(here, pets, wishes, tmp_path_factory):
    photos = tmp_path_factory.mktemp("bad") / "photos"
    shutil.copytree(pets, photos)
    (photos / "fox").mkdir()
    (photos / "fox" / "0.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match="class 'fox' of photos has no readable image"):
        train(replace(wishes, source=str(photos), settings=(("bad_share", "0.5"),)))
    assert not (here / "runs").exists()


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_seeds_out_of_range(here, wishes, seed):
    with pytest.raises(UsageError, match=f"seed {seed}: a whole number from 0 to 2147483647"):
        train(replace(wishes, seed=seed))


def test_the_largest_seed(here, wishes):
    assert train(replace(wishes, seed=2**31 - 1, epochs=1)).run()["status"] == "finished"


@pytest.mark.parametrize(
    "wishes_",
    [
        Wishes("p"),
        Wishes(
            "my photos/",
            "resnet-18-b",
            "scratch",
            3,
            8,
            64,
            5,
            "cpu",
            "runs/a b",
            "1h",
            2,
            "runs/teacher",
            6,
            7,
            "runs/b",
            "2/5",
            0.1,
            True,
            "list.txt",
            False,
            (("rate", "0.1"), ("flip", "no")),
        ),
        Wishes("p", group=True),
    ],
)
def test_the_command_repeats_the_wishes(wishes_):
    words = shlex.split(command(wishes_))
    assert words[:2] == ["deeper", "train"]
    parent = click.Context(deeper, **deeper.context_settings)
    given = train_command.make_context("train", words[2:], parent).params
    own = {"images", "out", "as_json", "lr", "jobs", "models", "seeds"}
    ((model,), (seed,)) = given["models"], given["seeds"]
    found = {name: given[name] for name in given if name not in own}
    assert Wishes(given["images"], model, seed=seed, **found) == wishes_


def test_given_splits_are_kept(here, picture_folder, wishes):
    photos = picture_folder({"train/a1": 6, "train/b1": 6, "val/a1": 3, "val/b1": 2, "test/a1": 2})
    folder = train(replace(wishes, source=str(photos), size=8, batch=6, epochs=1))
    run = folder.run()
    assert (run["data"]["train"], run["data"]["val"]) == (12, 5)
    assert {(row["path"].partition("/")[0], row["split"]) for row in folder.split()} == {
        ("train", "train"), ("val", "val"),
    }  # fmt: skip


def test_fewer_images_than_a_batch(here, picture_folder, wishes):
    photos = picture_folder({"aa": 2, "bb": 2})
    folder = train(replace(wishes, source=str(photos), size=8, batch=None, epochs=2))
    assert len(folder.metrics()) == 2
    assert folder.run()["recipe"]["batch"] == 2


def test_images_that_are_not_square_or_of_one_size(here, wishes, tmp_path):
    for name, shade in (("dark", 30), ("light", 220)):
        (tmp_path / "x" / name).mkdir(parents=True)
        for index, size in enumerate([(300, 20), (20, 300), (1, 1), (700, 500), (16, 17), (33, 33)]):
            Image.new("RGB", size, (shade, shade, index)).save(tmp_path / "x" / name / f"{index}.png")
    run = train(replace(wishes, source=str(tmp_path / "x"), batch=5, epochs=1)).run()
    assert run["data"]["sizes"]["smallest"] == [1, 1]
    assert run["data"]["sizes"]["largest"] == [700, 500]


@pytest.mark.slow
def test_googlenet_with_dropout_and_heads_goes_on_bit_for_bit(here, pets, signals, outcome):
    wishes = Wishes(str(pets), "googlenet", epochs=2, batch=12, size=79)
    whole = train(wishes, here / "whole")
    for out, stops in (("a", (1,)), ("b", (2, 1))):
        for after in stops:
            with pytest.raises(Interrupted):
                train(wishes, here / out, signals(after))
        train(wishes, here / out)
        assert outcome(here / out) == outcome(whole.path)
    columns = whole.metrics()[0].keys()
    assert {"train_loss", "train_loss_main", "train_loss_4a", "train_loss_4d", "val_loss"} <= columns
    for row in whole.metrics():
        total = row["train_loss_main"] + 0.3 * row["train_loss_4a"] + 0.3 * row["train_loss_4d"]
        assert row["train_loss"] == pytest.approx(total, rel=1e-4)
    assert not any(name.startswith("heads") for name in load_model(whole.path).net.state_dict())
    assert not from_data(load_model(whole.path).config["description"]).heads
