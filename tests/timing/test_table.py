"""The table, the document and the picture of rows made by hand."""

from __future__ import annotations

import json

import pytest

from goingdeeper.tables.grid import text
from goingdeeper.timing.picture import picture
from goingdeeper.timing.rows import Wrong
from goingdeeper.timing.table import document, grid


@pytest.fixture
def rows(row):
    base = [0.030, 0.030, 0.033]
    slow = [0.060, 0.060, 0.066]
    to = (("eager", slow), ("openvino", base))
    return [
        row("openvino", [0.020, 0.030, 0.022], to=to),
        row("openvino", base, what="openvino", to=to),
        row("eager", slow, what="eager", to=to),
        row("onnxruntime", [0.8] * 3, batch=32, goal="throughput", to=(("eager", [2.0] * 3),)),
        row("eager", [2.0] * 3, batch=32, what="eager", to=(("eager", [2.0] * 3),)),
    ]


def test_the_table_fits_80_columns_and_says_the_conditions(measurement, rows):
    shown = text(grid(measurement(rows)), 80)
    assert max(map(len, shown.splitlines())) <= 80
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    first = lines.index("batch 1, rewritten by goingdeeper")
    assert lines[first + 1] == "openvino 45.5 22.0 44.0 123 1.2 45 1.50 (1.00 to 1.50)"
    assert lines[first + 3 : first + 6] == [
        "batch 1, as published, without goingdeeper",
        "openvino 33.3 30.0 60.0 123 1.2 33 -",
        "eager 16.7 60.0 120 123 1.2 17 0.50 (0.50 to 0.50)",
    ]
    assert "onnxruntime /2 40.0 800 1,600 123 1.2 40 2.50 (2.50 to 2.50)" in lines
    told = " ".join(lines)
    for part in (
        "AMD EPYC, 2 threads · torch 2.13", "3 blocks of 0.5 s each, in turn",
        "floor: 4.00 G multiply-adds an image at 800 GFLOP/s, which a product reaches",
        "/2 and so on: the batch in so many parts", "rivals are given normalised floats",
    ):  # fmt: skip
        assert part in told
    narrow = text(grid(measurement(rows)), 60)
    assert "left out for want of room: load s" in narrow and "1.50 (1.00 to 1.50)" in narrow


def test_without_rivals_there_are_no_ratios(measurement, row):
    shown = text(grid(measurement([row("eager", [0.1])], rounds=1)), 80)
    assert "ratio" not in shown and "rivals" not in shown and "/2" not in shown
    assert "1 block of 0.5 s each" in shown


def test_one_pair_has_no_spread_and_a_few_no_interval(measurement, row):
    def told(rounds):
        own, base = [0.02, 0.02, 0.03, 0.02, 0.02][:rounds], [0.03] * rounds
        rows = [row("openvino", own, to=(("eager", base),)), row("eager", base, what="eager")]
        found = measurement(rows, rounds=rounds)
        ratio_to = json.loads(json.dumps(document(found), allow_nan=False))["rows"][0]["ratio_to"]["eager"]
        return " ".join(text(grid(found), 100).split()), ratio_to

    shown, said = told(1)
    assert "1.50 (n.a.)" in shown and "95 %" not in shown
    assert said == {"ratio": pytest.approx(1.5), "interval_95": None, "range": None}
    shown, said = told(3)
    assert (
        "1.50 (1.00 to 1.50)" in shown and "(smallest to largest; 5 blocks" in shown and "95 %" not in shown
    )
    shown, said = told(5)
    assert "(95 %, bootstrap)" in shown and said["interval_95"] == pytest.approx([1.0, 1.5])


def test_the_document_has_the_keys_that_are_fixed(measurement, rows):
    wrong = (Wrong(rows[0].candidate, 0.5), Wrong(rows[1].candidate, float("inf")))
    said = json.loads(json.dumps(document(measurement(rows, wrong=wrong)), allow_nan=False))
    assert said["machine"]["processor"] == "AMD EPYC"
    assert {
        "what": "goingdeeper", "runtime": "openvino", "precision": "float32", "batch": 1,
        "latency_ms_p50": 22.0, "latency_ms_p90": 44.0, "memory_bytes": 123_456_789,
    }.items() <= said["rows"][0].items()  # fmt: skip
    assert said["rows"][0]["percent_of_floor"] == pytest.approx(1 / 0.022)  # of 100 images a second
    assert said["rows"][0]["images_per_second"] == pytest.approx(1 / 0.022)
    assert said["rows"][0]["ratio_to"]["openvino"]["ratio"] == pytest.approx(1.5)
    assert said["rows"][0]["ratio_to"]["openvino"]["range"] == pytest.approx([1.0, 1.5])
    assert said["rows"][0]["ratio_to"]["openvino"]["interval_95"] is None  # of three pairs
    assert [one["what"] for one in said["rows"]] == [
        "goingdeeper",
        "openvino",
        "eager",
        "goingdeeper",
        "eager",
    ]
    assert [(one["what"], one["error"]) for one in said["wrong"]] == [
        ("goingdeeper", 0.5),
        ("openvino", None),
    ]


@pytest.mark.parametrize(("form", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_picture(measurement, rows, form, start):
    drawn = picture(measurement(rows), form)
    assert drawn.startswith(start)
    assert drawn == picture(measurement(rows), form)
