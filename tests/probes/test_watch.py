"""Readings are what autograd and the weights say, and change nothing."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from goingdeeper.errors import UsageError
from goingdeeper.nn.build import build
from goingdeeper.probes.untouched import untouched
from goingdeeper.probes.watch import Watch, read_once


def small():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Dropout(0.3),
        nn.Flatten(), nn.Linear(6 * 36, 5),
    )  # fmt: skip


def trained(net, steps, watch=None):
    torch.manual_seed(1)
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    for _ in range(steps):
        images, labels = torch.randn(8, 3, 8, 8), torch.randint(5, (8,))
        F.cross_entropy(net(images), labels).backward()
        optimiser.step()
        optimiser.zero_grad()
        if watch:
            watch.step()
    return {**net.state_dict(), "random": torch.get_rng_state()}


@pytest.mark.parametrize("every", [1, 2])
def test_watching_changes_no_bit(every):
    expected = trained(small(), 5)
    net = small()
    with Watch(net, every=every) as watch:
        found = trained(net, 5, watch)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert [one.step for one in watch.readings()] == [n for n in range(5) if n % every == 0 for _ in "ab"]


def test_nothing_is_left_behind():
    net = small()
    with Watch(net):
        pass
    assert not any(part._forward_hooks for part in net.modules())
    assert not any(one._post_accumulate_grad_hooks for one in net.parameters())


def test_readings_are_what_autograd_says():
    net = small().double()
    images, labels = torch.randn(8, 3, 8, 8).double(), torch.randint(5, (8,))
    linear = net[5]
    net[3].p = 0.0
    with Watch(net, ["0", "1", "5"]) as watch:
        F.cross_entropy(net(images), labels).backward()
        before = linear.weight.detach().clone()
        gradients = [p.grad.clone() for p in linear.parameters()]
        torch.optim.SGD(net.parameters(), 0.1).step()
        watch.step()
    readings = {one.layer: one for one in watch.readings()}
    # The same pass by hand, every value kept.
    twin = small().double()
    twin[3].p = 0.0
    made = twin[0](images)
    made.retain_grad()
    normed = twin[1](made)
    normed.retain_grad()
    logits = twin[5](normed.relu().flatten(1))
    logits.retain_grad()
    F.cross_entropy(logits, labels).backward()
    for name, value in (("0", made), ("1", normed), ("5", logits)):
        assert readings[name].response == pytest.approx(float(value.detach().std()), rel=1e-5)
        assert readings[name].gradient == pytest.approx(float(value.grad.norm()), rel=1e-5)
    own = math.sqrt(sum(float(one.square().sum()) for one in gradients))
    assert readings["5"].weight_gradient == pytest.approx(own, rel=1e-5)
    step = float((linear.weight.detach() - before).norm() / before.norm())
    assert readings["5"].update == pytest.approx(step, rel=1e-5)
    assert math.isnan(readings["1"].weight_gradient) and math.isnan(readings["1"].update)


def test_one_pass_leaves_everything_as_it_was():
    net = build("cifar-resnet-20-a", seed=0).eval()
    net.conv1.conv.weight.grad = torch.ones_like(net.conv1.conv.weight)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    readings = read_once(net, torch.randn(4, 3, 32, 32, generator=torch.Generator()), torch.sum)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(part.training for part in net.modules())
    assert [n for n, one in net.named_parameters() if one.grad is not None] == ["conv1.conv.weight"]
    assert bool((net.conv1.conv.weight.grad == 1).all())
    assert len(readings) == 20 and all(one.gradient > 0 for one in readings)


def test_gradients_that_were_there_before_do_not_count():
    net, images = small().double(), torch.randn(8, 3, 8, 8).double()
    net[3].p = 0.0
    fresh = read_once(net, images, torch.sum)
    for one in net.parameters():
        one.grad = torch.full_like(one, 7.0)
    assert read_once(net, images, torch.sum) == fresh
    assert all(bool((one.grad == 7).all()) for one in net.parameters())


def test_several_backward_passes_add_up():
    net = small().double()
    images, labels = torch.randn(8, 3, 8, 8).double(), torch.randint(5, (8,))
    with Watch(net.train(), ["5"]) as watch:
        net[3].p = 0.0
        for part in (slice(0, 4), slice(4, 8)):
            F.cross_entropy(net(images[part]), labels[part]).backward()
        expected = math.sqrt(sum(float(one.grad.square().sum()) for one in net[5].parameters()))
        watch.step()
    assert watch.readings()[0].weight_gradient == pytest.approx(expected, rel=1e-6)


def test_of_several_passes_of_a_step_the_last_one_is_read():
    net, first, last = small().eval(), torch.randn(8, 3, 8, 8), torch.randn(8, 3, 8, 8)
    net[3].p = 0.0
    alone = read_once(net, last, torch.sum)
    with Watch(net.train()) as watch:
        with untouched(net):
            (100 * net(first).sum()).backward()
        net(last).sum().backward()
        watch.step()
    for one, other in zip(watch.readings(), alone, strict=True):
        assert (one.response, one.gradient) == pytest.approx((other.response, other.gradient), rel=1e-5)


def test_a_watch_that_is_not_entered_is_not_stepped():
    net = small()
    watch = Watch(net)
    with pytest.raises(UsageError, match="with Watch"):
        watch.step()
    with watch:
        watch.step()
    with pytest.raises(UsageError, match="with Watch"):
        watch.step()
    assert not any(part._forward_hooks for part in net.modules())


def test_buffers_that_a_pass_replaces_are_put_back():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.register_buffer("passes", torch.tensor(0))

        def forward(self, x):
            self.passes = self.passes + 1
            return self.layer(x)

    net = Counting()
    buffer = net.passes
    read_once(net, torch.randn(5, 4), torch.sum)
    assert net.passes is buffer and int(buffer) == 0


def test_within_inference_mode_too():
    net = small().eval()
    net[3].p = 0.0
    images = torch.randn(8, 3, 8, 8)
    with torch.inference_mode():
        found = read_once(net, images, torch.sum)
    assert found == read_once(net, images, torch.sum)


def test_of_a_layer_that_is_called_twice_the_last_call_counts():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(3 * self.layer(x))

    net, x = Twice(), torch.randn(5, 4)
    (reading,) = read_once(net, x, lambda y: (y * y).sum())
    y = net(x)
    assert reading.response == pytest.approx(float(y.detach().std()), rel=1e-5)
    assert reading.gradient == pytest.approx(float((2 * y.detach()).norm()), rel=1e-5)


def test_frozen_parts_are_read_too():
    net = small()
    net[0].eval()
    readings = read_once(net, torch.randn(8, 3, 8, 8), torch.sum)
    with Watch(net.train(), ["0"]) as watch:
        net[0].eval()
        net(torch.randn(8, 3, 8, 8)).sum().backward()
        watch.step()
    assert readings[0].response > 0 and watch.readings()[0].response > 0


def test_training_in_evaluation_mode_is_read_and_evaluation_is_not():
    net, images = small().eval(), torch.randn(8, 3, 8, 8)
    with Watch(net, ["5"]) as watch:
        net(images).sum().backward()
        with torch.no_grad():
            net(100 * images)
        watch.step()
    (reading,) = watch.readings()
    assert reading.response == pytest.approx(float(net(images).detach().std()), rel=1e-5)
    assert reading.gradient == pytest.approx(40**0.5, rel=1e-5)


def test_what_fails_within_is_put_back_too():
    net = small()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ZeroDivisionError), untouched(net, training=False):
        net.train()(torch.randn(2, 3, 8, 8))
        raise ZeroDivisionError
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_unknown_layers_and_modules_without_any_are_refused():
    with pytest.raises(UsageError, match="unknown layer 'fc'"):
        Watch(small(), ["fc"])
    with pytest.raises(UsageError, match="ReLU has no layer with weights"):
        Watch(nn.ReLU())
    with pytest.raises(UsageError, match="every 0"):
        Watch(small(), every=0)
