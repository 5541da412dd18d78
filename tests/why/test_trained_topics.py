"""Topics that train networks, on few images and for two epochs: verdicts, figures, conditions."""

import pytest

from goingdeeper.why import trials
from goingdeeper.why.claims import topic
from goingdeeper.why.evidence import depth
from goingdeeper.why.run import record, show, write

IMAGES, EPOCHS = 160, 2


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Terms of trainings that take seconds."""
    monkeypatch.setattr(trials, "_paces", lambda wishes, *given: [1.0] * len(wishes))
    monkeypatch.setattr(trials, "_fitting", lambda *given: (IMAGES, EPOCHS))
    monkeypatch.setattr(depth, "DEPTHS", (8, 14))
    return trials.Terms(seeds=(0, 1), folder=tmp_path / "runs")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "data"),
    [("auxiliary", "digits"), ("depth", "digits"), ("principles", "digits"), ("scales", "shapes")],
)
def test_a_topic_is_shown_by_training(name, data, few, tmp_path):
    shown = show(name, ("training",), terms=few)
    claims = [one for one in topic(name).claims if one.tier == "training"]
    assert [one.claim for one in shown.evidence] == claims
    for one in shown.evidence:
        assert len(one.seen) == len(one.claim.expected)
        assert one.verdict in (one.claim.verdict, "not separated", "not seen here")
    assert f"trained on {IMAGES} images of {data}, {EPOCHS} epochs, 2 seeds" in shown.notes[0]
    assert len(record(shown)["figures"]) == len(shown.charts) >= 1
    assert all(path.stat().st_size for path in write(shown, tmp_path / "why"))
