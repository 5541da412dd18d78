"""The table of runtimes, against what the package's metadata says is installed with an extra."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from goingdeeper.runtimes.known import OF_FORMAT, RUNTIMES

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]


def names(lines):
    return {line.partition(">=")[0] for line in lines}


@pytest.mark.parametrize("name", RUNTIMES)
def test_its_pip_line_installs_all_that_it_needs(name):
    one = RUNTIMES[name]
    extra = PROJECT["optional-dependencies"].get(one.extra, [])
    assert {one.package, *one.writes} <= names(PROJECT["dependencies"]) | names(extra)
    assert one.pip == {
        "onnxruntime": "pip install 'goingdeeper[onnx]'",
        "openvino": "pip install 'goingdeeper[openvino]'",
        "torch": "pip install 'goingdeeper'",
    }[name]  # fmt: skip


def test_each_format_has_a_file_of_its_own_that_is_opened():
    opened = [one.files[0] for one in RUNTIMES.values()]
    assert len(set(opened)) == len(opened) == len(OF_FORMAT)
