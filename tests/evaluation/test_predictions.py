"""The rows of predictions.csv, against probabilities worked out by hand."""

from __future__ import annotations

import math

import torch

from goingdeeper.data.sources import Item
from goingdeeper.evaluation.predictions import prediction_rows


def test_rows_by_path_and_no_class_for_what_is_no_number():
    items = [Item("b.png", "cat"), Item("a.png", "dog"), Item("c.png", "dog")]
    likely = torch.tensor([[0.25, 0.75], [0.4, 0.6], [math.nan, math.nan]]).log()
    assert prediction_rows(items, likely, ["cat", "dog"]) == [
        ("a.png", "dog", "dog", "0.600000", "0.600000"),
        ("b.png", "cat", "dog", "0.750000", "0.250000"),
        ("c.png", "dog", "", "nan", "nan"),
    ]
