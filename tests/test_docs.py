"""The generated pages of the documentation are current, and what the README shows is true."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _generator():
    spec = importlib.util.spec_from_file_location("docs_generator", ROOT / "tools" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["commands.md", "networks.md", "googlenet.svg", "inception-module.svg"])
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
