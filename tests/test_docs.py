"""The generated pages of the documentation are current, and what the README shows is true."""

from __future__ import annotations

import importlib.util
import itertools
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

from goingdeeper.layers import CONTAINERS, LEAVES, Activation, BatchNorm
from goingdeeper.recipes import recipe
from goingdeeper.recipes.settings import change

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
        "inception-module.svg",
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
