import json
import re
import shutil

import pytest

from goingdeeper.runs.folder import RunFolder

HEADING = ("path", "true", "predicted", "probability", "probability_true")


@pytest.fixture
def pair(run, here):
    """Two runs that held out the same images: the first mistakes five of them, the second one of these."""
    for name, wrong in (("one", 5), ("two", 1)):
        shutil.copytree(run, here / name)
        rows = RunFolder(here / name).predictions()
        predicted = ["dog" if row["true"] != "dog" else "cat" for row in rows[:wrong]]
        predicted += [row["true"] for row in rows[wrong:]]
        rows = [
            (row["path"], row["true"], one, "0.9", "0.1") for row, one in zip(rows, predicted, strict=True)
        ]
        rows = rows[::-1] if name == "two" else rows  # the order of the rows is no matter
        RunFolder(here / name).write_rows("predictions.csv", HEADING, rows)
    return here


def test_compare_what_both_held_out(deeper, pair):
    images = len(RunFolder(pair / "one").predictions())
    said = deeper("compare", "one", "two", "--json")
    assert (said.status, said.err) == (0, "")
    document = json.loads(said.out)
    assert document["schema"] == 1
    assert (document["images"], document["only_a_wrong"], document["only_b_wrong"]) == (images, 4, 0)
    assert (document["both_wrong"], document["both_right"]) == (1, images - 5)
    assert document["difference"] == pytest.approx(-400 / images)
    low, high = document["interval_95"]
    assert low < document["difference"] < high
    assert (document["p"], document["p_exact"]) == (pytest.approx(1 / 16), pytest.approx(1 / 8))
    first, second = document["runs"]
    result = RunFolder(pair / "one").run()["result"]
    assert first == {
        "run": "one", "network": "cifar-resnet-20-a", "data": "pets", "val_error": result["top1_error"],
        "interval_95": result["interval_95"], "error": pytest.approx(500 / images),
        "error_interval_95": first["error_interval_95"],
    }  # fmt: skip
    assert second["error"] == pytest.approx(100 / images)


def test_compare_in_words(deeper, pair):
    said = deeper("compare", "one", "two")
    assert (said.status, said.err) == (0, "")
    first, second, wrong, difference, verdict = said.out.splitlines()
    assert re.fullmatch(r"one  error [\d.]+ % \(95 %: [\d.]+ to [\d.]+, n = \d+\)  cifar-resnet-20-a", first)
    assert second.startswith("two  error ")
    assert re.fullmatch(r"wrong: both 1 · only the first 4 · only the second 0 · neither \d+", wrong)
    assert re.fullmatch(
        r"second minus first: -[\d.]+ points \(95 %: -[\d.]+ to [+-][\d.]+\) · p = 0\.063 \(McNemar, mid-p\)",
        difference,
    )
    document = json.loads(deeper("compare", "one", "two", "--json").out)
    assert verdict == document["verdict"]
    assert (document["better"] == "b") == (document["interval_95"][1] < 0)


def test_a_run_is_not_better_than_itself(deeper, run):
    document = json.loads(deeper("compare", run, run, "--json").out)
    assert (document["difference"], document["p"], document["better"]) == (0, 1, None)


def test_compare_on_images(deeper, run, pets, here):
    """A model folder will do; both give the answers that `evaluate` counts."""
    shutil.copytree(run / "model", here / "model")
    said = deeper("compare", run, "model", pets, "--json")
    assert said.status == 0
    assert said.err == f"these images include those that {run} was trained on\n"
    document = json.loads(said.out)
    score = json.loads(deeper("evaluate", run, pets, "--json").out)
    wrong = sum(found["wrong"] for found in score["per_class"].values())
    assert (document["images"], document["both_wrong"], document["both_right"]) == (36, wrong, 36 - wrong)
    for one in document["runs"]:
        assert one["error"] == score["top1_error"]
        assert one["error_interval_95"] == score["interval_95"]
        result = RunFolder(run).run()["result"]
        assert (one["val_error"], one["interval_95"]) == (result["top1_error"], result["interval_95"])
    assert document["failed"] == []


def test_compare_names_what_cannot_be_read(deeper, run, many, here):
    shutil.copytree(many, here / "photos")
    (here / "photos" / "cat" / "00.png").write_bytes(b"nonsense")
    said = deeper("compare", run, run, "photos", "--json")
    document = json.loads(said.out)
    assert document["images"] == 149
    assert [one["path"] for one in document["failed"]] == ["cat/00.png"]
    assert said.err.startswith("left out: ")


def test_data_that_changed_between_the_runs_are_told_of(deeper, pair):
    record = RunFolder(pair / "two").run()
    record["data"]["fingerprint"] = "another"
    RunFolder(pair / "two").write_run(record)
    said = deeper("compare", "one", "two")
    assert said.status == 0
    assert said.err.startswith("the runs' data are not quite the same")
    assert said.err.count("\n") == 1


def test_runs_that_held_out_other_images(deeper, pair):
    rows = RunFolder(pair / "two").predictions()
    RunFolder(pair / "two").write_rows("predictions.csv", HEADING, [list(row.values()) for row in rows[1:]])
    line = deeper("compare", "one", "two").refusal(2)
    assert "1 of one alone, 0 of two alone; train one with --split one" in line
    assert "or name images to score both on" in line


def test_other_classes_are_named(deeper, pair, pets):
    for name, change in (("one", ["cat", "dog", "owl"]), ("two", ["cat", "dog", "emu"])):
        record = RunFolder(pair / name).run()
        RunFolder(pair / name).write_run({**record, "classes": change})
    assert "(one lacks emu; two lacks owl)" in deeper("compare", "one", "two").refusal(2)


@pytest.mark.parametrize("images", [(), ("pets",)])
def test_what_cannot_be_compared(deeper, pair, pets, images):
    images = (pets,) if images else ()
    assert "there is no run folder three" in deeper("compare", "one", "three", *images).refusal(2)
    (pair / "empty").mkdir()
    assert "empty is not a run folder" in deeper("compare", "empty", "one", *images).refusal(2)
    shutil.rmtree(pair / "two" / "model")
    record = RunFolder(pair / "two").run()
    RunFolder(pair / "two").write_run({**record, "status": "interrupted", "result": None})
    line = deeper("compare", "one", "two", *images).refusal(2)
    assert "two is unfinished" in line
    assert f"go on with: {record['command']} --out two" in line


def test_a_model_folder_has_no_predictions(deeper, run, here):
    shutil.copytree(run / "model", here / "model")
    assert "model is a model folder, which keeps no predictions; name images" in deeper(
        "compare", run, "model"
    ).refusal(2)
