"""The index of slides has what claims and tables have from the lecture and the blog, and no more."""

import shlex
from importlib import import_module

import pytest

from goingdeeper.published.networks import figures, ids
from goingdeeper.published.papers import papers
from goingdeeper.published.results import table, tables
from goingdeeper.why.claims import claim, topics
from goingdeeper.why.index import KNOWN, Slide, parts, slides, without_slide

CLAIMS = [claim for one in topics() for claim in one.claims]


def tables_of(slide: Slide) -> list[str]:
    lines = [shlex.split(command.line) for command in slide.commands]
    return [line[3] for line in lines if line[1:3] == ["list", "--table"] and line[3] != "other"]


def places(slide: Slide) -> list[str]:
    return [f"{table(name)[0].paper}, {table(name)[0].place}" for name in tables_of(slide)]


@pytest.mark.parametrize("source", KNOWN)
def test_every_claim_of_a_source_is_on_one_of_its_slides(source):
    listed = {id for slide in slides() if slide.source == source for id in slide.claims}
    assert {one.id for one in CLAIMS if source in one.source} <= listed


@pytest.mark.parametrize("slide", slides(), ids=lambda slide: f"{slide.source}: {slide.shows}")
def test_a_slide_has_claims_of_its_source_only(slide):
    """Or of the table that it has; what no slide is known to show is of the papers alone."""
    for source in (claim(id).source for id in slide.claims):
        if slide.source == "papers":
            assert not any(name in source for name in KNOWN)
        else:
            assert slide.source in source or source in places(slide)


def test_the_topics_without_a_slide_are_those_of_the_papers_alone():
    alone = [one.name for one in topics() if not any(s in c.source for c in one.claims for s in KNOWN)]
    assert list(without_slide()) == alone == ["dropout", "responses"]


def test_every_table_of_the_lecture_has_its_slide():
    """`other` holds what is in none of them; a remark says which table is not in the lecture."""
    named = [name for name in tables() if name != "other"]
    absent = [name for name in named if "not in the lecture" in table(name)[0].remark]
    assert absent == ["resnet-table4"]
    of = {
        source: [name for slide in slides() if slide.source == source for name in tables_of(slide)]
        for source in parts()
    }
    assert of == {"lecture": [name for name in named if name not in absent], "blog": [], "papers": absent}


def test_a_table_of_layers_is_that_of_the_network_that_is_shown():
    found = [slide for slide in slides() if slide.kind == "table" and not tables_of(slide)]
    assert [slide.of for slide in found] == [
        "Szegedy et al. 2014, Table 1", "Ioffe and Szegedy 2015, Figure 5", "Szegedy et al. 2015, Table 1",
        "He et al. 2015, Table 1",
    ]  # fmt: skip
    for slide in found:
        shown = [line[2] for line in (c.line.split() for c in slide.commands) if line[1] == "show"]
        assert shown and all(figures(network).reference.startswith(slide.of) for network in shown)


@pytest.mark.parametrize("slide", slides(), ids=lambda slide: f"{slide.source}: {slide.shows}")
def test_a_slide_names_what_there_is(slide):
    assert slide.source in parts() and slide.commands
    kinds = {"lecture": {"slide", "chart", "table"}, "blog": {"passage", "picture"}}
    assert slide.kind in kinds.get(slide.source, {"figure", "table"})
    shorts = tuple(paper.short for paper in papers().values())
    assert all(place.startswith(shorts) for place in filter(None, slide.of.split("; ")))
    for command in slide.commands:
        _, verb, first, *_ = shlex.split(command.line)
        assert (command.topic is not None) == (verb == "why")
        if verb == "why":
            assert command.line.removesuffix(" --tier training") == f"deeper why {command.topic}"
            assert command.topic in {one.name for one in topics()}
        elif verb in ("show", "draw", "diff"):
            assert first.partition(":")[0] in ids()
    assert len({command.line for command in slide.commands}) == len(slide.commands)


def test_claims_that_take_training_are_shown_by_training():
    """And what does not take it, without."""
    for slide in slides():
        lines = {command.line for command in slide.commands}
        for one in (claim(id) for id in slide.claims):
            dear = " --tier training" if one.tier == "training" else ""
            assert f"deeper why {one.topic}{dear}" in lines
    dear = {c.topic for slide in slides() for c in slide.commands if c.line.endswith("training")}
    assert dear == {
        "degradation", "depth", "features", "identity", "principles", "responses", "scales", "smoothing",
        "training-gradients",
    }  # fmt: skip


TRAINED = {c.topic for slide in slides() for c in slide.commands if c.topic and c.line.endswith("training")}


@pytest.mark.parametrize("name", sorted(TRAINED))
def test_what_is_shown_by_training_can_be(name):
    module = import_module(f"goingdeeper.why.evidence.{name.replace('-', '_')}")
    assert callable(module.training)
