"""The documentation's "add your own network": exactly its file, put into the catalogue, works everywhere."""

import re
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from goingdeeper import catalogue
from goingdeeper.nn.build import create_model

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The id of the page's network, its file in a folder that the catalogue looks into."""
    [(name, code)] = re.findall(
        r"This one is `(\w+)\.py`:\n\n```python\n(.*?)```", PAGE.read_text("utf-8"), re.S
    )
    assert code.count("\n") <= 20
    (tmp_path / f"{name}.py").write_text(code, "utf-8")

    def forget():
        catalogue._catalogue.cache_clear()
        catalogue._built.cache_clear()
        sys.modules.pop(f"goingdeeper.catalogue.{name}", None)

    forget()
    monkeypatch.setattr(catalogue, "__path__", [*catalogue.__path__, str(tmp_path)])
    yield name
    forget()


def test_it_is_listed_without_published_figures(deeper, own):
    heading, row = deeper("list", own).out.splitlines()
    assert heading.split()[:2] == ["network", "paper"]
    # 5 x 5 x 3 x 6 + 6, 5 x 5 x 6 x 16 + 16, 400 x 120 + 120, 120 x 84 + 84, 84 x 10 + 10 parameters.
    assert row.split() == [own, "-", "32x32", "62.0K", "652K"]
    assert own in deeper("list").out
    assert '"paper": null' in deeper("list", own, "--json").out


def test_it_is_shown_and_drawn(deeper, own):
    out = deeper("show", own).out
    assert "62,006 params  651,720 macs" in out
    assert "inferred" not in out
    assert "fc 10" in deeper("draw", own).out
    assert "5x5 conv, 16" in deeper("draw", own, "conv2").out


def test_it_trains_a_step(own):
    torch.manual_seed(0)
    model = create_model(own, num_classes=3)
    loss = F.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())


@pytest.mark.usefixtures("own")
def test_a_slip_in_its_name_suggests_it(deeper):
    assert "did you mean lenet" in deeper("show", "lenett").refusal(2)
