"""Every network of the catalogue at its published input size: counted, run, trained for a step, exported."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export
from torch.utils.flop_counter import FlopCounterMode

import goingdeeper as gd
from goingdeeper import catalogue
from goingdeeper.layers import Network
from goingdeeper.nn.build import Net, build
from goingdeeper.published import figures
from goingdeeper.trace import trace
from goingdeeper.training.objective import Objective


def layers(id: str) -> int:
    return len(trace(catalogue.network(id)))


def heavy(id: str) -> bool:
    """A step of the others takes less than half a second."""
    cost = gd.cost(id)
    return cost.macs_with_heads > 1e9 or cost.params_with_heads > 2e7 or layers(id) > 250


def every(slow: Callable[[str], bool]) -> list[object]:
    return [pytest.param(id, marks=pytest.mark.slow) if slow(id) else id for id in catalogue.names()]


@lru_cache(maxsize=8)
def shell(network: Network) -> Net:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return Net(network)


def nothing(network: Network, count: int = 1) -> Tensor:
    return torch.empty(count, *network.input, device="meta")


def multiply_adds(net: Net, *, heads: bool) -> float:
    """torch's own count of a pass on one image; it counts a multiplication and an addition as two."""
    addresses = [f"heads.{address}" for address, _ in net.description.heads] if heads else []
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval().tap(nothing(net.description), addresses)
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("id", every(lambda id: layers(id) > 130))
def test_torch_counts_the_published_operations_and_parameters(id):
    net, published, cost = shell(catalogue.network(id)), figures(id), gd.cost(id)
    assert multiply_adds(net, heads=False) == published.macs == cost.macs
    trunk = sum(value.numel() for name, value in net.named_parameters() if not name.startswith("heads."))
    assert trunk == published.params == cost.params
    whole = sum(value.numel() for value in net.parameters())
    assert whole == cost.params_with_heads
    assert published.params_with_heads in (None, whole)
    operations = multiply_adds(net, heads=True)
    assert operations == cost.macs_with_heads
    assert published.macs_with_heads in (None, operations)
    for name, head in cost.heads:
        found = net.get_submodule(f"heads.{name}")
        assert sum(value.numel() for value in found.parameters()) == head.params


@pytest.mark.parametrize("id", every(lambda id: layers(id) > 130))
def test_a_pass_gives_one_tensor_of_logits_in_both_modes(id):
    net = shell(catalogue.network(id))
    for training in (True, False):
        logits = net.train(training)(nothing(net.description, 2))
        assert type(logits) is torch.Tensor
        assert logits.shape == (2, figures(id).classes)


# Without identity shortcuts, batch norm between convolutions and ReLUs makes gradients grow from layer to
# layer: by sqrt(pi / (pi - 1)) = 1.21 at the start, where wide (Yang et al. 2019, "A mean field theory of
# batch normalization"). Here 1.19 were measured, and 1.10 past projections: the first layer's gradients are
# about 1e89 and 1e70, beyond float32, whose largest number is 3e38.
BEYOND_FLOAT32 = {"cifar-plain-1202", "cifar-resnet-1202-c"}


def unmoved(net: Net, images: Tensor, labels: Tensor) -> set[str]:
    """Parameters that keep all their bits in a step of plain gradient descent on network and heads.

    The rate moves a parameter's largest entry by one: gradients differ by twenty orders of magnitude between
    networks, and a step below a number's rounding would leave it as it is.
    """
    torch.manual_seed(0)  # dropout
    Objective(net.train())(images, labels).total.backward()
    kept = set()
    for name, value in net.named_parameters():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
        largest, before = float(value.grad.abs().max()), value.detach().clone()
        torch.optim.SGD([value], lr=1 / largest if largest else 1.0).step()
        if torch.equal(value, before):
            kept.add(name)
        value.grad = None
    return kept


@pytest.mark.parametrize("id", every(heavy))
def test_a_training_step_moves_every_parameter(id, real_images):
    """Whether what moves them is more than rounding is `test_gradients`' matter."""
    net = build(catalogue.network(id), seed=1)
    images, labels = real_images(2, net.description.input[1])
    if id in BEYOND_FLOAT32:
        net, images = net.double(), images.double()
    assert unmoved(net, images, labels) == set()


def test_a_parameter_that_nothing_reaches_does_not_move(real_images):
    """The test above can fail."""
    net = build(catalogue.network("cifar-resnet-20-b"))
    block = net.get_submodule("conv3_2")
    nn.init.constant_(block.get_parameter("conv2.norm.weight"), 0)
    nn.init.constant_(block.get_parameter("conv2.norm.bias"), 0)
    inner = {f"conv3_2.{name}" for name, _ in block.named_parameters()}
    expected = inner - {"conv3_2.conv2.norm.weight", "conv3_2.conv2.norm.bias"}
    assert unmoved(net, *real_images(2, 32)) == expected


@pytest.mark.parametrize("id", every(lambda id: layers(id) > 30))
def test_torch_exports_it_for_any_batch_size(id):
    net = shell(catalogue.network(id)).eval()
    program = export(net, (nothing(net.description, 2),), dynamic_shapes=({0: Dim("batch")},), strict=False)
    (logits,) = program.graph.output_node().args[0]
    batch, classes = logits.meta["val"].shape
    assert isinstance(batch, torch.SymInt) and classes == figures(id).classes
    weights = {name: value for name, value in net.state_dict().items() if not name.startswith("heads.")}
    assert weights.keys() <= program.state_dict.keys()
    program.module()(nothing(net.description, 3))


@pytest.mark.parametrize(
    "id",
    ["cifar-resnet-20-b", "nin-cifar10", "highway-19"]
    + [
        pytest.param(id, marks=pytest.mark.slow)
        for id in ("fitnet-19", "alexnet", "googlenet", "inception-v3")
    ],
)
def test_the_exported_program_gives_the_same_logits(id, real_images):
    net = build(catalogue.network(id)).eval()
    images, _ = real_images(3, net.description.input[1])
    program = export(net, (images[:2],), dynamic_shapes=({0: Dim("batch")},))
    with torch.no_grad():
        expected = net(images)
        found = program.module()(images)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
