"""The recipes as tables."""

import pytest

from goingdeeper.recipes import recipe, recipes
from goingdeeper.recipes.page import data, details, markdown, overview
from goingdeeper.recipes.settings import settings

ALL = list(recipes().values())


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_keep_to_the_width(width):
    for text in (overview(ALL, width), *(details(one, width) for one in ALL)):
        assert max(map(len, text.splitlines())) <= width


def test_a_line_of_the_overview():
    lines = overview(ALL, 200).splitlines()
    (line,) = [line for line in lines if line.startswith("resnet-cifar ")]
    assert line.split() == [
        "resnet-cifar",
        "cifar-resnet-20-a,",
        "4",
        "more",
        "163.8",
        "128",
        "CaffeSGD",
        "0.1",
    ]
    above = lines[: lines.index(line)]
    assert "He et al., Deep residual learning for image recognition (2015)" in above


def test_every_setting_of_a_recipe_is_shown():
    for one in ALL:
        text = details(one)
        for name in settings(one):
            skipped = "epochs" if one.iterations else "iterations"
            assert (f" {name} " in text.replace("\n", " ")) or name == skipped, (one.name, name)
        for rule in one.rules:
            assert f"rule: {rule.of}" in text
        for remark in one.remarks:
            assert remark in text


def test_a_place_stands_at_the_first_of_the_settings_that_it_is_for():
    lines = [line.split("  ") for line in details(recipe("resnet-cifar")).splitlines()]
    cells = {line[0]: [cell.strip() for cell in line[1:] if cell.strip()] for line in lines}
    assert cells["schedule"] == ["Steps", "section 4.2"]
    assert cells["schedule.at"] == ["32,000, 48,000"]
    assert cells["norm_batch"] == ["64", "section 4.2: 128 images on two GPUs"]
    assert cells["iterations"] == ["64,000", "section 4.2"]


def test_what_is_off_and_not_mentioned_stands_at_the_end():
    above, _, below = details(recipe("dsn-1"), 80).partition("As in every recipe that says nothing else:")
    for name in ("augmentation.erase 0", "augmentation.repeats 1", "clip 0", "precision float32"):
        assert name.partition(" ")[0] not in above
        assert name in " ".join(below.split())
    assert "augmentation.flip" in above and "augmentation.flip" not in below


def test_a_recipe_has_one_length():
    assert "epochs   " not in details(recipe("resnet-cifar")) and "iterations  " in details(
        recipe("resnet-cifar")
    )
    assert "iterations" not in details(recipe("prelu"))
    assert "iterations" not in details(recipe("scratch"))


def test_what_is_taken_from_another_run_is_told():
    text = " ".join(details(recipe("vgg-deep")).split())
    assert "a run of vgg (--from RUN), of which conv1_1, conv2_1, conv3_1, conv3_2, fc6" in text
    assert "370,000 iterations, 73.93 epochs of 1,281,167 images, in batches of 256" in text


def test_markdown_has_a_row_and_a_section_for_each():
    page = markdown(ALL)
    for one in ALL:
        assert f"\n| [{one.name}](#{one.name}) | " in page
        assert f"\n## {one.name}\n" in page
    assert "| schedule.at | 32,000, 48,000 | section 4.2 |" in page
    assert "| rule: biases | rate x2, decay x0 | released solver |" not in page
    assert "| rule: biases | rate x2, decay x0 | released definition |" in page
    widths = {line.count("|") for line in page.splitlines() if line.startswith("|")}
    assert widths == {4, 8}


def test_data():
    found = data(recipe("dsn-1"))
    assert found["name"] == "dsn-1"
    assert found["networks"] == ["dsn-cifar10"]
    assert found["length_in_epochs"] == 100
    assert found["settings"]["optimiser"] == "CaffeSGD"
    assert found["settings"]["optimiser.rate"] == 0.025
    assert found["printed"]["optimiser.rate"] == "released solver"
    assert found["rules"][2]["of"] == "heads.*"
    assert found["rules"][2]["schedule"] == {"kind": "Inverse", "gamma": 1e-4, "power": 0.75}
    assert found["after"] is None and found["size"] is None
