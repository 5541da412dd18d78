"""`deeper evaluate` by protocols, with several runs, as a table and as a picture."""

import csv
import json
import shutil

import pytest
from PIL import Image

from goingdeeper.runs.folder import RunFolder


def answer(said):
    assert said.status == 0, said
    return json.loads(said.out)


@pytest.fixture
def copy(run, here):
    """The run's folder beside it, as a second model of an ensemble."""
    shutil.copytree(run, here / "again")
    return here / "again"


def test_a_protocol_in_words_and_as_json(deeper, run, pets):
    said = deeper("evaluate", run, "--protocol", "10crop")
    assert said.status == 0
    assert ", 10 crops)" in said.out
    found = answer(deeper("evaluate", run, "--protocol", "10crop", "--json"))
    assert (found["protocol"], found["crops"], found["models"]) == ("10crop", 10, 1)
    dense = answer(deeper("evaluate", run, pets, "--protocol", "dense", "--json"))
    assert (dense["protocol"], dense["crops"], dense["images"]) == ("dense", None, 36)


def test_a_run_with_itself_scores_as_alone(deeper, run, copy, pets):
    alone = answer(deeper("evaluate", run, pets, "--json"))
    both = answer(deeper("evaluate", run, copy, pets, "--json"))
    assert both["models"] == 2
    for key in ("images", "top1_error", "top5_error", "interval_95"):
        assert both[key] == alone[key]
    assert ", 2 models, 1 crop)" in deeper("evaluate", run, copy).out


def test_the_table(deeper, run, copy, pets):
    said = deeper("evaluate", run, copy, "--table")
    assert said.status == 0
    head, *rows, last = said.out.splitlines()
    assert head.split() == [
        "models",
        "crops",
        "cost",
        "top-1",
        "error",
        "(95",
        "%)",
        "to",
        "base",
        "(95",
        "%)",
    ]
    assert [row.split()[:3] for row in rows] == [
        ["1", "1", "1"], ["1", "10", "10"], ["2", "1", "2"], ["2", "10", "20"],
    ]  # fmt: skip
    assert rows[0].endswith("base")
    assert last.startswith(f"n = {RunFolder(run).run()['result']['images']};")
    names = "1crop,144crop,dense"
    found = answer(deeper("evaluate", run, pets, "--table", "--protocol", names, "--json"))["rows"]
    assert [(row["protocol"], row["crops"], row["cost"]) for row in found] == [
        ("1crop", 1, 1), ("144crop", 144, 144), ("dense", None, None),
    ]  # fmt: skip
    # The same images with the same answers do not differ, and the interval holds 0.
    same = answer(deeper("evaluate", run, copy, "--table", "--protocol", "1crop", "--json"))["rows"][1]
    assert same["difference"] == 0
    assert same["difference_95"][0] <= 0 <= same["difference_95"][1]


def test_predictions_as_csv(deeper, run, here):
    assert deeper("evaluate", run, "--predictions", "p.csv").status == 0
    with (here / "p.csv").open(newline="") as stream:
        found = list(csv.DictReader(stream))
    with (run / "predictions.csv").open(newline="") as stream:
        trained = list(csv.DictReader(stream))
    for one, other in zip(found, trained, strict=True):
        assert [one[key] for key in ("path", "true", "predicted")] == [
            other[key] for key in ("path", "true", "predicted")
        ]
        assert float(one["probability"]) == pytest.approx(float(other["probability"]), abs=1e-4)


@pytest.mark.parametrize(("with_run", "size"), [(False, 224), (True, 16)])
def test_the_views_of_an_image_are_drawn(deeper, run, pets, here, with_run, size):
    words = [run] if with_run else []
    said = deeper("evaluate", *words, "--show-views", pets / "cat" / "00.png", "--protocol", "144crop")
    assert (said.status, said.out) == (0, "00_144crop.png\n")
    with Image.open(here / "00_144crop.png") as drawn:
        assert drawn.format == "PNG"
        colours = {colour for _, colour in drawn.convert("RGB").getcolors(1 << 24)}
    # The colours of the first five frames; the sixth lies on the others' borders.
    assert {(0xE6, 0x55, 0x0D), (0x31, 0x82, 0xBD), (0x31, 0xA3, 0x54), (0x75, 0x6B, 0xB1)} <= colours
    assert deeper("evaluate", "--show-views", pets / "cat" / "00.png", "--out", "v.png").out == "v.png\n"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--protocol", "10crops"], "unknown protocol '10crops'; did you mean 10crop"),
        (["--protocol", "1crop,10crop"], "one protocol, or several with --table"),
        (["--protocol", "1crop,x", "--table"], "unknown protocol 'x'"),
        (["--devices", "0"], "'--devices'"),
        (["--device", "abacus"], "abacus"),
        (["--predictions", "no/such/p.csv"], "--predictions no/such/p.csv: there is no folder no/such"),
        (["--out", "v.png"], "--out is for --show-views"),
        (["--show-views", "a.jpg", "--out", "v.svg"], "the picture is a PNG"),
    ],
)
def test_what_cannot_be_asked_for(deeper, run, words, part):
    assert part in deeper("evaluate", run, *words).refusal(2)


def test_no_run_at_all(deeper, here):
    assert "no RUN is given; `deeper runs` lists what there is" in deeper("evaluate").refusal(2)


def test_views_of_what_is_no_image(deeper, here):
    (here / "a.png").write_text("no picture")
    assert "a.png is not an image" in deeper("evaluate", "--show-views", "a.png").refusal(3)
    assert "b.png cannot be read" in deeper("evaluate", "--show-views", "b.png").refusal(3)
