"""Blocks computed again in the backward pass: the same numbers to the last bit, and less kept."""

from __future__ import annotations

import copy
import weakref
from collections import Counter

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from goingdeeper.layers import CLASSES, BatchNorm, Conv, GlobalAvgPool, Identity, Linear, Network, Residual
from goingdeeper.nn.build import Net, build, create_model
from goingdeeper.nn.prepare import prepare

SIZES = {
    "googlenet-torchvision": 64,
    "resnet-50": 32,
    "cifar-resnet-20-b": 16,
    "highway-19": 32,
    "googlenet": 79,
}
NORM = BatchNorm()
IN_STAGES = Network(
    "stages",
    {
        "conv1": Conv(4, 3, norm=NORM),
        "stage": {
            name: Residual({"one": Conv(4, 3, norm=NORM), "two": Conv(4, 3, norm=NORM, act=None)}, Identity())
            for name in ("a", "b", "c")
        },
        "pool": GlobalAvgPool(),
        "fc": Linear(CLASSES),
    },
    heads={"stage.b.one": Linear(CLASSES)},
    input=(3, 8, 8),
    classes=3,
)


def network(id: str) -> Net:
    if id == "stages":
        return build(IN_STAGES)
    return create_model(id, num_classes=3, size=SIZES[id])


def trained(net: Net, side: int, autocast: bool = False) -> tuple[Net, list[dict[str, torch.Tensor]]]:
    """After two steps on the loss of all heads; the gradients of each step."""
    images = torch.randn(2, 6, 3, side, side, generator=torch.Generator().manual_seed(5))
    heads = [f"heads.{name}" for name, _ in net.description.heads]
    optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    gradients = []
    for step, batch in enumerate(images):
        torch.manual_seed(step)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits, found = net.tap(batch, heads)
            loss = sum(
                F.cross_entropy(each.float(), torch.tensor([0, 1, 2] * 2))
                for each in (logits, *found.values())
            )
        torch.rand(3)  # whoever draws between the passes does not matter
        optimiser.zero_grad()
        loss.backward()
        gradients.append({name: value.grad.clone() for name, value in net.named_parameters()})
        optimiser.step()
    return net, gradients


@pytest.mark.parametrize(
    ("id", "settings", "autocast"),
    [
        ("cifar-resnet-20-b", {"recompute": 1}, False),
        ("cifar-resnet-20-b", {"recompute": 2, "stochastic_depth": 0.5, "norm_batch": 3}, False),
        ("cifar-resnet-20-b", {"recompute": 100}, True),
        ("stages", {"recompute": 1}, False),
        ("stages", {"recompute": 2, "stochastic_depth": 0.5}, True),
        pytest.param("resnet-50", {"recompute": 3}, False, marks=pytest.mark.slow),
        pytest.param("googlenet", {"recompute": 2}, False, marks=pytest.mark.slow),
        pytest.param("googlenet-torchvision", {"recompute": 2}, False, marks=pytest.mark.slow),
        ("highway-19", {"recompute": 4}, False),
    ],
)
def test_training_is_the_same_to_the_last_bit(id, settings, autocast):
    plain = network(id).train()
    net = copy.deepcopy(plain)
    prepare(plain, **{name: value for name, value in settings.items() if name != "recompute"})
    prepare(net, **settings)
    side = plain.description.input[1]
    (plain, expected), (net, gradients) = trained(plain, side, autocast), trained(net, side, autocast)
    for step, (one, other) in enumerate(zip(gradients, expected, strict=True)):
        assert all(
            float(value.abs().max()) > 0 for name, value in other.items() if name.endswith("conv.weight")
        )
        for name, value in one.items():
            assert torch.equal(value, other[name]), (step, name)
    for name, value in plain.state_dict().items():  # running statistics and their counter among them
        assert torch.equal(net.state_dict()[name], value), name


class Watch:
    """How often each convolution runs, and whether its output is still there."""

    def __init__(self, net: Net) -> None:
        self.runs: Counter[str] = Counter()
        self.outputs: dict[str, weakref.ref[torch.Tensor]] = {}
        for name, module in net.named_modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(lambda _, __, y, name=name: self._see(name, y))

    def _see(self, name: str, y: torch.Tensor) -> None:
        self.runs[name] += 1
        self.outputs[name] = weakref.ref(y)

    def kept(self) -> set[str]:
        return {name for name, output in self.outputs.items() if output() is not None}


def in_blocks(watch: Watch) -> set[str]:
    return {name for name in watch.runs if name.startswith("stage.")}


def test_what_is_in_blocks_is_not_kept_and_runs_twice():
    net = build(IN_STAGES).train()
    prepare(net, recompute=2)
    watch = Watch(net)
    loss = net(torch.randn(4, 3, 8, 8)).square().sum()
    assert watch.runs == dict.fromkeys(in_blocks(watch) | {"conv1.conv"}, 1)
    assert watch.kept() == {"conv1.conv"}
    loss.backward()
    assert watch.runs == {**dict.fromkeys(in_blocks(watch), 2), "conv1.conv": 1}
    assert all(net.get_buffer(f"stage.{block}.one.norm.num_batches_tracked") == 1 for block in "abc")


@pytest.mark.parametrize(("size", "segments"), [(1, 3), (2, 2), (3, 1), (9, 1)])
def test_so_many_neighbours_are_one_segment(size, segments):
    """Of a segment only the input is kept: the output of the one before it, or of conv1."""
    net = build(IN_STAGES).train()
    prepare(net, recompute=size)
    kept = []
    for name in ("conv1", "stage.a", "stage.b"):
        net.get_submodule(name).register_forward_hook(lambda _, __, y: kept.append(weakref.ref(y)))
    loss = net(torch.randn(4, 3, 8, 8)).square().sum()
    assert sum(value() is not None for value in kept) == segments
    loss.backward()


@pytest.mark.parametrize("mode", ["evaluation", "no gradients"])
def test_where_nothing_is_learned_nothing_runs_twice(mode):
    net = build(IN_STAGES).train(mode != "evaluation")
    prepare(net, recompute=1)
    watch = Watch(net)
    with torch.set_grad_enabled(mode == "evaluation"):
        loss = net(torch.randn(4, 3, 8, 8)).square().sum()
    if mode == "evaluation":
        assert watch.kept() == set(watch.runs)
        loss.backward()
    assert set(watch.runs.values()) == {1}


def test_values_inside_recomputed_blocks_are_tapped():
    plain = build(IN_STAGES).train()
    net = copy.deepcopy(plain)
    prepare(net, recompute=2)
    images = torch.randn(4, 3, 8, 8)
    places = ["stage.a", "stage.b.one.norm", "stage.b", "stage.c.shortcut", "stage", "heads.stage.b.one"]
    (logits, found), (expected_logits, expected) = net.tap(images, places), plain.tap(images, places)
    assert torch.equal(logits, expected_logits)
    assert found.keys() == expected.keys()
    for place, value in found.items():
        assert torch.equal(value, expected[place]), place
    found["stage.b.one.norm"].square().sum().backward()
    expected["stage.b.one.norm"].square().sum().backward()
    for (name, one), other in zip(net.named_parameters(), plain.parameters(), strict=True):
        same = one.grad is None if other.grad is None else torch.equal(one.grad, other.grad)
        assert same, name


@pytest.mark.slow
def test_it_compiles_whole():
    plain = build(IN_STAGES).train()
    prepare(plain, recompute=2, stochastic_depth=0.5)
    net = copy.deepcopy(plain)
    images = torch.randn(4, 3, 8, 8)
    for forward in (plain, torch.compile(net, fullgraph=True, backend="aot_eager")):
        torch.manual_seed(3)
        forward(images).square().sum().backward()
    for (name, one), other in zip(net.named_parameters(), plain.parameters(), strict=True):
        if not name.startswith("heads."):
            torch.testing.assert_close(one.grad, other.grad, msg=name)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(net.state_dict()[name], value, msg=name)


def test_it_works_distributed(tmp_path):
    plain = build(Network("stages", IN_STAGES.layers, (), (3, 8, 8), 3)).train()
    net = copy.deepcopy(plain)
    prepare(net, recompute=2)
    images = torch.randn(4, 3, 8, 8)
    plain(images).square().sum().backward()
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        nn.parallel.DistributedDataParallel(net)(images).square().sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    for (name, one), other in zip(net.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad), name
    for name, value in plain.state_dict().items():
        assert torch.equal(net.state_dict()[name], value), name
