"""Published figures of networks: whole, consistent, and explained where the print is off."""

import pytest

from goingdeeper import catalogue
from goingdeeper.errors import UsageError
from goingdeeper.layers import AvgPool, Conv, Dropout
from goingdeeper.published import NetworkFigures, PrintedLayer, figures, ids, layers
from goingdeeper.trace import trace

ALL = [figures(id) for id in ids()]


@pytest.mark.parametrize("id", catalogue.names())
def test_every_network_of_the_catalogue_has_figures(id: str) -> None:
    assert figures(id).id == id


@pytest.mark.parametrize("found", ALL, ids=lambda found: found.id)
def test_parameters_are_the_sum_of_their_kinds(found: NetworkFigures) -> None:
    assert found.params == found.weights + found.biases + found.norm + found.slopes
    if found.head_params:
        assert found.params_with_heads == found.params + sum(found.head_params)


@pytest.mark.parametrize("found", ALL, ids=lambda found: found.id)
def test_a_print_that_is_off_has_an_erratum_and_no_other(found: NetworkFigures) -> None:
    for one in found.printed:
        if one.figure in ("params", "macs"):
            assert one.agrees(getattr(found, one.figure)) != bool(one.erratum), one


def test_what_is_printed_of_a_network_says_where() -> None:
    googlenet = [(one.figure, one.text, one.paper, one.place) for one in figures("googlenet").printed]
    assert ("macs", "1.5 Bn", "Szegedy et al. 2014", "section 1") in googlenet
    assert ("params", "5 M", "Szegedy et al. 2015", "section 1") in googlenet
    [flops, _] = figures("resnet-34-b").printed  # defined by `Table 1, option B`
    assert (flops.text, flops.paper, flops.place) == ("3.6e9", "He et al. 2015", "Table 1")


def test_the_training_graph_of_googlenet_is_a_figure_of_googlenet() -> None:
    found = figures("googlenet")
    assert found.params_with_heads == found.weights_with_heads + found.biases_with_heads == 13_378_280
    assert (found.macs_with_heads, found.head_params) == (1_591_044_096, (3_188_840, 3_190_888))


@pytest.mark.parametrize(
    ("id", "reference"),
    [
        ("googlenet", "Szegedy et al. 2014, Table 1"),
        ("googlenet-naive", "Szegedy et al. 2014, Figure 2(a)"),
        ("plain-34", "He et al. 2015, Table 1"),
        ("resnet-34-b", "He et al. 2015, Table 1, option B"),
        ("cifar-resnet-110-a", "He et al. 2015, Table 6"),
        ("cifar-plain-110", "He et al. 2015, section 4.2"),
        ("resnet-50-signs", "hand-sign exercise"),
    ],
)
def test_reference(id: str, reference: str) -> None:
    assert figures(id).reference == reference


def test_source_is_the_paper_unless_something_else_is_given() -> None:
    assert figures("vgg-16").source.startswith("Simonyan and Zisserman, Very deep convolutional networks")
    assert figures("resnet-50-v1.5").source == "public PyTorch model code"


# What a network's variant says, and how its description says the same.
SAID = {
    "inception-v3": {"PyTorch": None, "with gamma": True, "padded taps counted": True, "dropout 50 %": 0.5},
    "inception-v3-keras": {
        "Keras": None, "without gamma": False, "padded taps left out": False, "no dropout": 0.0,
    },
    "inception-v2-factorized-7x7": {"padded taps left out": False, "dropout 20 %": 0.2},
    "bn-inception-released": {"TensorFlow": None, "no gamma": False},
    "bn-inception-plain-stem": {"with gamma": True},
    "bn-inception-caffe": {"PyTorch": None, "padded taps in": True},
    "googlenet-torchvision": {"PyTorch": None, "3x3 for 5x5": None},
}  # fmt: skip


@pytest.mark.parametrize("id", SAID)
def test_a_variant_says_what_the_description_is(id: str) -> None:
    kinds = [step.layer for step in trace(catalogue.network(id))]
    norms = {layer.norm.scale for layer in kinds if isinstance(layer, Conv) and layer.norm}
    taps = {layer.count_padding for layer in kinds if isinstance(layer, AvgPool) and layer.kernel == 3}
    rates = {layer.rate for layer in kinds if isinstance(layer, Dropout)} or {0.0}
    for words, value in SAID[id].items():
        assert words in figures(id).variant
        if value is not None:
            assert {value} == (norms if "gamma" in words else taps if "taps" in words else rates), words


def test_networks_of_one_paper_say_what_sets_them_apart() -> None:
    papers: dict[str, list[NetworkFigures]] = {}
    for one in ALL:
        papers.setdefault(one.paper, []).append(one)
    for siblings in papers.values():
        if len(siblings) > 1:
            assert all(one.variant for one in siblings)
    for prefix in ("bn-inception-", "inception-", "googlenet", "vgg-", "prelu-net-"):
        said = [one.variant for one in ALL if one.id.startswith(prefix)]
        assert len(set(said)) == len(said) > 1


@pytest.mark.parametrize("found", ALL, ids=lambda found: found.id)
def test_a_variant_is_one_sentence_that_can_follow_a_colon(found: NetworkFigures) -> None:
    assert not found.variant.endswith(".") and ". " not in found.variant and len(found.variant) < 160


def test_the_widths_that_were_inferred_for_highway_32_are_not_said_to_give_the_printed_count() -> None:
    """The sheet's arrangement has 1,264,502 parameters, the paper about 1.25 M."""
    [detail] = [one.detail for one in figures("highway-32").inferred if "filters" in one.detail]
    assert "depth and alternation are as published" in detail
    assert "1.2645 M where 1.25 M is printed" in detail


def test_unknown_id_suggests() -> None:
    with pytest.raises(UsageError, match="unknown network 'resnet34'; did you mean resnet-34"):
        figures("resnet34")


def test_the_layers_of_googlenets_table_add_up() -> None:
    rows = layers("googlenet")
    found = figures("googlenet")
    assert len(rows) == 12
    assert sum(row.weights for row in rows) == found.weights
    assert sum(row.biases for row in rows) == found.biases
    assert sum(row.macs for row in rows) == found.macs


@pytest.mark.parametrize("row", layers("googlenet"), ids=lambda row: row.layer)
def test_a_layers_print_that_is_off_has_an_erratum_and_no_other(row: PrintedLayer) -> None:
    exact = {"params": row.weights, "macs": row.macs}
    for one in row.printed:
        if one.figure in exact:
            assert one.agrees(exact[one.figure]) != bool(one.erratum), one


def test_the_rows_that_the_fact_sheet_finds_wrong() -> None:
    """Fact sheet of the Inception networks, 1.4."""
    wrong = {
        figure: [
            row.layer
            for row in layers("googlenet")
            for one in row.printed
            if one.figure == figure and one.erratum
        ]
        for figure in ("params", "macs", "output")
    }
    assert wrong == {
        "params": ["conv1", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"],
        "macs": ["conv1", "5a"],
        "output": [],
    }


def test_the_outputs_that_batch_norms_table_misprints() -> None:
    """Fact sheet of the Inception networks, 3.1: the rows marked sic."""
    rows = layers("bn-inception-table-literal")
    assert [row.layer for row in rows for one in row.printed if one.erratum] == ["3c", "4c", "4d", "4e"]


def test_a_paper_without_a_table_of_layers_prints_none() -> None:
    assert layers("resnet-50") == ()


def test_inferred_details_are_optional() -> None:
    assert all(isinstance(one.detail, str) and one.detail for found in ALL for one in found.inferred)
