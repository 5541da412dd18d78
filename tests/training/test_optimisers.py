"""A recipe's optimiser: its groups, its rates at each step, bounds on norms, its state in checkpoints."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from goingdeeper import build, catalogue
from goingdeeper.errors import UsageError
from goingdeeper.layers import CLASSES, BatchNorm, Conv, GlobalAvgPool, Linear, Maxout, Network
from goingdeeper.nn.build import Net
from goingdeeper.recipes import SCRATCH, schedules
from goingdeeper.recipes.optimisers import LAMB, SGD, Adam, CaffeSGD, RMSProp, Rule
from goingdeeper.recipes.schedules import (
    Constant,
    Exponential,
    Inverse,
    Now,
    Steps,
    UntilLearning,
)
from goingdeeper.training.optimisers import (
    base_rate,
    bound_norms,
    optimiser,
    restore_state,
    set_rates,
    state_tensors,
)

PLAIN = replace(SCRATCH, schedule=Constant())
KINDS = [
    SGD(), SGD(momentum=0.0), CaffeSGD(), CaffeSGD(nesterov=True), CaffeSGD(momentum=0.0), RMSProp(),
    RMSProp(momentum=0.0, start=0.0), Adam(), Adam(decoupled=True, weight_decay=0.1), LAMB(),
]  # fmt: skip
SMALL = Network(
    "small",
    {
        "conv1": Conv(4, 3, norm=BatchNorm()), "conv2": Conv(6, 1, bias=True), "pool": GlobalAvgPool(),
        "fc": Linear(CLASSES),
    },
    input=(3, 6, 6), classes=3,
)  # fmt: skip


def made(network, recipe, **options):
    net = build(network, seed=1).to(memory_format=torch.channels_last)
    parameters = dict(net.named_parameters())
    return net, parameters, optimiser(parameters, network, recipe, **options)


def by_name(parameters, made):
    """Each parameter's group."""
    groups = {id(value): group for group in made.param_groups for value in group["params"]}
    return {name: groups[id(value)] for name, value in parameters.items()}


def learn(net, made, steps, recipe, seed=0):
    random = torch.Generator().manual_seed(seed)
    for step in range(steps):
        images = torch.randn(4, 3, 6, 6, generator=random).to(memory_format=torch.channels_last)
        made.zero_grad()
        net(images).square().mean().backward()
        set_rates(made, recipe, Now(step, steps, 2))
        made.step()


@pytest.mark.parametrize("part", KINDS)
def test_parameters_of_equal_factors_share_a_group(part):
    _, parameters, opt = made(SMALL, replace(PLAIN, optimiser=part))
    assert len(opt.param_groups) == 2
    groups = by_name(parameters, opt)
    for name in parameters:
        decays = name in ("conv1.conv.weight", "conv2.conv.weight", "fc.weight")
        assert groups[name]["weight_decay"] == (part.weight_decay if decays else 0)
        assert groups[name]["lr"] == part.rate


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (SGD(0.3, 0.8), {"lr": 0.3, "momentum": 0.8, "nesterov": True}),
        (SGD(nesterov=False), {"lr": 0.1, "momentum": 0.9, "nesterov": False}),
        (SGD(momentum=0.0), {"momentum": 0.0, "nesterov": False}),
        (CaffeSGD(nesterov=True), {"momentum": 0.9, "nesterov": True}),
        (CaffeSGD(), {"nesterov": False}),
        (RMSProp(eps=0.5, decay=0.7), {"lr": 0.045, "decay": 0.7, "eps": 0.5, "momentum": 0.9}),
        (Adam(beta1=0.8, eps=1e-3), {"lr": 1e-3, "betas": (0.8, 0.999), "eps": 1e-3}),
        (LAMB(beta2=0.99, eps=1e-4), {"lr": 5e-3, "betas": (0.9, 0.99), "eps": 1e-4}),
    ],
)
def test_a_recipes_numbers_reach_its_optimiser(part, expected):
    _, parameters, opt = made(SMALL, replace(PLAIN, optimiser=part))
    for group in opt.param_groups:
        assert {name: group[name] for name in expected} == expected
    if isinstance(part, LAMB):  # layers are scaled to their weights where these decay
        assert {name for name, group in by_name(parameters, opt).items() if group["adapts"]} == {
            "conv1.conv.weight", "conv2.conv.weight", "fc.weight",
        }  # fmt: skip


@pytest.mark.parametrize("start", [1.0, 0.0])
def test_rmsprops_squares_start_where_the_recipe_says(start):
    _, parameters, opt = made(SMALL, replace(PLAIN, optimiser=RMSProp(start=start)))
    kept = state_tensors(opt, parameters)["square_avg/fc.weight"]
    assert kept.unique().tolist() == [start]


def test_groups_of_the_googlenet_release():
    recipe = replace(PLAIN, optimiser=CaffeSGD(0.01, weight_decay=2e-4), rules=(Rule("biases", rate=2),))
    with torch.device("meta"):
        net = Net(catalogue.network("googlenet"))
    opt = optimiser(dict(net.named_parameters()), net.description, recipe)
    found = [(len(group["params"]), group["lr"], group["weight_decay"]) for group in opt.param_groups]
    assert found == [(64, 0.01, 2e-4), (64, 0.02, 0.0)]


def numpy_adam(w, gradients, rates, decay, decoupled, beta1=0.9, beta2=0.999, eps=1e-8):
    m = s = np.zeros_like(w)
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        if decoupled:
            w = w - rate * decay * w
        else:
            g = g + decay * w
        m, s = beta1 * m + (1 - beta1) * g, beta2 * s + (1 - beta2) * g * g
        w = w - rate * (m / (1 - beta1**t)) / (np.sqrt(s / (1 - beta2**t)) + eps)
    return w


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("capturable", [False, True])
def test_adam_against_numpy(decoupled, capturable):
    recipe = replace(
        PLAIN, optimiser=Adam(0.01, weight_decay=0.3, decoupled=decoupled), schedule=Steps((3, 6), 0.5)
    )
    _, parameters, opt = made(SMALL, recipe, capturable=capturable)
    weight, bias = parameters["fc.weight"], parameters["fc.bias"]
    before = {value: value.detach().double().numpy().copy() for value in (weight, bias)}
    random = np.random.default_rng(2)
    gradients = {value: [random.normal(size=value.shape) for _ in range(9)] for value in (weight, bias)}
    for step in range(9):
        set_rates(opt, recipe, Now(step, 9, 3))
        for value in (weight, bias):
            value.grad = torch.tensor(gradients[value][step], dtype=torch.float32)
        opt.step()
    rates = [0.01] * 3 + [0.005] * 3 + [0.0025] * 3
    for value, decay in ((weight, 0.3), (bias, 0.0)):
        expected = numpy_adam(before[value], gradients[value], rates, decay, decoupled)
        assert value.detach().numpy() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("capturable", [False, True])
def test_rates_are_base_times_schedule_times_warm_up_times_the_rules(capturable):
    recipe = replace(
        PLAIN, optimiser=SGD(0.1), schedule=Steps((32_000, 48_000)),
        until_learning=UntilLearning(0.1), rules=(
            Rule("biases", rate=2), Rule("classifier", rate=0.1, schedule=Inverse(1e-4, 0.75)),
        ),
    )  # fmt: skip
    _, parameters, opt = made(SMALL, recipe, capturable=capturable)
    # At 150,000 the rule's own schedule is 16^-0.75 = 1/8.
    for step, learnt, base, own in ((0, None, 0.01, 1), (150_000, 400, 0.001, 1 / 8), (0, 0, 0.1, 1)):
        now = Now(step, 200_000, 391, learnt=learnt)
        assert base_rate(recipe, now) == pytest.approx(base)
        assert set_rates(opt, recipe, now) is False
        groups = by_name(parameters, opt)
        found = {name: float(group["lr"]) for name, group in groups.items()}
        assert found == pytest.approx({
            "conv1.conv.weight": base, "conv1.norm.weight": base, "conv1.norm.bias": base,
            "conv2.conv.weight": base, "conv2.conv.bias": 2 * base, "fc.weight": 0.1 * base * own,
            "fc.bias": 0.2 * base * own,
        }, rel=1e-5)  # fmt: skip
        assert all(isinstance(group["lr"], torch.Tensor) == capturable for group in opt.param_groups)


def test_a_rate_on_the_device_stays_in_its_place():
    recipe = replace(PLAIN, optimiser=CaffeSGD(), schedule=Exponential(0.5, 1, "iterations"))
    _, _, opt = made(SMALL, recipe, capturable=True)
    places = [group["lr"].data_ptr() for group in opt.param_groups]
    for step in range(3):
        set_rates(opt, recipe, Now(step, 3, 1))
        assert [group["lr"].data_ptr() for group in opt.param_groups] == places
        assert [group["lr"].item() for group in opt.param_groups] == pytest.approx([0.1 * 0.5**step] * 2)


def test_maxouts_momentum_rises_to_065_and_a_change_is_told():
    recipe = replace(PLAIN, optimiser=CaffeSGD(0.17, 0.5), momentum_schedule=schedules.Linear(1.3, 250))
    _, _, opt = made(SMALL, recipe)
    changes = []
    for step in (0, 9, 10, 1250, 2490, 4000):
        changes.append(set_rates(opt, recipe, Now(step, 4740, 10)))
    assert [group["momentum"] for group in opt.param_groups] == pytest.approx([0.65] * 2)
    assert changes == [False, False, True, True, True, False]
    set_rates(opt, recipe, Now(1245, 4740, 10))  # half way, but for half an epoch: 124 of 249 steps
    assert opt.param_groups[0]["momentum"] == pytest.approx(0.5 + 0.15 * 124 / 249)


def test_a_momentum_schedule_without_momentum_is_refused():
    with pytest.raises(UsageError, match="Adam has no momentum for a momentum_schedule; --set momentum_sch"):
        made(SMALL, replace(PLAIN, optimiser=Adam(), momentum_schedule=schedules.Linear(1.3, 250)))


def test_filters_and_units_are_scaled_down_to_their_bound():
    network = Network(
        "bounded",
        {
            "conv1": Conv(2, 2, bias=True, act=Maxout(2)), "pool": GlobalAvgPool(),
            "fc1": Linear(3, act=Maxout(2)), "fc2": Linear(CLASSES),
        },
        input=(3, 6, 6), classes=2,
    )  # fmt: skip
    rules = Rule("conv1.conv.weight", max_norm=0.9), Rule("fc1.weight", max_norm=2.0)
    _, parameters, opt = made(network, replace(PLAIN, rules=rules))
    random = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for value in parameters.values():
            value.copy_(torch.randn(value.shape, generator=random))
            value.grad = torch.zeros_like(value)
        parameters["conv1.conv.weight"][1] *= 0.01  # a piece of a unit, of a norm below the bound
        parameters["conv1.conv.weight"][3] = 0.0
    before = {name: value.detach().double().numpy().copy() for name, value in parameters.items()}
    bound_norms(opt)
    for name, bound in (("conv1.conv.weight", 0.9), ("fc1.weight", 2.0)):
        expected = before[name]
        for row in range(len(expected)):  # every piece of a maxout unit is a filter of its own
            norm = np.sqrt((expected[row] ** 2).sum())
            if norm > bound:
                expected[row] *= bound / norm
        assert parameters[name].detach().numpy() == pytest.approx(expected, rel=1e-5)
    assert parameters["conv1.conv.weight"].is_contiguous(memory_format=torch.channels_last)
    for name in ("conv1.conv.bias", "fc2.weight", "fc1.bias"):
        assert np.array_equal(parameters[name].detach().double().numpy(), before[name])


def test_what_is_not_trained_is_not_bounded():
    _, parameters, opt = made(SMALL, replace(PLAIN, rules=(Rule("weights", max_norm=1e-3),)))
    parameters["fc.weight"].grad = torch.zeros_like(parameters["fc.weight"])
    before = parameters["conv1.conv.weight"].detach().clone()
    bound_norms(opt)
    assert torch.equal(parameters["conv1.conv.weight"], before)
    assert parameters["fc.weight"].detach().norm(dim=1).max() <= 1e-3


STATE = {
    SGD: {"momentum_buffer"}, CaffeSGD: {"momentum_buffer"}, RMSProp: {"square_avg", "momentum_buffer"},
    Adam: {"step", "exp_avg", "exp_avg_sq"}, LAMB: {"step", "exp_avg", "exp_avg_sq"},
}  # fmt: skip


@pytest.mark.parametrize("part", KINDS)
def test_all_state_is_there_from_the_start_and_goes_on_bit_for_bit(part):
    recipe = replace(PLAIN, optimiser=part, schedule=Exponential(0.9, 1, "iterations"))
    net, parameters, opt = made(SMALL, recipe)
    names = state_tensors(opt, parameters).keys()
    kept = STATE[type(part)] - ({"momentum_buffer"} if getattr(part, "momentum", 1) == 0 else set())
    assert names == {f"{kind}/{name}" for kind in kept for name in parameters}
    learn(net, opt, 3, recipe)
    assert state_tensors(opt, parameters).keys() == names
    saved = load(save({name: value.contiguous() for name, value in state_tensors(opt, parameters).items()}))

    other, its_parameters, again = made(SMALL, recipe)
    other.load_state_dict(net.state_dict())
    places = {name: value.data_ptr() for name, value in state_tensors(again, its_parameters).items()}
    restore_state(again, its_parameters, saved)
    restored = state_tensors(again, its_parameters)
    assert {name: value.data_ptr() for name, value in restored.items()} == places
    learn(net, opt, 3, recipe, seed=1)
    learn(other, again, 3, recipe, seed=1)
    for name, value in parameters.items():
        assert torch.equal(value, its_parameters[name]), name
    for name, value in state_tensors(opt, parameters).items():
        assert torch.equal(value, restored[name]), name
        assert (value.dtype, value.stride()) == (restored[name].dtype, restored[name].stride())


def test_state_of_another_optimiser_is_refused():
    _, parameters, opt = made(SMALL, replace(PLAIN, optimiser=Adam()))
    _, others, rms = made(SMALL, replace(PLAIN, optimiser=SGD()))
    with pytest.raises(UsageError, match=r"the checkpoint is of another optimiser or network: \w+.*has not"):
        restore_state(opt, parameters, state_tensors(rms, others))


@pytest.mark.parametrize("part", KINDS)
def test_parameters_without_a_gradient_at_first_or_ever_are_left_alone(part):
    _, parameters, opt = made(SMALL, replace(PLAIN, optimiser=part))
    before = {name: value.detach().clone() for name, value in parameters.items()}
    trained = ["fc.weight", "fc.bias"]
    for step in range(3):
        if step == 2:  # a block that stochastic depth left out until now
            trained.append("conv2.conv.weight")
        for name in trained:
            parameters[name].grad = torch.full_like(parameters[name], 0.5)
        opt.step()
    changed = {name for name, value in parameters.items() if not torch.equal(value, before[name])}
    assert changed == set(trained)


@pytest.mark.parametrize("part", KINDS)
def test_a_flag_on_the_device_skips_the_update(part):
    _, parameters, opt = made(SMALL, replace(PLAIN, optimiser=part), capturable=True)
    for flag, gradient in ((0.0, 0.5), (1.0, float("nan"))):
        for value in parameters.values():
            value.grad = torch.full_like(value, gradient)
        opt.found_inf = torch.tensor(flag)
        before = [value.clone() for value in (*parameters.values(), *state_tensors(opt, parameters).values())]
        opt.step()
        after = [*parameters.values(), *state_tensors(opt, parameters).values()]
        assert all(map(torch.equal, before, after)) == bool(flag)
