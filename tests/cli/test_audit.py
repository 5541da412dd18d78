import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import goingdeeper
from goingdeeper.errors import GateError


def answer(said):
    assert (said.status, said.err) == (0, "")
    document = json.loads(said.out)
    assert document["schema"] == 1
    return document


def test_everything_is_explained(deeper):
    document = answer(deeper("audit", "--json"))
    assert document["unexplained"] == 0
    for one in document["figures"]:
        assert one.keys() >= {"network", "figure", "printed", "exact", "agrees", "erratum"}
        assert one["agrees"] != bool(one["erratum"])
    assert {"googlenet", "resnet-50", "vgg-16", "highway-32"} <= {
        one["network"] for one in document["figures"]
    }


def test_googlenets_table(deeper):
    """Szegedy et al. 2014, Table 1: 4c has 509,440 weights, 497.5K, and is printed as 463K."""
    figures = answer(deeper("audit", "googlenet", "--json"))["figures"]
    assert {one["network"] for one in figures} == {"googlenet"}
    [wrong] = [one for one in figures if one["row"] == "4c" and one["figure"] == "params"]
    assert (wrong["printed"], wrong["exact"], wrong["agrees"]) == ("463K", 509_440, False)
    assert (wrong["source"], wrong["verdict"]) == ("Szegedy et al. 2014, Table 1", "differs")
    assert "497.5K" in wrong["erratum"]
    [right] = [one for one in figures if one["row"] == "4c" and one["figure"] == "macs"]
    assert (right["printed"], right["exact"], right["agrees"], right["erratum"]) == (
        "100M",
        99_850_240,
        True,
        None,
    )


@pytest.mark.parametrize("width", [60, 80])
def test_text(deeper, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    said = deeper("audit")
    assert (said.status, said.err) == (0, "")
    assert max(map(len, said.out.splitlines())) <= width
    assert " ".join(said.out.split()).endswith("differ with an erratum, unexplained: 0")


def test_patterns(deeper):
    out = deeper("audit", "resnet-34-?", "alexnet").out
    verdicts = ("agrees", "differs", "truncated")
    assert {line.split()[0] for line in out.splitlines() if line.endswith(verdicts)} == {
        "resnet-34-a", "resnet-34-b", "resnet-34-c", "alexnet", "2012",
    }  # fmt: skip


def test_an_ensemble_is_named_as_one_with_where_the_networks_are(deeper):
    said = deeper("audit", "vgg")
    assert (said.status, said.out.count("vgg, ensemble")) == (0, 3)
    assert said.err == "vgg: an ensemble, several networks together; 'vgg-*' for the networks\n"
    assert {one["ensemble"] for one in json.loads(deeper("audit", "vgg", "--json").out)["figures"]} == {True}
    assert deeper("audit", "vgg-16").err == ""


def test_markdown(deeper):
    said = deeper("audit", "googlenet", "--style", "markdown")
    assert said.status == 0
    assert "| Table 3 | googlenet 7 models, 144 crops | from base | -3.45 | -3.40 | **differs**: " in said.out


def test_unknown_networks(deeper):
    assert "did you mean googlenet" in deeper("audit", "googlnet").refusal(2)
    assert "unknown network 'lenet-*'" in deeper("audit", "alexnet", "lenet-*", "--json").refusal(2)
    assert "'html' is not one of" in deeper("audit", "--style", "html").refusal(2)


def test_it_loads_no_torch():
    code = "from goingdeeper.cli import deeper; deeper(['audit'], standalone_mode=False)"
    code += "\nimport sys; print('torch' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.splitlines()[-1] == "False"


@pytest.fixture
def copy(tmp_path):
    """The package elsewhere, to print other figures: `copy("networks.toml", "0.27 M", "0.28 M")`."""
    package = tmp_path / "goingdeeper"
    shutil.copytree(Path(goingdeeper.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))

    def audit(name, old, new, *words):
        file = package / "published" / name
        before = file.read_text("utf-8")
        assert before.count(old) == 1
        file.write_text(before.replace(old, new), "utf-8")
        code = "from goingdeeper.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, "audit", *words],
            cwd=tmp_path, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return audit


def test_a_difference_without_an_erratum_is_a_gate_not_met(copy):
    said = copy("networks.toml", 'text = "0.27 M"', 'text = "0.28 M"')
    assert said.returncode == GateError.exit_status == 6
    assert said.stdout.rstrip().endswith("unexplained: 1")
    assert said.stderr == (
        "deeper: unexplained: 1; cifar-resnet-20-a params: 0.28 M in He et al. 2015, Table 6 is not 269722, "
        "and no erratum says why\n"
    )


def test_an_erratum_that_is_not_needed_is_a_gate_not_met(copy):
    said = copy("networks.toml", 'text = "5 M"', 'text = "7 M"', "googlenet", "--json")
    assert said.returncode == 6
    assert json.loads(said.stdout)["unexplained"] == 1
    assert said.stderr.endswith(
        "7 M in Szegedy et al. 2015, section 1 agrees with 6998552; drop its erratum\n"
    )


def test_elsewhere_it_does_not_matter(copy):
    said = copy("networks.toml", 'text = "0.27 M"', 'text = "0.28 M"', "googlenet")
    assert (said.returncode, said.stderr) == (0, "")
