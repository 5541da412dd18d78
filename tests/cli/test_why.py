import json
import subprocess
import sys

import pytest
from PIL import Image

from goingdeeper.why.claims import topics


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_topics_are_listed(deeper):
    said = deeper("why")
    assert (said.status, said.err) == (0, "")
    assert [line.split()[0] for line in said.out.splitlines()[1:] if not line.startswith(" ")] == [
        one.name for one in topics()
    ]
    document = json.loads(deeper("why", "--json").out)
    assert document["schema"] == 1
    assert {"topic": "reduction", "tiers": ["arithmetic", "init"]}.items() <= document["topics"][2].items()


def test_a_topic_says_claim_source_expected_seen_and_verdict(deeper, elsewhere):
    said = deeper("why", "naive")
    assert said.status == 0
    for part in (
        "“Without 1x1 reductions", "Szegedy et al. 2014, section 4", "expected", "seen", "303,464,448",
        "2.37", "RIGHT: 2.4 to 5.1 times",
    ):  # fmt: skip
        assert part in " ".join(said.out.split())
    for name in ("naive-cost", "naive-channels"):
        assert (elsewhere / f"why/{name}.svg").read_text().startswith("<?xml")
        with Image.open(elsewhere / f"why/{name}.png") as image:
            assert image.width > 600
    assert "why/naive" in said.err


def test_the_record_is_what_json_prints(deeper, elsewhere):
    document = json.loads(deeper("why", "naive", "--json", "-o", "here").out)
    assert document == json.loads((elsewhere / "here/naive.json").read_text())
    assert document.keys() >= {"schema", "topic", "claims", "figures", "seconds"}
    first = document["claims"][0]
    assert first.keys() >= {"claim", "source", "expected", "seen", "verdict"}
    assert first["seen"][0] == "303,464,448 multiply-adds"
    assert document["figures"][0]["series"][0]["y"][0] == 303_464_448


def test_only_the_tiers_that_were_asked_for(deeper):
    document = json.loads(deeper("why", "auxiliary", "--tier", "arithmetic", "--json").out)
    assert [one["id"] for one in document["claims"]] == ["auxiliary-loss", "auxiliary-input"]
    assert [one["id"] for one in document["not_shown"]] == ["auxiliary-gradient", "auxiliary-training"]
    assert "NOT SHOWN: --tier init" in deeper("why", "auxiliary", "--tier", "arithmetic").out


@pytest.mark.parametrize("width", [30, 40, 60, 100])
def test_a_narrow_terminal_wraps(deeper, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for words in (("why",), ("why", "grid"), ("why", "factorise", "--tier", "arithmetic")):
        assert max(map(len, deeper(*words).out.splitlines())) <= width


def test_an_unknown_topic_suggests(deeper):
    assert "did you mean gradients" in deeper("why", "gradient").refusal(2)


def test_a_place_that_cannot_be_written_is_named(deeper, elsewhere):
    (elsewhere / "why").write_text("a file")
    assert "why" in deeper("why", "grid").refusal(2)


def test_all_is_one_page(deeper, elsewhere):
    said = deeper("why", "all", "--tier", "arithmetic", "--json")
    assert said.status == 0
    records = json.loads(said.out)["topics"]
    assert [one["topic"] for one in records] == [one.name for one in topics()]
    page = (elsewhere / "why/index.html").read_text("utf-8")
    for one in topics():
        assert f'id="{one.name}"' in page and one.story.split(".")[0].split("'")[0] in page
    assert page.count("<img") == sum(len(one["figures"]) for one in records)
    assert "<script" not in page and "http" not in page.split("</head>")[1]
    assert said.err.strip().endswith("why/index.html")


def test_arithmetic_needs_no_torch(elsewhere):
    code = (
        "import sys; from goingdeeper.cli import deeper; "
        "deeper(['why', 'reduction', '--tier', 'arithmetic'], standalone_mode=False); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "False"
