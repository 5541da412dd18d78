"""Published errors: the tables as printed, and the one that is quoted for a network."""

from collections.abc import Callable
from importlib import import_module

import pytest

from goingdeeper.errors import UsageError
from goingdeeper.published import Result, ensembles, figures, ids, published_error, results, table, tables

ENSEMBLES = {"vgg", "resnet", "prelu-net"}
ALL = [result for name in tables() for result in table(name)]


def test_the_references_results_and_others_are_there() -> None:
    """Three of Figure 6, thirteen that others quote, and five of VGG's Table 3."""
    assert len(ALL) == 120 + 3 + 13 + 5
    assert tables() == [
        "googlenet-table3",
        "rethinking-table3",
        "rethinking-table4",
        "rethinking-table5",
        "resnet-table2",
        "resnet-table3",
        "resnet-table4",
        "resnet-table5",
        "resnet-table6",
        "other",
    ]


def test_every_result_is_of_a_known_network_and_has_an_error_and_a_source() -> None:
    assert {result.network for result in ALL} - set(ids()) == ENSEMBLES
    for result in ALL:
        assert result.top1_error is not None or result.top5_error is not None
        assert result.source
        assert result.provenance in ("primary", "recalled", "read off")


def test_googlenets_models_and_crops() -> None:
    """Szegedy et al. 2014, Table 3."""
    rows = {(row.models, row.crops): row.top5_error for row in table("googlenet-table3")}
    assert rows == {(1, 1): 10.07, (1, 10): 9.15, (1, 144): 7.89, (7, 1): 8.09, (7, 10): 7.62, (7, 144): 6.67}


def test_plain_against_residual() -> None:
    """He et al. 2015, Table 2."""
    rows = {row.network: row.top1_error for row in table("resnet-table2")}
    assert rows == {"plain-18": 27.94, "plain-34": 28.54, "resnet-18-a": 27.88, "resnet-34-a": 25.03}


def test_cifar_errors() -> None:
    """He et al. 2015, Table 6."""
    rows = {row.layers: row.top1_error for row in table("resnet-table6") if row.row == "ResNet"}
    assert rows == {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43, 1202: 7.93}


def test_vggs_single_scales() -> None:
    """Simonyan and Zisserman 2014, Table 3: training and test scale, top-1 and top-5 error."""
    rows = [row for row in ALL if row.own and row.place == "Table 3" and row.network.startswith("vgg-")]
    assert [(row.network, row.protocol, row.errors) for row in rows] == [
        ("vgg-11", "dense, one scale 256", "29.6 / 10.4 %"),
        ("vgg-13", "dense, one scale 256", "28.7 / 9.9 %"),
        ("vgg-16-c", "dense, one scale 256", "28.1 / 9.4 %"),
        ("vgg-16-c", "dense, one scale 384", "28.1 / 9.3 %"),
        ("vgg-16-c", "dense, one scale 384", "27.3 / 8.8 %"),
        ("vgg-16", "dense, one scale 384", "25.6 / 8.1 %"),
        ("vgg-19", "dense, one scale 384", "25.5 / 8.0 %"),
    ]
    jittered = "training scale jittered in [256, 512]"
    assert [row.network for row in rows if row.remark == jittered] == ["vgg-16-c", "vgg-16", "vgg-19"]
    for row in rows:
        quoted = published_error(row.network)
        assert quoted is not None and (quoted is row) != row.ablation


def test_no_quoted_error_is_without_augmentation() -> None:
    """So that errors in one list can be compared."""
    assert [id for id in ids() if (one := published_error(id)) and one.augmentation is False] == []


def test_a_remark_of_a_table_comes_before_a_rows_own() -> None:
    row = next(row for row in table("rethinking-table4") if row.network == "bn-inception-released")
    assert row.remark.startswith("the column headings are swapped in print")
    assert row.remark.endswith("21.99 / 5.82 in its own paper")


def test_an_erratum_belongs_to_one_figure_of_its_row() -> None:
    row = table("googlenet-table3")[-1]
    assert row.erratum("compared_to_base") == "10.07 - 6.67 = 3.40."
    assert row.erratum("top5_error") == ""
    for result in ALL:
        for figure, erratum in result.errata:
            assert getattr(result, figure) is not None
            assert erratum


@pytest.mark.parametrize("result", [row for row in ALL if row.layers or row.cost_bn_ops])
def test_what_tables_of_results_repeat_of_a_network_is_printed_of_it(result: Result) -> None:
    """So that the audit, which reads networks.toml for these, has seen every one of them."""
    printed = {(one.figure, one.value) for one in figures(result.network).printed}
    if result.layers:
        assert ("layers", result.layers) in printed
    if result.published_params_m:
        assert ("params", pytest.approx(result.published_params_m * 1e6)) in list(printed)
    if result.cost_bn_ops:
        assert ("macs", pytest.approx(result.cost_bn_ops * 1e9)) in list(printed)


def test_own_results_are_those_of_the_papers_that_made_the_networks() -> None:
    """Ensembles, too: 3.57 is He et al.'s own, 7.32 their quote of VGG's."""
    own = {(row.network, row.top5_error) for row in ALL if row.own and row.network in ENSEMBLES}
    assert own == {("resnet", 3.57), ("vgg", 7.3), ("vgg", 6.8), ("prelu-net", 4.94)}
    assert set(ensembles()) == ENSEMBLES


@pytest.mark.parametrize(
    ("network", "errors", "protocol", "of"),
    [
        ("googlenet", "10.07 % top-5", "1 crop", "googlenet-table3"),
        ("plain-18", "27.94 %", "10 crops", "resnet-table2"),
        ("plain-34", "28.54 / 10.02 %", "10 crops", "resnet-table3"),
        ("resnet-34-c", "24.19 / 7.4 %", "10 crops", "resnet-table3"),
        ("resnet-50", "22.85 / 6.71 %", "10 crops", "resnet-table3"),
        ("resnet-152", "21.43 / 5.71 %", "10 crops", "resnet-table3"),
        # 30.43 was read, 30.242 is recalled; both one crop.
        ("resnet-18-b", "30.43 / 10.76 %", "1 crop", "other"),
        # 24.01 is of a network with one batch norm elsewhere.
        ("resnet-50-v1.5", "23.87 / 7.138 %", "1 crop", "other"),
        ("inception-v3", "21.2 / 5.6 %", "1 crop", "rethinking-table3"),
        # 11.68 and 10.41 are without augmentation, as no other error of these tables is.
        ("maxout-cifar10", "9.38 %", "1 crop", "other"),
        ("nin-cifar10", "8.81 %", "1 crop", "other"),
        ("dsn-cifar10", "7.97 %", "1 crop", "other"),
        ("cifar-resnet-110-a", "6.43 %", "1 crop", "resnet-table6"),
        ("cifar-plain-56", "~13.0 %", "1 crop", "other"),
        ("cifar-plain-110", ">60.0 %", "1 crop", "other"),
        ("prelu-net-a", "25.59 / 8.23 %", "10 crops", "other"),
        ("resnet-50-signs", "13.33 %", "1 crop", "other"),
    ],
)
def test_the_error_to_quote(network: str, errors: str, protocol: str, of: str) -> None:
    result = published_error(network)
    assert result is not None
    assert (result.errors, result.protocol, result.table) == (errors, protocol, of)


def test_what_was_read_comes_before_what_is_recalled(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("goingdeeper.published.results")
    everything = module._results()
    monkeypatch.setattr(module, "_results", lambda: everything[::-1])
    result = published_error("resnet-18-b")
    assert result is not None and (result.errors, result.provenance) == ("30.43 / 10.76 %", "primary")


@pytest.mark.parametrize("network", ids())
def test_the_error_to_quote_is_of_one_model_on_validation_images(network: str) -> None:
    result = published_error(network)
    if result is None:
        assert all(other.models != 1 for other in results(network))
    else:
        assert (result.network, result.models) == (network, 1)
        assert result.split != "test"


def test_a_network_nobody_tested_has_no_error() -> None:
    assert results("googlenet-naive") == ()
    assert published_error("googlenet-naive") is None


def test_protocols_in_words() -> None:
    words = {result.protocol for result in ALL}
    assert {"1 crop", "7 models, 144 crops", "dense, one scale 384", "2 models, multi-crop+dense"} <= words


def test_ensembles_have_results_too() -> None:
    [winner] = results("resnet")
    assert (winner.top5_error, winner.models, winner.split) == (3.57, 6, "test")


@pytest.mark.parametrize("ask", [results, published_error])
def test_unknown_network_suggests(ask: Callable[[str], object]) -> None:
    with pytest.raises(UsageError, match="unknown network 'googlnet'; did you mean googlenet"):
        ask("googlnet")


def test_unknown_table_suggests() -> None:
    with pytest.raises(UsageError, match="unknown table 'resnet-table7'; did you mean resnet-table"):
        table("resnet-table7")
