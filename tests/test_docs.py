"""The generated pages of the documentation are current, and what the README shows is true."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
from scipy.stats import binomtest

from goingdeeper.cli.tell import show_comparison
from goingdeeper.evaluation.compare import compare
from goingdeeper.layers import CONTAINERS, LEAVES, Activation, BatchNorm
from goingdeeper.recipes import recipe
from goingdeeper.recipes.settings import change
from goingdeeper.why.claims import topics

ROOT = Path(__file__).parent.parent


def _generator():
    spec = importlib.util.spec_from_file_location("docs_generator", ROOT / "tools" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name",
    [
        "commands.md", "networks.md", "audit.md", "layers.md", "recipes.md", "googlenet.svg",
        "inception-module.svg", "names.md", "why.md",
    ],
)  # fmt: skip
def test_generated_pages_are_current(name):
    assert (ROOT / "docs" / name).read_text("utf-8") == _generator().pages()[name], (
        "run python tools/docs.py and look at what changed"
    )


@pytest.mark.parametrize(
    "page", ["README.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))]
)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"


def test_what_trainings_showed_is_of_claims_that_take_training():
    known = json.loads((ROOT / "tools/trained.json").read_text("utf-8"))
    assert known.keys() <= {one.id for topic in topics() for one in topic.claims if one.tier == "training"}


def test_readme_names_every_room():
    tree = (ROOT / "README.md").read_text("utf-8")
    for room in (ROOT / "src" / "goingdeeper").iterdir():
        if room.is_dir() and room.name != "__pycache__":
            assert re.search(rf"^\s+{room.name}/", tree, re.MULTILINE), f"README's tree lacks {room.name}/"


def test_every_kind_of_layer_has_its_section():
    page = (ROOT / "docs" / "layers.md").read_text("utf-8")
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))
    assert [*sections] == [kind.__name__ for kind in (*LEAVES, *CONTAINERS, BatchNorm, *get_args(Activation))]
    for kind, section in sections.items():
        for row in ("shape", "receptive field", "parameters", "multiply-adds", "in torch"):
            assert re.search(rf"^\| {row} \| \S.* \| \S.* \|$", section, re.MULTILINE), (kind, row)
    # GoogLeNet's conv1 with a batch norm of 2 x 64, AlexNet's fc6, the PReLU-nets' pyramid, a highway layer.
    assert "| 9,536 |" in sections["Conv"] and "| 118,013,952 |" in sections["Conv"]
    assert "| 37,752,832 |" in sections["Linear"]
    assert "a vector of 32,256" in sections["SpatialPyramid"]
    assert "| 18,496 |" in sections["Highway"]
    assert "In prelu-net-a, prelu-net-b, prelu-net-c." in sections["PReLU"]


TRAINING = (ROOT / "docs" / "training.md").read_text("utf-8")
COMMANDS = [line for line in TRAINING.splitlines() if line.startswith("deeper train") and "--set" in line]


def test_there_are_settings_in_the_documentation_of_training():
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("line", COMMANDS)
def test_settings_in_the_documentation_of_training_are_possible(line):
    words = shlex.split(line, comments=True)
    settings = dict(after.split("=", 1) for word, after in itertools.pairwise(words) if word == "--set")
    name = words[words.index("--recipe") + 1] if "--recipe" in words else "scratch"
    changed = change(recipe(name), settings)
    assert changed != recipe(name)


EVALUATION = (ROOT / "docs" / "evaluate.md").read_text("utf-8")


def test_the_intervals_in_the_documentation_of_scores_are_those_of_their_counts():
    (first,) = re.findall(r"top-1 error ([\d.]+) % \(95 %: ([\d.]+) to ([\d.]+), n = (\d+),", EVALUATION)
    rows = [(round(float(first[0]) * int(first[3]) / 100), first[3], first[0], *first[1:3])]
    rows += re.findall(r"(\d+) of (\d+) wrong, ([\d.]+) % \(([\d.]+) to ([\d.]+)\)", EVALUATION)
    accepted = re.findall(
        r"accepts (\d+) of (\d+), ([\d.]+) % \(([\d.]+) to ([\d.]+)\) · error among these ([\d.]+)",
        EVALUATION,
    )
    assert len(rows) == 7 and len(accepted) == 1
    assert round(float(accepted[0][5]) / 100 * int(accepted[0][0])) == 1
    for count, images, share, low, high in [*rows, accepted[0][:5]]:
        interval = binomtest(int(count), int(images)).proportion_ci(method="wilson")
        assert float(share) == pytest.approx(100 * int(count) / int(images), abs=0.051)
        assert (f"{100 * interval.low:.1f}", f"{100 * interval.high:.1f}") == (low, high)


def test_the_comparison_in_the_documentation_is_what_is_printed(capsys):
    (counts,) = re.findall(
        r"^wrong: both (\d+) · only the first (\d+) · only the second (\d+) · neither (\d+)$",
        EVALUATION, re.MULTILINE,
    )  # fmt: skip
    pairs = zip([(True, True), (True, False), (False, True), (False, False)], map(int, counts), strict=True)
    both = [pair for pair, count in pairs for _ in range(count)]
    found = compare([a for a, _ in both], [b for _, b in both], ("runs/a", "runs/b"))
    show_comparison(found)
    assert capsys.readouterr().out in EVALUATION
    for name, error, (low, high) in (
        ("a", found.a_error, found.a_interval_95), ("b", found.b_error, found.b_interval_95),
    ):  # fmt: skip
        assert f"runs/{name}  error {error:.2f} % (95 %: {low:.1f} to {high:.1f}, n = 359)" in EVALUATION
