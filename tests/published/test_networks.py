"""Published figures of networks: whole, consistent, and explained where the print is off."""

import pytest

from goingdeeper import catalogue
from goingdeeper.errors import UsageError
from goingdeeper.published import NetworkFigures, PrintedLayer, figures, ids, layers
from goingdeeper.published.networks import printed

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
def test_a_print_that_is_off_has_an_erratum(found: NetworkFigures) -> None:
    for one in found.printed:
        assert one.agrees(getattr(found, one.figure)) or found.erratum


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


def test_unknown_id_suggests() -> None:
    with pytest.raises(UsageError, match="unknown network 'resnet34'; did you mean resnet-34"):
        figures("resnet34")


@pytest.mark.parametrize(
    ("text", "value", "step"),
    [
        ("13.6e6", 13_600_000, 100_000),
        ("1.5 Bn", 1_500_000_000, 100_000_000),
        ("138 M", 138_000_000, 1_000_000),
        ("112K", 114_688, 1024),
        ("1.90e10", 19_000_000_000, 100_000_000),
    ],
)
def test_printed_figures_are_read_with_their_precision(text: str, value: float, step: float) -> None:
    read = printed("params", text)
    assert (read.value, read.step) == (pytest.approx(value), pytest.approx(step))


@pytest.mark.parametrize("text", ["", "M", "1,000", "-3", "1.5 bn", "about 5 Bn"])
def test_other_text_is_not_a_figure(text: str) -> None:
    with pytest.raises(ValueError, match="is not a printed figure"):
        printed("macs", text)


def test_agreement_is_rounding_to_the_last_printed_digit() -> None:
    # Fact sheet of the residual networks, 1.4: 3.6e9 is option A rounded, B would be 3.7e9.
    assert printed("macs", "3.6e9").agrees(3_644_493_824)
    assert not printed("macs", "3.6e9").agrees(3_663_761_408)
    assert printed("params", "25 M", below=True).agrees(23_834_568)
    assert not printed("params", "25 M", below=True).agrees(25_000_000)


def test_a_zero_at_the_end_need_not_be_a_figure() -> None:
    """60 million for AlexNet: 60,965,224 would round to 61."""
    [sixty] = figures("alexnet").printed
    assert (sixty.text, sixty.step) == ("60 M", 10_000_000)
    assert sixty.agrees(60_965_224)


def test_the_layers_of_googlenets_table_add_up() -> None:
    rows = layers("googlenet")
    found = figures("googlenet")
    assert len(rows) == 12
    assert sum(row.weights for row in rows) == found.weights
    assert sum(row.biases for row in rows) == found.biases
    assert sum(row.macs for row in rows) == found.macs


@pytest.mark.parametrize("row", layers("googlenet"), ids=lambda row: row.layer)
def test_a_layers_print_that_is_off_has_an_erratum(row: PrintedLayer) -> None:
    right = row.params.agrees(row.weights) and row.ops.agrees(row.macs)
    assert right != bool(row.erratum)


def test_the_rows_that_the_fact_sheet_finds_right() -> None:
    right = [row.layer for row in layers("googlenet") if not row.erratum]
    assert right == ["conv2", "3a", "fc"]


def test_a_paper_without_a_table_of_layers_prints_none() -> None:
    assert layers("resnet-50") == ()
