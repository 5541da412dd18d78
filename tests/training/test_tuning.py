"""What `finetune` makes of batch, network and length."""

from __future__ import annotations

from dataclasses import replace

import pytest

from goingdeeper import catalogue
from goingdeeper.recipes import recipe
from goingdeeper.training.tuning import finetuned

FINETUNE = recipe("finetune")


def found(network="resnet-18-b", **fields):
    return {r.what: r.value for r in finetuned(replace(FINETUNE, **fields), catalogue.network(network))}


@pytest.mark.parametrize(
    ("network", "batch", "frozen"),
    [("resnet-18-b", 15, True), ("resnet-18-b", 16, False), ("vgg-11", 8, False)],
)
def test_norms_are_frozen_for_small_batches_where_there_are_any(network, batch, frozen):
    assert found(network, batch=batch).get("norm_frozen") == ("true" if frozen else None)


def test_exact_statistics_at_the_end_leave_the_norms_alone():
    assert "norm_frozen" not in found(batch=8, population=True)


@pytest.mark.parametrize(("epochs", "wait"), [(100, "33"), (30, "10"), (12, "5"), (1, "5")])
def test_a_run_waits_a_third_of_its_epochs(epochs, wait):
    assert found(epochs=epochs)["stop_after"] == wait


def test_the_classifier_alone_needs_no_epochs_alone():
    assert found(freeze="head")["head_epochs"] == "0"
    assert found()["head_epochs"] == str(FINETUNE.head_epochs)
