"""The report: one strict, offline HTML file with the numbers of the run folder in it."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from goingdeeper.errors import DataError
from goingdeeper.layers import CLASSES, Conv, GlobalAvgPool, Linear, Network
from goingdeeper.notation import to_data
from goingdeeper.reports.report import axis_end, write_report
from goingdeeper.runs.folder import RunFolder

CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
VOID = {"meta", "br", "img", "link", "hr", "input"}
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</style></title></svg>",
    "{{ 7 * 7 }}",
    "🦊",
    "a" * 300,
    "مرحبا\u202e",
]


class Page(HTMLParser):
    """Tags, texts and what a page would fetch or run; fails on tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.styles: list[str] = []
        self.inside: list[str] = []
        self.feed(html)
        self.close()
        assert self.inside == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.styles if self.inside[-1:] == ["style"] else self.texts).append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        """Everything that is read, one space between words."""
        return re.sub(r"\s+", " ", "".join(self.texts))


def network(classes: int) -> Network:
    layers = {"conv": Conv(4, 3), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}
    return Network("tiny", layers, input=(3, 8, 8), classes=classes)


def run_folder(
    path: Path,
    classes: Sequence[str] = ("cat", "dog", "emu"),
    predictions: Sequence[tuple[str, str, str, float, float]] = (),
    epochs: int = 3,
    finished: bool = True,
    **changes: Any,
) -> RunFolder:
    """A run of three epochs whose error falls to 40, 20 and 25 per cent."""
    folder = RunFolder(path)
    path.mkdir(parents=True, exist_ok=True)
    columns = ("epoch", "train_loss", "train_error", "val_loss", "val_error", "learning_rate",
               "images_per_second", "data_wait", "seconds")  # fmt: skip
    rows = [
        (1, 1.1, 50, 1.0, 40, 0.1, 90, 4, 10),
        (2, 0.6, 30, 0.7, 20, 0.05, 100, 3, 20),
        (3, 0.4, 10, 0.8, 25, 0.01, 95, 2, 30),
    ]
    folder.write_rows("metrics.csv", columns, rows[:epochs])
    result = {
        "epochs": 3, "best_epoch": 2, "seconds": 401.2, "images_per_second": 210.0, "protocol": "1crop",
        "images": 8, "top1_error": 25.0, "top5_error": None,
        "interval_95": [7.148, 59.072], "cross_entropy": 0.8125,
        "latency_ms": {"batch": 1, "p50": 3.1, "p90": 3.44, "device": "cpu", "threads": 2},
    }  # fmt: skip
    if finished:
        heading = ("path", "true", "predicted", "probability", "probability_true")
        folder.write_rows("predictions.csv", heading, predictions)
    folder.write_run({
        "schema": 1, "version": "0.1.0", "status": "finished" if finished else "interrupted",
        "command": "deeper train 'my photos' --epochs 3", "network": "tiny",
        "reasons": [{"what": "size", "value": "8x8", "why": "the median image"}],
        "description": to_data(network(len(classes))), "classes": list(classes),
        "data": {
            "source": "my photos", "name": "photos", "images": 40, "train": 32, "val": 8,
            "per_class": {name: {"train": 10 + n, "val": 2} for n, name in enumerate(classes)},
            "sizes": {"smallest": [48, 40], "median": [64, 64], "largest": [512, 480]},
            "split": "stratified, seed 0", "duplicates": 3, "problems": [], "fingerprint": "ab12cd34" * 8,
        },
        "epochs": 3,
        "recipe": {"name": "scratch", "epochs": 3, "optimiser": {"rate": 0.05, "nesterov": True},
                   "steps": [{"crop": 4}, {"flip": 0.5}], "mixup": None},
        "seed": 17, "device": "cpu", "threads": 2, "versions": {"python": "3.11.7", "torch": "2.13.0"},
        "machine": "x86_64, 2 CPUs", "started": "2026-11-20T18:04:05",
        "result": result if finished else None, **changes,
    })  # fmt: skip
    return folder


# Eight images, two mistakes: cat 3 of 3 right, dog 1 of 3 wrong, emu 1 of 2 wrong.
EIGHT = [
    ("c/1.png", "cat", "cat", 0.99, 0.99),
    ("c/2.png", "cat", "cat", 0.98, 0.98),
    ("c/3.png", "cat", "cat", 0.70, 0.70),
    ("d/1.png", "dog", "dog", 0.90, 0.90),
    ("d/2.png", "dog", "cat", 0.61, 0.25),
    ("d/3.png", "dog", "dog", 0.95, 0.95),
    ("e/1.png", "emu", "dog", 0.876, 0.0321),
    ("e/2.png", "emu", "emu", 0.55, 0.55),
]


def png(colour: tuple[int, int, int] = (10, 200, 30)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (90, 60), colour).save(stream, "PNG")
    return stream.getvalue()


def gone(path: str) -> None:
    return None


def written(folder: RunFolder, picture: Callable[[str], bytes | None] = gone) -> Page:
    file = write_report(folder, picture)
    assert file == folder.path / "report.html"
    return Page(file.read_text("utf-8"))


def check_strict(page: Page) -> None:
    """No scripts, nothing from elsewhere, ids that are unique and exist where they are pointed at."""
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form", "audio", "video"}
    assert {"http-equiv": "Content-Security-Policy", "content": CSP} in page.all("meta")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in {"src", "srcset", "action", "poster", "background"} & set(attributes):
            assert (tag, name) == ("img", "src")
            assert attributes[name].startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
        for name in {"href", "xlink:href"} & set(attributes):
            assert attributes[name][0] == "#"
            assert attributes[name][1:] in ids
        for name in set(attributes) - {"src", "title", "alt"}:
            assert all(found in ids for found in re.findall(r"url\(#?([^)]*)\)", attributes[name]))
    assert len(page.styles) == 1
    assert not re.search(r"url\(|@import|http", page.styles[0])


def rows(page_html: str, class_: str) -> list[list[str]]:
    """The cells of a table of the page, tags left out."""
    body = re.search(rf'<table class="{class_}[^>]*>.*?<tbody>(.*?)</tbody>', page_html, re.DOTALL)
    assert body
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in body[1].split("</tr>")[:-1]]
    return [[re.sub("<[^>]*>", "", cell).replace("&nbsp;", " ") for cell in row] for row in cells]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    folder = run_folder(tmp_path_factory.mktemp("run"), predictions=EIGHT)
    file = write_report(folder, lambda path: None if path == "d/2.png" else png())
    html = file.read_text("utf-8")
    return html, Page(html)


def test_the_page_is_strict_and_whole(finished):
    _, page = finished
    check_strict(page)
    assert page.tags[0] == ("html", {"lang": "en"})
    assert page.all("meta")[0] == {"charset": "utf-8"}
    assert all(image["alt"] for image in page.all("img"))
    assert all("role" in svg or svg.get("aria-hidden") == "true" for svg in page.all("svg"))


def test_headings_are_in_order(finished):
    _, page = finished
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_headline_carries_interval_protocol_and_number(finished):
    _, page = finished
    assert "25.0 % validation error, 1 crop" in page.text
    assert "95 % interval 7.1 to 59.1 %, n = 8" in page.text
    assert "2 of 3, the best" in page.text
    assert "6 min 41 s on cpu" in page.text
    assert "20 November 2026, 18:04" in page.text
    assert "0.812 nats" in page.text


def test_the_headline_is_honest_about_its_choice_and_its_small_number(finished):
    _, page = finished
    assert "Epoch 2 was chosen because it did best on these same 8 images" in page.text
    assert "One image in 8 is 12.5 percentage points" in page.text


def test_many_images_need_no_warning(tmp_path):
    folder = run_folder(tmp_path)
    run = folder.run()
    folder.write_run(run | {"result": run["result"] | {"images": 50000}})
    assert "One image in" not in written(folder).text


@pytest.mark.parametrize(("classes", "shown"), [("abcde", False), ("abcdef", True)])
def test_top_5_is_shown_from_six_classes_on(tmp_path, classes, shown):
    folder = run_folder(tmp_path, list(classes))
    run = folder.run()
    folder.write_run(run | {"result": run["result"] | {"top5_error": 3.125}})
    assert ("Top-5 error3.1 %" in written(folder).text) is shown


def test_the_confusion_matrix_counts_the_csv(finished):
    html, page = finished
    assert rows(html, "matrix") == [["cat", "3", "·", "·"], ["dog", "1", "2", "·"], ["emu", "·", "1", "1"]]
    assert re.findall(r'<td class="right" style="--share:([\d.]+)">', html) == ["1.000", "0.667", "0.500"]
    assert re.findall(r'<td class="wrong" style="--share:([\d.]+)">', html) == ["0.333", "0.500"]
    assert "2 of 8 validation images are classified wrongly" in page.text


def test_errors_by_class_carry_wilson_intervals(finished):
    # z^2 = 3.841: 0 of 3 reaches z^2/(3+z^2) = 56.1 %; 1 of 2 is 50 -+ 40.5 by symmetry.
    html, _ = finished
    assert [row[:4] for row in rows(html, "figures errors")] == [
        ["cat", "0 of 3", "0.0 %", "0.0 to 56.1"],
        ["dog", "1 of 3", "33.3 %", "6.1 to 79.2"],
        ["emu", "1 of 2", "50.0 %", "9.5 to 90.5"],
    ]


def test_mistakes_are_pictured_most_confident_first_and_missing_images_are_named(finished):
    html, page = finished
    (image,) = page.all("img")
    assert base64.b64decode(image["src"].partition(",")[2]) == png()
    assert image["alt"] == "A validation image of class emu, taken for dog"
    assert (image["width"], image["height"]) == ("90", "60")
    section = html[html.index('id="mistakes"') : html.index('id="cost"')]
    assert section.index("87.6") < section.index("e/1.png") < section.index("61.0") < section.index("d/2.png")
    assert section.count("image not found") == 1
    for figure in ("87.6\N{NO-BREAK SPACE}%", "3.2\N{NO-BREAK SPACE}%", "25.0\N{NO-BREAK SPACE}%"):
        assert figure in section
    assert "All 2 mistakes" in page.text


def test_data_cost_and_configuration_are_told(finished):
    _, page = finished
    # By hand: 3x3x3x4 weights and 4x3 + 3; 108 multiply-adds at 64 places and 12.
    assert "123" in page.text
    assert "6.92K" in page.text
    for words in ("48 × 40 to 512 × 480, median 64 × 64", "stratified, seed 0", "the median image",
                  "ab12cd34", "deeper train 'my photos' --epochs 3", "x86_64, 2 CPUs", "3.1 ms median",
                  "210 images/s", "nesterov", "2.13.0"):  # fmt: skip
        assert words in page.text
    assert "11 training, + 2 validation" in page.text


def test_the_report_is_small_and_the_same_each_time(tmp_path):
    folder = run_folder(tmp_path, predictions=EIGHT)
    first = write_report(folder, lambda path: png()).read_bytes()
    assert write_report(folder, lambda path: png()).read_bytes() == first
    assert len(first) < 200_000


@pytest.mark.parametrize("count", [7, 24, 70])
def test_no_mistakes_shows_the_least_certain_answers(tmp_path, count):
    right = [(f"{n}.png", "cat", "cat", 0.9 - n / 1000, 0.9 - n / 1000) for n in range(count)]
    page = written(run_folder(tmp_path, predictions=right), lambda path: png())
    shown = min(count, 24)
    assert "There are no mistakes on the validation images." in page.text
    assert f"{shown} right answers were given with the least confidence" in page.text
    assert len(page.all("img")) == shown
    assert f"{count - 1}.png" in page.text
    assert ("0.png" in re.findall(r"\d+\.png", page.text)) is (count <= 24)


def test_beside_each_mistake_is_what_speaks_for_it(tmp_path):
    asked = []

    def heat(path: str, name: str) -> bytes | None:
        asked.append((path, name))
        return png((200, 0, 0)) if path == "e/1.png" else None

    folder = run_folder(tmp_path, predictions=EIGHT)
    page = Page(write_report(folder, lambda path: png(), heat).read_text("utf-8"))
    check_strict(page)
    assert asked == [("e/1.png", "dog"), ("d/2.png", "cat")]
    assert [image["alt"] for image in page.all("img")] == [
        "A validation image of class emu, taken for dog",
        "What speaks for dog in it",
        "A validation image of class dog, taken for cat",
    ]
    assert "what speaks for the wrong answer: Grad-CAM at conv" in page.text
    assert "Grad-CAM" not in written(folder, lambda path: png()).text


def test_gradients_are_drawn_by_depth(tmp_path):
    folder = run_folder(tmp_path, predictions=EIGHT)
    assert "Gradient by depth" not in written(folder).text
    rows = [(n, layer, norm / n) for n in (1, 2, 3) for layer, norm in (("conv.conv", 3), ("fc", 6))]
    folder.write_rows("gradients.csv", ("epoch", "layer", "norm"), rows)
    page = written(folder)
    check_strict(page)
    words = "Gradient by depth (L2 norm, log scale), epochs 1 to 3: conv from 3 to 1, fc from 6 to 2"
    assert words in page.text
    folder.write_rows("gradients.csv", ("epoch", "layer", "norm"), [(1, "fc", "much")])
    with pytest.raises(DataError, match=r"gradients\.csv is damaged: could not convert"):
        written(folder)


def test_only_24_of_many_mistakes_are_pictured(tmp_path):
    wrong = [(f"{n:03}.png", "cat", "dog", 0.5 + n / 100, 0.1) for n in range(40)]
    page = written(run_folder(tmp_path, predictions=wrong), lambda path: png())
    assert "24 of the 40 mistakes" in page.text
    assert len(page.all("img")) == 24
    assert "039.png" in page.text
    assert "015.png" not in page.text


def test_many_classes_list_confused_pairs_instead_of_a_matrix(tmp_path):
    classes = [f"class {n}" for n in range(21)]
    predictions = [(f"{n}.png", "class 3", "class 20", 0.9, 0.1) for n in range(4)]
    predictions += [("x.png", "class 3", "class 3", 0.9, 0.9), ("y.png", "class 5", "class 6", 0.8, 0.1)]
    html = write_report(run_folder(tmp_path, classes, predictions), gone).read_text("utf-8")
    assert '<table class="matrix' not in html
    assert rows(html, "figures pairs") == [
        ["class 3", "class 20", "4", "80.0\N{NO-BREAK SPACE}%"],
        ["class 5", "class 6", "1", "100\N{NO-BREAK SPACE}%"],
    ]
    assert "19 classes have" in Page(html).text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(("status", "words"), [("interrupted", "It was interrupted"), ("running", "running")])
@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_an_unfinished_run_says_so(tmp_path, status, words, epochs):
    page = written(run_folder(tmp_path, finished=False, status=status, epochs=epochs))
    check_strict(page)
    assert "This run is not finished." in page.text
    assert words in page.text
    assert "predictions are written when the run has finished" in page.text
    best = {0: "no validation error yet", 1: "40.0 %", 3: "20.0 %"}[epochs]
    assert best in page.text
    assert "no epoch has ended yet" in page.text if epochs == 0 else f"{epochs} of 3" in page.text


def test_a_run_without_its_predictions_says_so(tmp_path):
    folder = run_folder(tmp_path, predictions=EIGHT)
    (tmp_path / "predictions.csv").unlink()
    assert "predictions.csv is not in the run folder" in written(folder).text


def test_a_diverged_run_says_so(tmp_path):
    folder = run_folder(tmp_path, predictions=EIGHT)
    with (tmp_path / "metrics.csv").open() as stream:
        table = list(csv.reader(stream))
    table[3][1] = "nan"
    folder.write_rows("metrics.csv", table[0], table[1:])
    page = written(folder)
    assert "in epoch 3 the loss stopped being a finite number" in page.text
    check_strict(page)


@pytest.mark.parametrize("count", [3, 9, 250])
def test_problems_are_listed_folded_when_many_and_capped(tmp_path, count):
    folder = run_folder(tmp_path, predictions=EIGHT)
    run = folder.run()
    problems = [
        {"path": f"p{n}.jpg", "problem": "truncated at 48 kB", "action": "left out"} for n in range(count)
    ]
    folder.write_run(run | {"data": run["data"] | {"problems": problems}})
    html = write_report(folder, gone).read_text("utf-8")
    listed = rows(html, "list")
    assert listed[1] == ["p1.jpg", "truncated at 48 kB", "left out"]
    assert len(listed) == min(count, 200)
    assert ("<details open>" in html) is (count <= 8)
    assert ("And 50 more" in html) is (count == 250)
    folder.write_run(run | {"data": run["data"] | {"problems": problems, "problem_count": 123456}})
    assert "123,456 problems" in write_report(folder, gone).read_text("utf-8").replace(
        "\N{NO-BREAK SPACE}", " "
    )


def test_hostile_names_stay_text(tmp_path):
    predictions = [
        (f"{name}/{n}.png", name, HOSTILE[n - 1], 0.9, 0.05) for n, name in enumerate(HOSTILE)
    ]  # fmt: skip
    folder = run_folder(tmp_path, HOSTILE, predictions)
    run = json.loads(json.dumps(folder.run()))
    for key in ("network", "command", "machine", "device"):
        run[key] = HOSTILE[0]
    run["description"]["name"] = HOSTILE[0]
    run["data"] |= {key: HOSTILE[1] for key in ("source", "name", "split", "fingerprint")}
    run["data"]["problems"] = [dict.fromkeys(("path", "problem", "action"), name) for name in HOSTILE]
    run["recipe"] = {HOSTILE[0]: {HOSTILE[1]: [HOSTILE[2], {HOSTILE[3]: HOSTILE[4]}]}}
    run["reasons"] = [dict.fromkeys(("what", "value", "why"), name) for name in HOSTILE]
    run["versions"] = {HOSTILE[0]: HOSTILE[1]}
    folder.write_run(run)
    page = written(folder)
    check_strict(page)
    assert page.all("img") == []
    for name in HOSTILE:
        assert name in "".join(page.texts)
    assert "49" not in page.text.replace("{{ 7 * 7 }}", "")


def test_a_path_that_is_not_unicode_is_shown_escaped(tmp_path):
    folder = run_folder(tmp_path, predictions=EIGHT)
    run = folder.run()
    problem = {"path": "\udcff.jpg", "problem": "a name that is not UTF-8", "action": "left out"}
    (tmp_path / "run.json").write_text(
        json.dumps(run | {"data": run["data"] | {"problems": [problem]}}), "utf-8"
    )
    assert r"\udcff.jpg" in written(folder).text


@pytest.mark.parametrize(
    ("value", "end"), [(0.0, 1.0), (1.0, 1.0), (1.2, 2.0), (7.1, 8.0), (23, 40), (59.1, 60), (99, 100)]
)
def test_axes_of_errors_end_at_round_numbers(value, end):
    assert axis_end(value) == end
