import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from goingdeeper import edits
from goingdeeper.layers import CLASSES, Conv, GlobalAvgPool, Linear, Network
from goingdeeper.notation import from_data, to_json
from goingdeeper.runs.folder import RunFolder
from goingdeeper.stopping import AGAIN

DEEPER = [sys.executable, "-m", "goingdeeper"]


def small(name, classes=CLASSES):
    """Without batch norm, and of larger images than CIFAR's."""
    layers = {"conv": Conv(4, 3, stride=4, bias=True), "pool": GlobalAvgPool(), "fc": Linear(classes)}
    return Network(name, layers, input=(3, 96, 96))


def answer(said):
    assert said.status == 0, said
    document = json.loads(said.out)
    assert document["schema"] == 1
    return document


def test_train_json(deeper, here, pets):
    said = deeper("train", pets, "--epochs", 2, "--size", 16, "--json")
    document = answer(said)
    assert document.keys() >= {"run", "epochs", "best", "seconds"}
    assert document["best"].keys() >= {"val_error", "interval_95", "images"}
    result = RunFolder(Path(document["run"])).run()["result"]
    assert document["epochs"] == 2
    assert document["best"]["val_error"] == result["top1_error"]
    assert document["best"]["interval_95"] == result["interval_95"]
    assert document["best"]["images"] == 7
    assert document["seconds"] == result["seconds"] >= 0
    assert (Path(document["run"]) / "report.html").stat().st_size > 10_000
    # What is chosen is told with its reason, beside the answer.
    for part in (
        "36 images, 3 classes · 29 train / 7 validation (stratified, seed 0) -> split.csv",
        "cifar-resnet-20-a at 16x16",
        "M parameters",
        "multiply-adds",
        "from scratch",
        "small images",
        "29 training images",
        "--set flip=false",
        "asked for",
        f"writing {document['run']} · 2 epochs",
    ):
        assert part in said.err  # fmt: skip


def test_test_images_of_the_source_are_told_and_left_alone(deeper, here, pets):
    shutil.copytree(pets, here / "photos" / "train")
    shutil.copytree(pets / "cat", here / "photos" / "Testing" / "cat")
    words = ("train", "photos", "--epochs", 1, "--size", 16, "--out", "run")
    assert "photos comes with 12 test images" in deeper(*words, "--test-share", 0.25).refusal(2)
    assert not (here / "run").exists()
    said = deeper(*words)
    assert said.status == 0, said
    line = "36 images, 3 classes · 29 train / 7 validation (stratified, seed 0) -> split.csv · "
    assert f"{line}12 test images, untouched\n" in said.err
    folder = RunFolder(here / "run")
    data = folder.run()["data"]
    assert (data["images"], data["train"], data["val"], data["test"]) == (36, 29, 7, 12)
    assert len(folder.split()) == 36


def test_train_in_words(deeper, here, pets):
    said = deeper("train", pets, "--epochs", 1, "--size", 16, "--out", "my run")
    assert said.status == 0
    score, report, predict, evaluate = said.out.splitlines()
    assert score.startswith("val error ")
    for part in (" % (95 %: ", "n = 7, 1 crop", "epoch 1 of 1", " s"):
        assert part in score
    assert report == "my run/report.html"
    assert Path(report).is_file()
    assert predict == "next:  deeper predict 'my run' IMAGE"
    assert evaluate == "       deeper evaluate 'my run' FOLDER"
    assert " · 1 epoch\n" in said.err


def test_a_network_that_only_guesses_is_told_of(deeper, here, pets):
    said = deeper("train", pets, "--epochs", 1, "--size", 16, "--set", "rate=0", "--out", "guess")
    run = json.loads(Path("guess/run.json").read_text("utf-8"))
    # The validation images: 7 of three classes, at most 3 of one.
    assert run["result"]["guessing_error"] == pytest.approx(100 * (1 - 3 / 7))
    assert "not clearly better than always naming the most frequent class (57.1 %)" in said.err
    assert said.status == 0


def test_what_is_printed_next_works(deeper, here, pets):
    said = deeper("train", pets, "--epochs", 1, "--size", 16)
    predict, evaluate = (shlex.split(line)[-3:-1] for line in said.out.splitlines()[-2:])
    assert deeper(*predict, pets / "cat" / "00.png").status == 0
    assert deeper(*evaluate, pets).status == 0
    assert deeper("runs").out.count("\n") == 1 and "  seed 0  " in deeper("runs").out


def test_the_embedded_digits(deeper, here):
    said = deeper("train", "digits", "--epochs", 1, "--size", 8, "--json")
    document = answer(said)
    assert document["best"]["images"] == 359
    assert "1,797 images, 10 classes · 1,438 train / 359 validation" in said.err
    assert "--set flip=true" in said.err
    assert RunFolder(Path(document["run"])).run()["recipe"]["augmentation"]["flip"] is False


def test_a_network_in_a_file(deeper, here, pets):
    """It trains, is kept in the run, and answers when the file has gone."""
    (here / "mine.json").write_text(to_json(small("my-net")))
    words = ("train", pets, "--model", "mine.json", "--epochs", 1, "--size", 32)
    document = answer(deeper(*words, "--json"))
    assert document["run"].split("_")[2] == "my-net"
    folder = RunFolder(Path(document["run"]))
    run = folder.run()
    assert shlex.split(run["command"])[3:5] == ["--model", "mine.json"]
    assert from_data(run["description"]) == replace(small("my-net"), input=(3, 32, 32), classes=3)
    (here / "mine.json").unlink()
    assert deeper("predict", document["run"], pets / "cat" / "00.png").status == 0
    assert deeper("evaluate", document["run"]).status == 0


def test_a_file_that_describes_another_network_now_is_another_run(deeper, here, pets):
    (here / "mine.json").write_text(to_json(small("my-net")))
    words = ("train", pets, "--model", "mine.json", "--epochs", 1, "--size", 32, "--out", "run")
    assert deeper(*words).status == 0
    record = Path("run/run.json")
    record.write_text(record.read_text("utf-8").replace('"finished"', '"interrupted"'), "utf-8")
    (here / "mine.json").write_text(to_json(edits.widen(small("my-net"), 2)))
    assert "run holds an unfinished run of other settings (another description)" in deeper(*words).refusal(2)


@pytest.mark.slow
def test_networks_in_files_side_by_side_are_called_by_their_names(deeper, here, pets):
    (here / "nets").mkdir()
    for name in ("a", "b"):
        (here / "nets" / f"{name}.json").write_text(to_json(small(f"net-{name}")))
    words = ("train", pets, "--model", "nets/a.json,nets/b.json", "--epochs", 1, "--size", 32)
    document = answer(deeper(*words, "--out", "all", "--json"))
    assert [run["run"] for run in document["runs"]] == ["all/net-a", "all/net-b"]
    assert [row["network"] for row in document["networks"]] == ["net-a", "net-b"]


@pytest.fixture
def messy(here, pets):
    """Folders that cannot be trained on."""
    (here / "bare").mkdir()
    (here / "texts" / "cat").mkdir(parents=True)
    (here / "texts" / "cat" / "a.txt").write_text("no image")
    shutil.copytree(pets / "cat", here / "loose")
    shutil.copytree(pets / "cat", here / "one" / "cat")
    shutil.copytree(pets, here / "pets")
    (here / "a.png").write_bytes((pets / "cat" / "00.png").read_bytes())
    (here / "taken").mkdir()
    (here / "taken" / "thesis.txt").write_text("precious")
    (here / "bad.json").write_text("{")
    (here / "fixed.json").write_text(to_json(small("fixed", 7)))
    (here / "two.json").write_text(to_json(small("resnet-18-b")))
    return here


@pytest.mark.parametrize(
    ("words", "status", "parts"),
    [
        (["nowhere"], 3, ["no file or folder nowhere", "one folder of images a class", "digits, or shapes"]),
        (["bare"], 3, ["bare holds no images", "bare/cat/1.jpg"]),
        (["texts"], 3, ["texts holds no images", "one folder a class"]),
        (["loose"], 3, ["loose", "none in a class folder", "one folder a class"]),
        (["one"], 3, ["one holds one class, 'cat'", "at least two"]),
        (["a.png"], 3, ["a.png is one image", "`deeper predict` names it"]),
        (["pets", "--model", "resnt-18-b"], 2, ["'resnt-18-b'", "did you mean resnet-18-b", "`deeper list`"]),
        (["pets", "--model", "mine.json"], 2, ["there is no file mine.json", "goingdeeper.to_json"]),
        (["pets", "--model", "bad.json"], 2, ["bad.json: not a network description"]),
        (["pets", "--model", "fixed.json"], 2, ["fc in fixed gives 7, not 3 logits"]),
        (["pets", "--model", "two.json,resnet-18-b"], 2, ["network resnet-18-b is named twice"]),
        (["pets", "--recipe", "scratsh"], 2, ["'scratsh'", "did you mean scratch"]),
        (["pets", "--model", "googlenet", "--size", "30"], 2, ["googlenet", "30x30", "31x31 without"]),
        (["pets", "--batch", "30"], 2, ["a batch of 30 from 29 training images", "--batch 29"]),
        (["pets", "--batch", "1"], 2, ["batch normalisation", "--batch 2"]),
        (["pets", "--lr", "0.1", "--set", "rate=0.2"], 2, ["--lr and --set rate: give one of them"]),
        (["pets", "--set", "rat=1"], 2, ["'rat'", "did you mean", "optimiser.rate"]),
        (["pets", "--set", "rate=fast"], 2, ["rate=fast", "a number is needed"]),
        (["pets", "--set", "smoothing=2"], 2, ["smoothing=2", "from 0 to 1"]),
        (["pets", "--set", "epochs=0"], 2, ["at least 1"]),
        (["pets", "--device", "gpu"], 2, ["'gpu'", "auto, cpu, cuda or cuda:1"]),
        (["pets", "--device", "cuda:77"], 5, ["cuda:77 is not there"]),
        (["pets", "--out", "taken"], 2, ["taken is there already", "another --out"]),
        (["pets", "--out", "a.png"], 2, ["a.png is a file", "a folder that is not there yet"]),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_in_one_line_and_nothing_is_touched(
    deeper, messy, tree, words, status, parts
):
    before = tree(messy)
    line = deeper("train", *words).refusal(status)
    for part in parts:
        assert part in line
    assert tree(messy) == before
    assert not (messy / "runs").exists()


def test_unreadable_images_below_and_above_one_per_cent(deeper, here, many, tree):
    shutil.copytree(many, here / "photos")
    cut = here / "photos" / "cat" / "07.png"
    cut.write_bytes(cut.read_bytes()[:500])
    before = tree(here / "photos")
    words = ("train", "photos", "--epochs", 1, "--size", 16)
    said = deeper(*words, "--out", "run", "--json")
    assert answer(said)["best"]["images"] == 30
    (line,) = (line for line in said.err.splitlines() if line.startswith("left out"))
    assert "cat/07.png is truncated at 500 bytes" in line
    problems = RunFolder(here / "run").run()["data"]["problems"]
    assert [problem["path"] for problem in problems] == ["cat/07.png"]

    (here / "photos" / "dog" / "01.png").write_text("<html>")
    line = deeper(*words, "--out", "other").refusal(3)
    for part in ("2 of 150 images", "1 %", "cat/07.png", "dog/01.png", "--set bad_share=0.05"):
        assert part in line
    assert not (here / "other").exists()
    (here / "photos" / "dog" / "01.png").unlink()
    assert tree(here / "photos").items() <= before.items()

    (here / "photos" / "dog" / "01.png").write_text("<html>")
    assert deeper(*words, "--out", "other", "--set", "bad_share=0.05").status == 0


def test_a_loss_that_is_no_number_is_a_gate(deeper, here, pets):
    said = deeper("train", pets, "--epochs", 2, "--size", 16, "--set", "rate=1e30", "--json")
    assert (said.status, said.out) == (6, "")
    *_, last = said.err.splitlines()
    assert last.startswith("deeper: the ")
    assert "loss is" in last
    assert last.endswith("Lower the rate: --set rate=0.1")


def test_where_runs_is_a_file(deeper, here, pets):
    (here / "runs").write_text("not a folder")
    said = deeper("train", pets, "--epochs", 1, "--size", 16)
    assert (said.status, said.out) == (5, "")
    *_, last = said.err.splitlines()
    assert last.startswith("deeper: cannot write at runs/")
    assert (here / "runs").read_text() == "not a folder"


# From here on, a process of its own.


def command(pets, *more):
    """Some hundreds of short steps, which leave time for a signal."""
    return [*DEEPER, "train", str(pets), "--epochs", "30", "--batch", "8", "--size", "8", "--json", *more]


def start(words, environment, here, **more):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, cwd=here, env=environment, **pipes, **more)


def wait_for(condition, process):
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def epochs_done(here):
    files = list(here.glob("runs/*/metrics.csv"))
    return len(files[0].read_text().splitlines()) - 1 if files else 0


def outcome(run):
    """What must not depend on when a run was interrupted."""
    names = ("model/model.safetensors", "predictions.csv", "split.csv")
    scores = json.loads((run / "model" / "config.json").read_text())["scores"]
    errors = [(row["epoch"], row["train_loss"], row["val_loss"]) for row in RunFolder(run).metrics()]
    return [(run / name).read_bytes() for name in names], scores, errors


@pytest.fixture(scope="module")
def uninterrupted(pets, tmp_path_factory):
    here = tmp_path_factory.mktemp("uninterrupted")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command(pets), cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return outcome(here / json.loads(done.stdout)["run"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "again"),
    [
        (signal.SIGINT, "the same command"),
        (signal.SIGTERM, "the command that is named"),
        (signal.SIGKILL, "the same command"),
    ],
)
def test_a_signal_and_on_from_there(pets, here, environment, uninterrupted, number, again):
    words = command(pets)
    process = start(command(pets), environment, here)
    wait_for(lambda: epochs_done(here) >= 7, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert out == ""
    (run,) = here.glob("runs/*")
    if number == signal.SIGKILL:
        assert process.returncode == -number
        assert RunFolder(run).run()["status"] == "running"
    else:
        assert process.returncode == 128 + number
        *_, last = err.splitlines()
        assert last.startswith("deeper: interrupted; everything is saved up to ")
        name, *named = shlex.split(last.partition("Go on with: ")[2])
        assert name == "deeper"
        if again == "the command that is named":
            words = [*DEEPER, *named, "--json"]
        assert RunFolder(run).run()["status"] == "interrupted"
    assert not (run / "model").exists()

    done = subprocess.run(words, cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert here / json.loads(done.stdout)["run"] == run
    assert "going on from" in done.stderr
    assert outcome(run) == uninterrupted


@pytest.mark.slow
def test_killed_again_and_again(pets, here, environment, uninterrupted):
    """At moments that differ, in the middle of whatever is being done."""
    for seconds in (0.01, 0.05, 0.09):
        process = start(command(pets), environment, here)
        done = epochs_done(here)
        wait_for(lambda done=done: epochs_done(here) > done, process)
        time.sleep(seconds)
        process.kill()
        process.communicate()
    done = subprocess.run(command(pets), cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (run,) = here.glob("runs/*")
    assert outcome(run) == uninterrupted


@pytest.mark.slow
def test_two_interrupts_quit(pets, here, environment, uninterrupted):
    """At once they are one, as from a terminal and a process that watches; later the second one quits."""
    for pause, said in ((0, "interrupted; everything"), (AGAIN, "stopped at once; the last")):
        words = [*command(pets), "--epochs", "200"]
        process = start(words, environment, here)
        done = epochs_done(here)
        wait_for(lambda done=done: epochs_done(here) > done, process)
        process.send_signal(signal.SIGTERM)
        time.sleep(pause)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        # A run between two steps has saved everything before half a second is over.
        ways = (f"deeper: {said}", "deeper: interrupted; everything")
        assert process.returncode in (130, 143), err
        assert err.splitlines()[-1].startswith(ways)


@pytest.mark.slow
@pytest.mark.parametrize("several", [("--devices", "2"), ("--seed", "0,1")])
def test_a_terminals_interrupt_saves_all_processes(pets, here, environment, several):
    """It reaches the process that watches and those that it has started."""
    words = [*command(pets), "--epochs", "200", *several]
    process = start(words, environment, here, start_new_session=True)
    count = 2 if "--seed" in several else 1
    wait_for(lambda: len(list(here.glob("runs/*/metrics.csv"))) == count, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("deeper: interrupted; "), err
    assert last.count("Go on with: deeper train") == 1
    for run in here.glob("runs/*"):
        assert RunFolder(run).run()["status"] == "interrupted"
        events = [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
        assert events[-1]["reason"].startswith("interrupted; everything is saved")


@pytest.mark.slow
def test_several_seeds(deeper, here, pets):
    said = deeper(
        "train", pets, "--epochs", 1, "--size", 16, "--seed", "3,5", "--model", "cifar-resnet-20-a", "--json"
    )
    document = answer(said)
    assert [run["seed"] for run in document["runs"]] == [3, 5]
    errors = [RunFolder(Path(run["run"])).run()["result"]["top1_error"] for run in document["runs"]]
    assert [run["best"]["val_error"] for run in document["runs"]] == errors
    (row,) = document["networks"]
    assert row["network"] == "cifar-resnet-20-a"
    assert row["runs"] == 2
    assert row["mean"] == pytest.approx(np.mean(errors))
    assert row["std"] == pytest.approx(np.std(errors, ddof=1))
    assert row["best"] == min(errors)
    assert said.err.count("36 images, 3 classes") == 1
    assert "seed 5: writing" in said.err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--seed", "0,x"], "'0,x': give one, or several as in 0,2 or 0-4"),
        (["--seed", "4-2"], "'4-2': give one, or several"),
        (["--seed", "-1"], "'-1': give one"),
        (["--seed", "0-1000000000"], "100 runs at most"),
        (["--seed", "1,2,1"], "seed 1 is named twice"),
        (["--model", ","], "give one, or several as in a,b"),
        (["--seed", "1,2", "--devices", "2"], "give one seed and one network"),
    ],
)
def test_several_that_are_not_clear(deeper, here, pets, words, part):
    said = deeper("train", pets, *words)
    assert said.status == 2
    assert part in said.err
    assert not (here / "runs").exists()


@pytest.mark.slow
def test_the_same_command_twice_at_a_time_makes_two_runs(pets, here, environment, uninterrupted):
    both = [start(command(pets), environment, here) for _ in range(2)]
    documents = [json.loads(process.communicate(timeout=300)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert len({document["run"] for document in documents}) == 2
    for document in documents:
        assert outcome(here / document["run"]) == uninterrupted


@pytest.mark.slow
@pytest.mark.parametrize("room", [0, 2_000_000])
def test_a_full_disk_is_said_and_survived(pets, here, environment, uninterrupted, room):
    """No file may grow beyond so many bytes: first the record does not fit, then the checkpoint of 3 MB."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

    words = command(pets, "--out", "run")
    done = subprocess.run(words, cwd=here, env=environment, capture_output=True, text=True, preexec_fn=limit)
    assert (done.returncode, done.stdout) == (5, "")
    *_, last = done.stderr.splitlines()
    assert last.startswith("deeper: the disk is full")
    assert last.endswith("free some space and run the same command again")
    assert "Traceback" not in done.stderr
    assert not list((here / "run").glob("**/.*.new"))
    assert not list((here / "run").glob(".run.json*"))

    done = subprocess.run(words, cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert outcome(here / "run") == uninterrupted


@pytest.mark.slow
def test_training_goes_on_when_nobody_reads_its_progress(pets, here, environment):
    words = shlex.join([*DEEPER, "train", str(pets), "--epochs", "3", "--size", "8", "--out", "run"])
    done = subprocess.run(
        f"{words} 2>&1 | head -n 2; echo ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", cwd=here, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""
    assert RunFolder(here / "run").run()["status"] == "finished"
    assert (here / "run" / "report.html").is_file()


@pytest.mark.slow
def test_too_little_memory_is_said(pets, here, environment):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))

    words = [*DEEPER, "train", str(pets), "--size", "40000", "--epochs", "1"]
    done = subprocess.run(words, cwd=here, env=environment, capture_output=True, text=True, preexec_fn=limit)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.splitlines()[-1].startswith("deeper: not enough memory; a smaller --batch or --size")
    assert "Traceback" not in done.stderr
