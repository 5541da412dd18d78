import json
import re
import shlex
import subprocess
import sys

import pytest
from PIL import Image

from goingdeeper.cli.why import why_command
from goingdeeper.errors import UsageError
from goingdeeper.why import run
from goingdeeper.why.claims import topics
from goingdeeper.why.index import parts, slides
from goingdeeper.why.part import Part


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_topics_are_listed(deeper):
    said = deeper("why")
    assert (said.status, said.err) == (0, "")
    table, note = said.out.split("\n\n")
    assert [line.split()[0] for line in table.splitlines()[1:] if not line.startswith(" ")] == [
        one.name for one in topics()
    ]
    assert "deeper why all" in note and "deeper why slides" in note
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
    assert [one["id"] for one in document["not_shown"]] == [
        "auxiliary-gradient", "auxiliary-training", "auxiliary-final",
    ]  # fmt: skip
    said = deeper("why", "auxiliary", "--tier", "arithmetic").out
    assert "NOT SHOWN: `deeper why auxiliary --tier init` measures it" in said


@pytest.mark.parametrize("width", [30, 40, 60, 100])
def test_a_narrow_terminal_wraps(deeper, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for words in ((), ("slides",), ("grid",), ("factorise", "--tier", "arithmetic")):
        assert max(map(len, deeper("why", *words).out.splitlines())) <= width


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("naive", "--time", "5m"), "naive takes no training; leave --time out"),
        (("naive", "--data", "digits"), "naive takes no training; leave --data out"),
        (("naive", "--seed", "0,1"), "several seeds are of trainings"),
        (("naive", "--seed", 2**31), "a whole number from 0 to 2147483647"),
        (("smoothing", "--time", "5m", "--seed", f"0,{2**31}"), "a whole number from 0 to 2147483647"),
        (("all", "--data", "nowhere"), "nowhere"),
    ],
)
def test_what_has_no_effect_or_no_sense_is_refused(deeper, elsewhere, words, part):
    assert part in deeper("why", *words).refusal(*((3,) if "nowhere" in words else (2,)))
    assert not (elsewhere / "why").exists()


def test_all_goes_on_where_a_topic_cannot_be_trained(deeper, elsewhere, monkeypatch):
    shown = run._part

    def untrained(name, tier, seed, terms):
        if tier == "init":
            return Part((), ())
        if tier == "training":
            raise UsageError("--time 1s is too short")
        return shown(name, tier, seed, terms)

    monkeypatch.setattr(run, "_part", untrained)
    said = deeper("why", "all", "--time", "1s", "--json")
    assert said.status == 0
    told = {one["topic"]: one["notes"] for one in json.loads(said.out)["topics"]}
    assert "not trained: --time 1s is too short" in told["degradation"]
    assert (elsewhere / "why/index.html").is_file()
    assert "too short" in deeper("why", "degradation", "--time", "1s").refusal(2)


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
    index = page[page.index('<section id="slides">') :]
    for link in ("#slides", *re.findall(r'href="(#[\w-]+)"', index)):
        assert f'id="{link[1:]}"' in page
    assert '<a href="#crops"><code>deeper why crops</code></a>' in index
    for slide in slides():
        assert f"<td>{slide.kind}: {slide.shows}</td>".replace("'", "&#39;") in index
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


def test_slides_are_listed_with_their_commands(deeper):
    said = deeper("why", "slides")
    assert (said.status, said.err) == (0, "")
    at = [said.out.index(title[1:]) for title in parts().values()]
    assert at == sorted(at)
    wide = " ".join(said.out.split())
    assert (
        "slide: The naive module, and why it does not scale (Szegedy et al. 2014, section 4) "
        "deeper why naive deeper draw googlenet-naive 3a -o naive.svg deeper diff "
    ) in wide
    passage = "One kernel size for parts of all sizes? (Szegedy et al. 2014, section 4)"
    assert f"passage: {passage} deeper why scales --tier training" in wide
    assert wide.endswith("dropout, responses")
    document = json.loads(deeper("why", "slides", "--json").out)
    assert document["without_slide"] == ["dropout", "responses"]
    assert len(document["slides"]) == len(slides())
    chart = document["slides"][0]
    assert (chart["source"], chart["kind"], chart["claims"]) == ("lecture", "chart", ["winners"])
    assert chart["commands"] == [{"line": "deeper why winners", "topic": "winners"}]


COMMANDS = [command for slide in slides() for command in slide.commands]
LINES = dict.fromkeys(command.line for command in COMMANDS if not command.topic)


@pytest.mark.parametrize("line", LINES)
def test_every_command_of_the_slides_runs(deeper, elsewhere, line):
    """Those of topics are below, and what comes out of them with the claims."""
    _, *words = shlex.split(line)
    said = deeper(*words)
    assert said.status == 0 and said.out
    if "-o" in words:
        assert (elsewhere / words[-1]).read_text("utf-8").startswith("<svg")


@pytest.mark.parametrize("line", dict.fromkeys(command.line for command in COMMANDS if command.topic))
def test_every_topic_of_the_slides_can_be_asked_for(line):
    _, verb, *words = shlex.split(line)
    asked = why_command.make_context(verb, [*words]).params
    assert asked["topic"] in {one.name for one in topics()}
    assert asked["tier"] == ("training" if "--tier" in words else None)
