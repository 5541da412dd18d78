"""Rules on real networks; torch's own module types say what each parameter is."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from goingdeeper import catalogue
from goingdeeper.errors import UsageError
from goingdeeper.nn.build import Net
from goingdeeper.recipes import SCRATCH
from goingdeeper.recipes.optimisers import Rule
from goingdeeper.recipes.schedules import Inverse, Steps
from goingdeeper.training.groups import WORDS, kinds, shares


def built(model):
    network = catalogue.network(model)
    with torch.device("meta"):
        return network, Net(network)


def found(model, *rules, **fields):
    network, net = built(model)
    names = [name for name, _ in net.named_parameters()]
    return shares(names, network, replace(SCRATCH, rules=rules, **fields))


@pytest.mark.parametrize(
    "model",
    [
        "googlenet", "resnet-50", "cifar-resnet-20-a", "prelu-net-a", "dsn-cifar10", "maxout-cifar10",
        "highway-19", "inception-v3", "bn-googlenet", "fitnet-19", "vgg-16",
    ],
)  # fmt: skip
def test_the_kinds_are_those_of_torchs_modules(model):
    network, net = built(model)
    words = kinds(network)
    names = dict(net.named_parameters())
    for path, module in net.named_modules():
        for part in ("weight", "bias"):
            name = f"{path}.{part}"
            if name not in names:
                continue
            convolution = {"convolutions"} if isinstance(module, nn.Conv2d) else set()
            match module:
                case nn.Conv2d() | nn.Linear():
                    expected = {"weights" if part == "weight" else "biases"} | convolution
                case nn.BatchNorm2d():
                    expected = {"norms"}
                case nn.PReLU():
                    expected = {"slopes"}
            assert words[name] - {"classifier"} == expected, name
    assert set(names) <= set(words)


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        ("googlenet", "fc"), ("dsn-cifar10", "cccp6.conv"), ("nin-cifar10", "cccp6.conv"), ("vgg-16", "fc8"),
        ("maxout-cifar10", "fc2"), ("highway-19", "fc"), ("resnet-50", "fc"), ("prelu-net-a", "fc3"),
    ],
)  # fmt: skip
def test_the_classifier_is_the_trunks_last_layer(model, layer):
    wide = {name for name, share in found(model, Rule("classifier", rate=0.1)).items() if share.rate == 0.1}
    assert wide == {f"{layer}.weight", f"{layer}.bias"}


def test_googlenets_release_biases_at_twice_the_rate_without_decay():
    all_shares = found("googlenet", Rule("biases", rate=2))
    assert len(all_shares) == 2 * (58 + 2 * 3)  # 57 convolutions and the classifier, 3 layers in each head
    for name, share in all_shares.items():
        expected = (2, 0) if name.endswith("bias") else (1, 1)
        assert (share.rate, share.decay) == expected, name


def test_dsns_companions_go_their_own_way():
    own = Inverse(1e-4, 0.75)
    all_shares = found(
        "dsn-cifar10", Rule("biases", rate=2), Rule("classifier", rate=0.1),
        Rule("heads.*", rate=0.001, schedule=own),
    )  # fmt: skip
    assert all_shares["conv1.conv.weight"].rate == 1
    assert all_shares["conv1.conv.bias"].rate == 2
    assert all_shares["cccp6.conv.weight"].rate == pytest.approx(0.1)
    assert all_shares["cccp6.conv.bias"].rate == pytest.approx(0.2)
    head = all_shares["heads.conv2.conv.weight"]
    assert (head.rate, head.decay, head.schedules) == (0.001, 1, (own,))
    assert all_shares["heads.conv2.conv.bias"].rate == pytest.approx(0.002)
    assert {name for name, share in all_shares.items() if share.schedules} == {
        f"heads.conv{number}.conv.{part}" for number in (1, 2, 3) for part in ("weight", "bias")
    }


def test_maxouts_release_by_layer():
    bounds = {"conv1.conv": 0.9, "conv2.conv": 1.9365, "conv3.conv": 1.9365, "fc1": 1.9, "fc2": 1.9365}
    rules = [Rule(f"{layer}.weight", max_norm=bound) for layer, bound in bounds.items()]
    all_shares = found("maxout-cifar10", Rule("convolutions", rate=0.05), *rules)
    for layer, bound in bounds.items():
        rate = 0.05 if layer.startswith("conv") else 1.0
        weight, bias = all_shares[f"{layer}.weight"], all_shares[f"{layer}.bias"]
        assert (weight.rate, weight.max_norm) == (rate, bound)
        assert (bias.rate, bias.max_norm) == (rate, 0.0)


def test_a_bound_is_for_weights_and_the_lowest_of_several_holds():
    all_shares = found("fitnet-19", Rule("convolutions", max_norm=0.9), Rule("*", max_norm=1.9))
    assert all_shares["conv1_1.conv.weight"].max_norm == 0.9
    assert all_shares["conv1_1.conv.bias"].max_norm == 0.0
    assert all_shares["fc1.weight"].max_norm == 1.9


def test_slopes_norms_and_biases_do_not_decay():
    # 19 layers, of which the last has no slopes; 53 convolutions with gamma and beta.
    for model, kind, count in (("prelu-net-a", "act", 18), ("resnet-50", "norm", 106)):
        decays = [share.decay for name, share in found(model).items() if f".{kind}." in name]
        assert decays == [0] * count
    assert found("resnet-50")["fc.bias"].decay == 0


def test_highways_classifier_decays_ten_times_as_much_and_its_biases_do_not():
    all_shares = found("highway-19", Rule("biases", rate=2), Rule("classifier", decay=10))
    assert {name: share.decay for name, share in all_shares.items() if share.decay not in (0, 1)} == {
        "fc.weight": 10
    }
    assert all_shares["fc.bias"].decay == 0


@pytest.mark.parametrize(
    ("rules", "all_of_it", "expected"),
    [
        ((), True, {"weights": 1, "norms": 1, "biases": 1}),
        ((Rule("norms", decay=0),), True, {"weights": 1, "norms": 0, "biases": 1}),
        ((Rule("biases", decay=0.5),), False, {"weights": 1, "norms": 0, "biases": 0.5}),
        ((Rule("fc.bias", decay=0.5),), False, {"weights": 1, "norms": 0, "biases": 0.5}),
        ((Rule("*", decay=0.5),), False, {"weights": 0.5, "norms": 0, "biases": 0}),
        (
            (Rule("*", decay=0.5), Rule("weights", decay=3)),
            True,
            {"weights": 1.5, "norms": 0.5, "biases": 0.5},
        ),
    ],
)
def test_what_decays(rules, all_of_it, expected):
    all_shares = found("resnet-18-b", *rules, decay_all=all_of_it)
    names = {"weights": "conv1.conv.weight", "norms": "conv1.norm.bias", "biases": "fc.bias"}
    assert {kind: all_shares[name].decay for kind, name in names.items()} == expected


def test_factors_of_several_rules_multiply_and_schedules_add_up():
    first, second = Steps((1,)), Steps((2,))
    rules = (
        Rule("weights", rate=2, schedule=first),
        Rule("conv1.*", rate=3),
        Rule("*.weight", schedule=second),
    )
    share = found("resnet-18-b", *rules)["conv1.conv.weight"]
    assert (share.rate, share.schedules) == (6, (first, second))


@pytest.mark.parametrize("of", [*WORDS, "heads.*", "regressor*", "conv?.nothing"])
def test_words_and_patterns_may_find_nothing(of):
    plain = found("nin-cifar10")
    assert found("nin-cifar10", Rule(of)) == plain


@pytest.mark.parametrize(
    ("of", "close"),
    [
        ("bias", "biases"), ("weight", "weights"), ("conv1.weight", "conv1.conv.weight"), ("fc", ""),
        ("conv1.conv.weights", "conv1.conv.weight"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_there_is_refused_with_close_ones(of, close):
    with pytest.raises(UsageError, match=rf"nin-cifar10 in a rule of recipe scratch: '{of}'.*{close}"):
        found("nin-cifar10", Rule(of))


def test_parameters_of_the_objective_that_no_description_has():
    network = catalogue.network("nin-cifar10")
    names = ["conv1.conv.weight", "regressor.weight", "regressor.bias"]
    all_shares = shares(names, network, replace(SCRATCH, rules=(Rule("regressor.weight", rate=0.05),)))
    assert [all_shares[name].decay for name in names] == [1, 1, 0]
    assert [all_shares[name].rate for name in names] == [1, 0.05, 1]


def test_a_rule_for_a_part_that_is_not_trained_this_time_is_no_mistake():
    network = catalogue.network("maxout-cifar10")
    recipe = replace(SCRATCH, rules=(Rule("fc2.weight", max_norm=1.9365),))
    assert shares(["conv1.conv.weight"], network, recipe)["conv1.conv.weight"].max_norm == 0
