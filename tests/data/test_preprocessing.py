"""The scale of the input: each kind against the papers' formulas in plain numpy, and on real images."""

from __future__ import annotations

import numpy as np
import pytest

from goingdeeper.data import preprocessing
from goingdeeper.data.decode import decode
from goingdeeper.data.pictures import survey
from goingdeeper.data.preprocessing import prepare_input
from goingdeeper.data.sources import open_source
from goingdeeper.recipes.images import Centre, Standardise


def test_mean_and_std_are_those_of_the_pixels(picture_folder):
    root = picture_folder({"a": 9, "b": 4})
    source = open_source(root)
    found = prepare_input(Standardise(), survey(source, 8).pictures, source.items, 8)
    values = np.concatenate([decode(root / item.path).reshape(-1, 3) for item in source.items]) / 255
    assert found.mean == pytest.approx(values.mean(0), abs=6e-5)
    assert found.std == pytest.approx(values.std(0), abs=6e-5)
    centred = prepare_input(Centre(), survey(source, 8).pictures, source.items, 8)
    assert (centred.mean, centred.std) == (found.mean, (1 / 255,) * 3)


@pytest.mark.parametrize(("most", "looked_at"), [(13, 13), (12, 7), (7, 7), (5, 5), (1, 1)])
def test_mean_and_std_look_at_no_more_images_than_allowed(picture_folder, monkeypatch, most, looked_at):
    source = open_source(picture_folder({"a": 9, "b": 4}))
    found = survey(source, 8).pictures
    asked: list[str] = []

    class Counting:
        def __getitem__(self, path: str) -> np.ndarray:
            asked.append(path)
            return found[path]

    monkeypatch.setattr(preprocessing, "SEEN", most)
    prepare_input(Standardise(), Counting(), source.items, 8)
    assert len(asked) == looked_at


def test_an_even_colour_has_a_spread_to_divide_by():
    class Grey:
        def __getitem__(self, path: str) -> np.ndarray:
            return np.full((4, 4, 3), 51, np.uint8)

    found = prepare_input(Standardise(), Grey(), open_source("digits").items[:3], 4)
    assert found.mean == (0.2, 0.2, 0.2)
    assert min(found.std) >= 0.01
