import json
import re
import shutil
import sys
import threading

import pytest
import torch
from PIL import Image

from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.listing import locked
from goingdeeper.runs.stored import sealed


def answer(said, status=0):
    assert said.status == status, said
    document = json.loads(said.out)
    assert document["schema"] == 1
    return document


@pytest.fixture
def copy(run, here):
    """A run to damage."""
    shutil.copytree(run, here / "run")
    return here / "run"


@pytest.fixture
def broken(pets, here):
    """`good.png`, and three files that are no images."""
    shutil.copy(pets / "cat" / "00.png", here / "good.png")
    (here / "cut.png").write_bytes((here / "good.png").read_bytes()[:300])
    (here / "page.jpg").write_text("<html>404</html>")
    (here / "empty.png").touch()
    return here


def test_evaluate_on_what_was_held_out_gives_the_score_of_training(deeper, run):
    document = answer(deeper("evaluate", run, "--json"))
    assert document.keys() >= {
        "protocol", "crops", "models", "images", "top1_error", "top5_error", "interval_95", "per_class",
    }  # fmt: skip
    result = RunFolder(run).run()["result"]
    for key in ("protocol", "images", "top1_error", "top5_error", "interval_95"):
        assert document[key] == result[key]
    assert document["cross_entropy"] == pytest.approx(result["cross_entropy"], rel=1e-4)
    assert (document["crops"], document["models"], document["failed"]) == (1, 1, [])
    assert document["per_class"].keys() <= {"cat", "dog", "owl"}
    assert sum(found["images"] for found in document["per_class"].values()) == result["images"]


def test_evaluate_on_a_folder(deeper, run, pets):
    document = answer(deeper("evaluate", run, pets, "--json"))
    assert document["images"] == 36
    assert [found["images"] for found in document["per_class"].values()] == [12, 12, 12]
    assert (
        answer(deeper("evaluate", run, pets, "--batch", "7", "--json"))["top1_error"]
        == document["top1_error"]
    )


def test_evaluate_in_words(deeper, run, pets):
    said = deeper("evaluate", run, pets)
    assert said.status == 0
    assert said.err.startswith("these images include those the run was trained on")
    assert deeper("evaluate", run).err == ""
    first, *others = said.out.splitlines()
    assert first.startswith("top-1 error ")
    assert "95 %: " in first
    assert "n = 36, 1 crop" in first
    assert re.fullmatch(
        r"calibration error [\d.]+ points: mean confidence [\d.]+ %, right [\d.]+ %", others[0]
    )
    assert re.fullmatch(r"most confused: (\w+ as \w+ \(\d+\)( · )?){1,3}", others[1])
    assert all(line.startswith("  ") and " of 12 wrong" in line for line in others[2:])


def test_evaluate_says_more_where_classes_are_uneven(deeper, run, pets, here):
    """Twelve cats, twelve dogs and seven owls: over one and a half times as many."""
    shutil.copytree(pets, here / "photos")
    for number in range(5):
        (here / "photos" / "owl" / f"{number:02}.png").unlink()
    document = answer(deeper("evaluate", run, "photos", "--json"))
    balanced, macro = f"{document['balanced_accuracy']:.2f}", f"{document['macro_f1']:.2f}"
    expected = f"classes are uneven (7 to 12 images): balanced accuracy {balanced} % · macro F1 {macro} %"
    assert deeper("evaluate", run, "photos").out.splitlines()[1] == expected
    recalls = [100 - found["error"] for found in document["per_class"].values()]
    assert document["balanced_accuracy"] == pytest.approx(sum(recalls) / 3)


def test_none_of_these(deeper, run, pets):
    said = deeper("evaluate", run, pets, "--none-of-these", "10")
    words, others = said.out.splitlines()[-3:-1]
    found = answer(deeper("evaluate", run, pets, "--none-of-these", "10", "--json"))["none_of_these"]
    plain = answer(deeper("evaluate", run, pets, "--json"))
    assert "none_of_these" not in plain
    right = 36 - sum(one["wrong"] for one in plain["per_class"].values())
    assert (found["share"], found["images"], found["right"]) == (10, 36, right)
    assert 10 * found["right_rejected"] <= right
    rejected = f"rejects {found['right_rejected']} of {right} right answers (10 % asked for)"
    assert words == f"none of these below {found['threshold']:.6f}: {rejected}"
    assert others.startswith(f"  accepts {found['accepted']} of 36, {found['coverage']:.1f} % (")
    assert f"error among these {found['error']:.2f} % (" in others
    predictions = answer(deeper("predict", run, pets, "--json"))["predictions"]
    sure = [one["top"][0]["probability"] for one in predictions]
    assert sum(p >= found["threshold"] - 1e-6 for p in sure) == found["accepted"]


def test_none_of_these_says_that_there_are_few(deeper, run):
    assert (
        "1 % is less than one: the threshold is the least certain"
        in deeper("evaluate", run, "--none-of-these", "1").out
    )


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--none-of-these", "5", "--split", "test"), "on validation images; leave out --split test"),
        (("--none-of-these", "5", "--table"), "a threshold, of one row; leave out --table"),
        (("--none-of-these", "100"), "100"),
        (("--none-of-these", "-1"), "-1"),
        (("--none-of-these", "many"), "many"),
    ],
)
def test_none_of_these_is_refused(deeper, run, words, part):
    assert part in deeper("evaluate", run, *words).refusal(2)


def test_evaluate_matches_classes_by_name(deeper, run, pets, here):
    (here / "photos").mkdir()
    shutil.copytree(pets / "owl", here / "photos" / "owl")
    document = answer(deeper("evaluate", run, "photos", "--json"))
    assert list(document["per_class"]) == ["owl"]
    whole = answer(deeper("evaluate", run, pets, "--json"))
    assert document["per_class"]["owl"] == whole["per_class"]["owl"]


def test_an_unknown_class_is_an_error(deeper, run, pets, here):
    shutil.copytree(pets, here / "photos")
    (here / "photos" / "owl").rename(here / "photos" / "eagle")
    line = deeper("evaluate", run, "photos").refusal(3)
    assert "the model has no class 'eagle'" in line
    assert "cat, dog, owl" in line


def test_evaluate_where_the_images_have_gone(deeper, pets, here, run, copy):
    record = RunFolder(copy).run()
    record["data"]["location"] = str(here / "gone")
    RunFolder(copy).write_run(record)
    line = deeper("evaluate", "run").refusal(3)
    assert str(here / "gone") in line
    assert "name a folder" in line


def test_evaluate_leaves_out_unreadable_images_below_one_per_cent(deeper, run, many, here):
    shutil.copytree(many, here / "photos")
    (here / "photos" / "cat" / "00.png").write_bytes(b"nonsense")
    said = deeper("evaluate", run, "photos", "--json")
    document = answer(said)
    assert document["images"] == 149
    (failed,) = document["failed"]
    assert failed["path"] == "cat/00.png"
    assert said.err.startswith("left out: ")
    assert "00.png" in said.err

    (here / "photos" / "dog" / "01.png").write_bytes(b"nonsense")
    line = deeper("evaluate", run, "photos").refusal(3)
    assert "2 of 150 images" in line


@pytest.mark.parametrize(
    ("images", "part"),
    [
        ("nowhere", "no file or folder nowhere"),
        ("nothing", "nothing holds no images"),
        ("texts", "texts holds no images"),
    ],
)
def test_evaluate_without_images(deeper, run, here, images, part):
    (here / "nothing").mkdir()
    (here / "texts" / "cat").mkdir(parents=True)
    (here / "texts" / "cat" / "a.txt").touch()
    assert part in deeper("evaluate", run, images).refusal(3)


def test_an_unknown_protocol(deeper, run):
    assert "did you mean 1crop" in deeper("evaluate", run, "--protocol", "1crops").refusal(2)


def test_a_model_folder_alone(deeper, run, pets, here):
    shutil.copytree(run / "model", here / "shared")
    assert answer(deeper("evaluate", "shared", pets, "--json"))["images"] == 36
    assert len(answer(deeper("predict", "shared", pets, "--json"))["predictions"]) == 36
    assert "name a folder of images" in deeper("evaluate", "shared").refusal(2)


def damage_nothing(copy):
    shutil.rmtree(copy)


def damage_model(copy):
    shutil.rmtree(copy / "model")


def damage_unfinished(copy):
    damage_model(copy)
    folder = RunFolder(copy)
    folder.write_run({**folder.run(), "status": "interrupted", "result": None})


def damage_foreign(copy):
    shutil.rmtree(copy)
    copy.mkdir()
    (copy / "notes.txt").write_text("no run")


def damage_cut(copy):
    file = copy / "model" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def damage_altered(copy):
    file = copy / "model" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-9] ^= 64
    file.write_bytes(content)


def damage_weights_gone(copy):
    (copy / "model" / "model.safetensors").unlink()


def damage_config(copy):
    file = copy / "model" / "config.json"
    file.write_text(file.read_text()[:500])


def damage_classes(copy):
    file = copy / "model" / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "classes": config["classes"][:2]}))


def damage_mean(copy):
    """The weights are whole, what is done to an image before them is not."""
    file = copy / "model" / "config.json"
    config = json.loads(file.read_text())
    config["preprocessing"]["mean"] = [0.0, 0.0, 0.0]
    file.write_text(json.dumps(config))


def damage_golden(copy):
    Image.new("RGB", (20, 20), "blue").save(copy / "model" / "golden.png")


BROKEN_RUNS = {
    "no such run": (damage_nothing, 2, ["run", "`deeper runs`"]),
    "no model": (damage_model, 2, ["run has no model", "train again"]),
    "unfinished": (damage_unfinished, 2, ["run is unfinished", "go on with: deeper train"]),
    "another folder": (damage_foreign, 2, ["run is not a run folder", "run.json"]),
    "weights cut short": (damage_cut, 3, ["model.safetensors is cut short: 1,000 of", "train again"]),
    "weights altered": (damage_altered, 6, ["model.safetensors was altered", "train again"]),
    "weights gone": (damage_weights_gone, 2, ["no model.safetensors", "train again"]),
    "config cut short": (damage_config, 3, ["config.json", "train again"]),
    "preprocessing altered": (damage_mean, 6, ["golden image", "train"]),
    "golden image altered": (damage_golden, 6, ["golden image", "train"]),
}


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
@pytest.mark.parametrize("case", BROKEN_RUNS)
def test_runs_that_cannot_be_used(deeper, copy, pets, tree, verb, case):
    damage, status, parts = BROKEN_RUNS[case]
    damage(copy)
    before = tree(copy.parent)
    for options in ((), ("--json",)):
        line = deeper(verb, "run", pets, *options).refusal(status)
        for part in parts:
            assert part in line
    assert tree(copy.parent) == before


def test_a_config_whose_classes_do_not_fit_the_weights_is_refused(deeper, copy, pets):
    damage_classes(copy)
    said = deeper("predict", "run", pets)
    assert said.status in (3, 6)
    assert (said.out, said.err.count("\n")) == ("", 1)


def test_predict_json(deeper, run, pets):
    names = [str(pets / "cat" / "00.png"), str(pets / "owl" / "11.png")]
    document = answer(deeper("predict", run, *names, "--json"))
    assert document.keys() >= {"predictions", "failed"}
    assert [found["path"] for found in document["predictions"]] == names
    assert document["failed"] == []
    for found in document["predictions"]:
        assert [set(one) for one in found["top"]] == [{"class", "probability"}] * 3
        probabilities = [one["probability"] for one in found["top"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert {one["class"] for one in found["top"]} == {"cat", "dog", "owl"}


def test_predict_agrees_with_the_predictions_of_training(deeper, run, pets):
    rows = RunFolder(run).predictions()
    said = answer(deeper("predict", run, *(pets / row["path"] for row in rows), "--top", "1", "--json"))
    for row, found in zip(rows, said["predictions"], strict=True):
        assert found["top"][0]["class"] == row["predicted"]
        assert found["top"][0]["probability"] == pytest.approx(float(row["probability"]), abs=1e-4)


def test_predict_in_words(deeper, run, pets):
    said = deeper("predict", run, pets / "cat" / "00.png", pets / "dog", "--top", "2")
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    assert len(lines) == 13
    assert lines[0].startswith(f"{pets}/cat/00.png  ")
    assert all(line.count(" %") == 2 for line in lines)


def test_more_classes_asked_for_than_there_are(deeper, run, pets):
    found = answer(deeper("predict", run, pets / "cat" / "00.png", "--top", "50", "--json"))
    assert len(found["predictions"][0]["top"]) == 3


def test_the_rest_is_done_where_some_images_are_broken(deeper, run, broken, tree):
    before = tree(broken)
    said = deeper("predict", run, "cut.png", "good.png", "page.jpg", "empty.png", "--json")
    document = answer(said, 3)
    assert [found["path"] for found in document["predictions"]] == ["good.png"]
    failed = {failure["path"]: failure["problem"] for failure in document["failed"]}
    assert failed.keys() == {"cut.png", "page.jpg", "empty.png"}
    assert all(path in problem for path, problem in failed.items())
    assert "truncated" in failed["cut.png"]
    *left_out, last = said.err.splitlines()
    assert [line.startswith("left out: ") for line in left_out] == [True] * 3
    assert last.startswith("deeper: 3 of 4 images could not be read")

    said = deeper("predict", run, "cut.png", "good.png")
    assert said.status == 3
    assert said.out.startswith("good.png  ")
    assert said.out.count("\n") == 1
    assert tree(broken) == before


@pytest.mark.parametrize(
    ("images", "part"),
    [(["nowhere.png"], "nowhere.png cannot be read: No such file"), (["bare"], "bare holds no images")],
)
def test_predict_without_images(deeper, run, here, images, part):
    (here / "bare").mkdir()
    assert part in deeper("predict", run, *images).refusal(3)


def test_a_test_set_is_seen_by_no_training_and_scored_on_request(deeper, here, pets):
    words = ("train", pets, "--epochs", 1, "--size", 16, "--test-share", 0.25, "--fold", "2/3")
    said = deeper(*words, "--out", "one")
    assert said.status == 0, said
    assert "18 train / 9 validation / 9 test (stratified, seed 0, fold 2 of 3)" in said.err
    rows = RunFolder(here / "one").split()
    assert sorted({row["split"] for row in rows}) == ["test", "train", "val"]
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
    found = answer(deeper("evaluate", "one", "--split", "test", "--json"))
    assert found["images"] == 9
    assert answer(deeper("evaluate", "one", "--json"))["images"] == 9

    assert deeper("train", pets, "--epochs", 1, "--size", 16, "--split", "one", "--out", "two").status == 0
    assert RunFolder(here / "two").split() == rows


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--fold", "6/5"), "--fold 6/5: not of the form 2/5"),
        (("--fold", "1/1"), "--fold 1/1: not of the form 2/5"),
        (("--test-share", "1"), "--test-share 1: a share from 0 to 0.9 is needed"),
        (("--split", "nowhere"), "--split nowhere: there is no split.csv"),
        (("--split", "nowhere", "--fold", "1/2"), "leave out --fold and --test-share"),
    ],
)
def test_what_cannot_be_held_out(deeper, here, pets, words, part):
    assert part in deeper("train", pets, *words).refusal(2)
    assert not (here / "runs").exists()


def test_a_run_without_a_test_set(deeper, run):
    assert "holds no test images" in deeper("evaluate", run, "--split", "test").refusal(3)


def test_the_test_images_that_a_source_has(deeper, here, pets, run):
    shutil.copytree(pets, here / "photos" / "train")
    shutil.copytree(pets / "cat", here / "photos" / "test" / "cat")
    found = answer(deeper("evaluate", run, "photos", "--split", "test", "--json"))
    assert found["images"] == 12 and found["per_class"].keys() == {"cat"}
    assert answer(deeper("evaluate", run, "photos", "--json"))["images"] == 36
    assert deeper("train", "photos", "--epochs", 1, "--size", 16, "--out", "one").status == 0
    assert {row["split"] for row in RunFolder(here / "one").split()} == {"train", "val"}
    assert answer(deeper("evaluate", "one", "--split", "test", "--json"))["images"] == 12


def test_runs(deeper, run, here, pets):
    for name, status in (
        ("2026-01-02_b", "interrupted"),
        ("2026-01-03_c", "running"),
        ("2026-01-01_a", None),
    ):
        shutil.copytree(run, here / "runs" / name)
        if status:
            folder = RunFolder(here / "runs" / name)
            folder.write_run({**folder.run(), "status": status, "result": None})
    (here / "runs" / "2026-01-04_d").mkdir()
    (here / "runs" / "2026-01-04_d" / "run.json").write_text("{")
    said = deeper("runs", "--json")
    rows = answer(said)["runs"]
    assert [row["run"] for row in rows] == ["runs/2026-01-03_c", "runs/2026-01-02_b", "runs/2026-01-01_a"]
    for row in rows:
        assert row.keys() >= {"run", "network", "data", "val_error", "interval_95"}
        assert row["data"] == "pets"
    # Nobody works on c: the process that wrote "running" was killed.
    assert [row["status"] for row in rows] == ["interrupted", "interrupted", "finished"]
    result = RunFolder(run).run()["result"]
    assert [row["val_error"] for row in rows] == [None, None, result["top1_error"]]
    assert rows[2]["interval_95"] == result["interval_95"]
    assert "2026-01-04_d" in said.err
    assert said.err.count("\n") == 1

    with locked(RunFolder(here / "runs" / "2026-01-03_c")):
        assert answer(deeper("runs", "--json"))["runs"][0]["status"] == "running"
    lines = deeper("runs").out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "interrupted",
        "interrupted",
        f"{result['top1_error']:.2f}",
    ]


def test_no_runs_yet(deeper, here):
    (here / "runs").mkdir()
    said = deeper("runs")
    assert (said.status, said.out) == (0, "")
    assert "runs holds no runs" in said.err
    assert answer(deeper("runs", "--json"))["runs"] == []


def test_the_state_of_torch_stays(deeper, run, pets):
    torch.manual_seed(3)
    before = torch.get_rng_state(), torch.get_num_threads(), torch.is_grad_enabled(), threading.active_count()
    assert deeper("evaluate", run, pets).status == 0
    assert deeper("predict", run, pets).status == 0
    after = torch.get_rng_state(), torch.get_num_threads(), torch.is_grad_enabled(), threading.active_count()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_none_of_these_is_chosen_and_used(deeper, run, pets):
    """Of the images that were right, those below the printed threshold are as many as were said."""
    said = deeper("evaluate", run, pets, "--none-of-these", 20)
    assert said.status == 0
    rejected = int(re.search(r"rejects (\d+) of \d+ right answers", said.out)[1])
    accepted = int(re.search(r"accepts (\d+) of 36", said.out)[1])
    threshold = re.fullmatch(
        r"next:  deeper predict \S+ IMAGE --threshold (0\.\d{6})", said.out.splitlines()[-1]
    )[1]
    found = answer(deeper("predict", run, pets, "--threshold", threshold, "--json"))["predictions"]
    kept = [one for one in found if not one["none_of_these"]]
    assert 0 < rejected and len(kept) == accepted < 36
    assert all(
        (one["top"][0]["probability"] >= float(threshold)) is not one["none_of_these"] for one in found
    )
    lines = deeper("predict", run, pets, "--threshold", threshold).out.splitlines()
    assert sum("  none of these   (" in line for line in lines) == 36 - accepted
    assert "none_of_these" not in answer(deeper("predict", run, pets, "--json"))["predictions"][0]
    assert "threshold" in deeper("predict", run, pets, "--threshold", 2).refusal(2)
    assert "next:" not in deeper("evaluate", run, pets, "--none-of-these", 20, "--protocol", "10crop").out


@pytest.fixture
def exported(deeper, copy):
    """A run to damage, with its export."""
    assert deeper("export", copy, "--to", "onnx").status == 0
    return copy / "export" / "onnx"


def recommend(run, export):
    """As `deeper bench` writes it."""
    config = json.loads((run / "model/config.json").read_text("utf-8"))
    config["recommended"] = {"export": export, "threads": 1}
    (run / "model/config.json").write_bytes(sealed(config))


def test_predict_from_an_export(deeper, run, exported, broken, pets):
    """The run's words and JSON; what cannot be read is left out, too."""
    assert deeper("predict", exported, pets).out == deeper("predict", run, pets).out
    theirs = answer(deeper("predict", run, pets, "--top", 5, "--json"))["predictions"]
    for mine, own in zip(
        answer(deeper("predict", exported, pets, "--top", 5, "--json"))["predictions"], theirs, strict=True
    ):
        assert [one["class"] for one in mine["top"]] == [one["class"] for one in own["top"]]
        probabilities = [[one["probability"] for one in top] for top in (mine["top"], own["top"])]
        assert probabilities[0] == pytest.approx(probabilities[1], abs=1e-5)
    said = deeper("predict", exported, broken / "good.png", broken / "cut.png", broken / "page.jpg")
    assert said.status == 3 and said.out.count("\n") == 1
    assert said.err.endswith("deeper: 2 of 3 images could not be read\n")


def test_predict_uses_the_export_that_is_recommended(deeper, copy, exported, pets, monkeypatch):
    image = pets / "cat/00.png"
    plain = deeper("predict", copy, image)
    recommend(copy, "export/onnx")
    with monkeypatch.context() as patch:  # the weights themselves are not read
        (copy / "model/model.safetensors").rename(copy / "aside")
        said = deeper("predict", copy, image)
        assert (said.status, said.out) == (0, plain.out)
        assert said.err == "answered by export/onnx, as `deeper bench` recommended\n"
        (copy / "aside").rename(copy / "model/model.safetensors")
        patch.setitem(sys.modules, "onnxruntime", None)
        said = deeper("predict", copy, image)
    assert (said.status, said.out) == (0, plain.out)
    assert said.err == (
        "ONNX Runtime is not installed: pip install 'goingdeeper[onnx]'; the run itself answers\n"
    )
    shutil.rmtree(exported)
    said = deeper("predict", copy, image)
    assert said.out == plain.out
    command = f"deeper export {copy} --to onnx"
    assert f"which is recommended, is not there yet; `{command}` makes it; the run itself answers" in said.err


def alter(folder, edit):
    config = json.loads((folder / "config.json").read_text("utf-8"))
    edit(config)
    (folder / "config.json").write_bytes(sealed(config))


def model_file(content):
    return lambda folder: (folder / "model.onnx").write_bytes(content)


BAD_EXPORTS = {
    "altered": (model_file(b"x" * 10**7), 6, "model.onnx was altered"),
    "cut short": (model_file(b"x"), 3, "model.onnx is cut short: 1 of"),
    "gone": (lambda folder: (folder / "model.onnx").unlink(), 3, "has no model.onnx; restore it or export"),
    "unfinished": (lambda folder: (folder / "config.json").unlink(), 2, "is no finished export"),
    "another schema": (lambda folder: alter(folder, lambda config: config.update(schema=9)), 3, "(schema 1)"),
    "other logits": (
        lambda folder: alter(folder, lambda config: config["golden"]["logits"].__setitem__(0, 9.0)),
        6, "does not prove itself",
    ),
    "another runtime": (
        lambda folder: alter(folder, lambda config: config.update(runtime="abacus")),
        3, "no runtime 'abacus'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_EXPORTS)
def test_exports_that_cannot_be_used(deeper, exported, pets, case):
    damage, status, part = BAD_EXPORTS[case]
    damage(exported)
    assert part in deeper("predict", exported, pets / "cat/00.png").refusal(status)


def test_an_export_without_its_runtime(deeper, exported, pets, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    line = deeper("predict", exported, pets / "cat/00.png").refusal(4)
    assert "pip install 'goingdeeper[onnx]'" in line


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "EXPORT"),
        ("features", "EXPORT", "PETS", "-o", "f.npz"),
        ("export", "EXPORT", "--to", "onnx"),
    ],
)
def test_other_verbs_want_the_run(deeper, exported, pets, here, words):
    said = deeper(*({"EXPORT": exported, "PETS": pets}.get(word, word) for word in words))
    assert "is an export, which predicts and no more; name the run that it was made from" in said.refusal(2)
