"""What is recommended, and how a run keeps it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from goingdeeper import catalogue
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.nn.build import build
from goingdeeper.runs.model import load_model, save_model
from goingdeeper.timing.recommend import forget, keep, recommended


def test_the_fastest_of_ours_for_the_goal(row):
    rows = [
        row("openvino", [0.010] * 3), row("onnxruntime", [0.020] * 3),
        row("openvino", [0.005] * 3, what="openvino"), row("eager", [0.1] * 3, batch=32),
        row("onnxruntime", [0.16] * 3, batch=32, goal="throughput"),
        row("openvino", [0.32] * 3, batch=32),
    ]  # fmt: skip
    found = recommended(rows, "latency")
    assert (found.candidate, found.export) == (rows[0].candidate, "export/openvino")
    assert found.said == (
        "openvino for latency: 10.0 ms (p50) at batch 1, 0.50 times (0.50 to 0.50) as fast as openvino on "
        "the network as published; slower than openvino unrewritten"
    )
    found = recommended(rows, "throughput")  # 200 images a second by ONNX Runtime, which is an export
    assert (found.candidate, found.export) == (rows[4].candidate, "export/onnx")
    assert found.reason == "200.0 images/s at batch 32, 0.62 times (0.62 to 0.62) as fast as eager"
    found = recommended([row("openvino", [0.1], precision="int8")], "throughput")
    assert found.export == "export/openvino-int8"
    assert found.said == "openvino int8 for throughput: 10.0 images/s at batch 1"
    assert recommended([row("openvino", [0.005], what="openvino")], "latency") is None
    assert recommended([row("eager", [0.005])], "latency") is None


def test_latency_is_that_of_a_call(row):
    """The median of the calls, whatever their mean, and so the images a second, says."""
    rows = [row("openvino", [0.010] * 3), row("onnxruntime", [0.011] * 3)]
    rows[0] = replace(rows[0], latency_ms_p50=12.0)
    assert recommended(rows, "latency").candidate.runtime == "onnxruntime"
    assert recommended(rows, "throughput").candidate.runtime == "openvino"


def test_one_alone_is_not_kept(row):
    alone = row("openvino", [0.01] * 3, precision="int8")
    rival = row("onnxruntime", [0.02] * 3, what="onnxruntime")
    assert not recommended([alone], "latency").keepable
    assert not recommended([alone, rival], "latency").keepable  # nothing that the run answers by
    assert not recommended([alone, row("eager", [0.5] * 3, batch=32, what="eager")], "latency").keepable
    assert recommended([alone, row("eager", [0.02] * 3, what="eager")], "latency").keepable
    assert recommended([alone, row("onnxruntime", [0.02] * 3)], "latency").keepable


def test_a_compiled_program_is_never_kept(row):
    program, slow = row("torch", [0.01] * 3), row("eager", [0.03] * 3)
    found = recommended([program, row("openvino", [0.02] * 3), slow], "latency")
    assert (found.export, found.program, found.keepable) == ("export/openvino", "export/torch", True)
    found = recommended([program, slow], "latency")
    assert (found.export, found.program, found.keepable) == ("export/torch", "export/torch", False)
    found = recommended([program, row("openvino", [0.005] * 3)], "latency")
    assert (found.export, found.program) == ("export/openvino", "")


@pytest.fixture
def model(tmp_path):
    net = build(catalogue.network("cifar-resnet-20-a")).eval()
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    classes = tuple(f'{n} "seal": "' for n in range(10))
    save_model(tmp_path / "model", net, net.state_dict(), classes, Preprocessing(32), picture, {"scores": {}})
    return tmp_path / "model"


def test_a_model_with_it_is_as_whole_as_before(model, row):
    before = load_model(model)
    for name, to in (("onnxruntime", "onnx"), ("openvino", "openvino")):  # the second replaces the first
        keep(recommended([row(name, [0.1])], "latency"), model)
        after = load_model(model)  # checks the seal
        assert after.config.pop("recommended") == {"export": f"export/{to}", "threads": 2}
        assert {**after.config, "seal": 0} == {**before.config, "seal": 0}
    kept = (model / "config.json").read_bytes()
    assert forget(model) and not forget(model)
    assert load_model(model).config == before.config
    (model / "config.json").write_bytes(kept)
    text = (model / "config.json").read_text()
    (model / "config.json").write_text(text.replace('"threads": 2', '"threads": 3'))
    with pytest.raises(Exception, match=r"config\.json was altered"):
        load_model(model)


def test_a_model_of_before_there_were_seals_gets_none(model, row):
    file = model / "config.json"
    config = json.loads(file.read_text())
    del config["seal"], config["golden"]["sha256"]
    file.write_text(json.dumps(config))
    keep(recommended([row("openvino", [0.1])], "latency"), model)
    assert load_model(model).config["recommended"]["export"] == "export/openvino"
