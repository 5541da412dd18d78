"""Grad-CAM and occlusion give what captum gives."""

import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam, Occlusion
from torch import nn

from goingdeeper.errors import UsageError
from goingdeeper.nn.build import build
from goingdeeper.probes.attribution import grad_cam, occlusion


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 8, 3, padding=1, stride=2),
        nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))


CLASSES = [4, 0, 2]


def test_grad_cam_is_captums(net, images):
    found = grad_cam(net, images, "2", CLASSES)
    theirs = LayerGradCam(net, net[2]).attribute(images, CLASSES, relu_attributions=True)
    theirs = LayerAttribution.interpolate(theirs, (12, 12), "bilinear")[:, 0]
    assert found.shape == (3, 12, 12) and float(found.max()) > 0
    torch.testing.assert_close(found, theirs.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (4, 2), (3, 3)])
def test_occlusion_is_captums(net, images, window, stride):
    found = occlusion(net, images, window=window, stride=stride, classes=CLASSES)
    theirs = Occlusion(net).attribute(
        images, (3, window, window), (3, stride, stride), baselines=0, target=CLASSES
    )
    torch.testing.assert_close(found, theirs[:, 0], rtol=1e-4, atol=1e-6)


def test_the_last_window_ends_with_the_image(net, images):
    """Windows of 5 by steps of 3 on 12 pixels start at 0, 3, 6 and 7; one by one."""
    found = occlusion(net, images, window=5, stride=3, classes=CLASSES, batch=4)
    total, times = torch.zeros(3, 12, 12), torch.zeros(12, 12)
    number = torch.arange(3)
    with torch.no_grad():
        before = net(images)[number, CLASSES]
        for row in (0, 3, 6, 7):
            for column in (0, 3, 6, 7):
                mask = torch.zeros(12, 12)
                mask[row : row + 5, column : column + 5] = 1
                fall = before - net(images * (1 - mask))[number, CLASSES]
                total += fall[:, None, None] * mask
                times += mask
    torch.testing.assert_close(found, total / times, rtol=1e-4, atol=1e-6)


def test_within_inference_mode_too(net, images):
    with torch.inference_mode():
        found = grad_cam(net, images, "2", CLASSES)
    torch.testing.assert_close(found, grad_cam(net, images, "2", CLASSES))


def test_a_layer_that_gives_several_things_has_no_map():
    class Two(nn.Module):
        def forward(self, x):
            return x, x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.two, self.fc = Two(), nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(self.two(x)[0].mean((2, 3)))

    with pytest.raises(UsageError, match="two gives no map"):
        grad_cam(Net(), torch.zeros(1, 4, 3, 3), "two")


def test_the_likeliest_class_unless_told(net, images):
    likeliest = net(images).argmax(1).tolist()
    assert torch.equal(grad_cam(net, images, "2"), grad_cam(net, images, "2", likeliest))


def test_of_a_network_with_frozen_weights_nothing_is_changed(images):
    net = build("cifar-resnet-20-a", seed=0).train().requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    pictures = torch.randn(2, 3, 32, 32)
    random = torch.get_rng_state()
    maps = grad_cam(net, pictures, "conv4_3")
    covered = occlusion(net, pictures, window=8, stride=8)
    assert maps.shape == covered.shape == (2, 32, 32)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random) and net.training


def test_bad_input_is_refused(net, images):
    with pytest.raises(UsageError, match="unknown layer 'conv'"):
        grad_cam(net, images, "conv")
    with pytest.raises(UsageError, match="gives no map"):
        grad_cam(net, images, "6")
    with pytest.raises(UsageError, match="one for each of 3 images"):
        grad_cam(net, images, "2", [1])
    with pytest.raises(UsageError, match="from 0 to 4"):
        grad_cam(net, images, "2", [1, 2, 5])
    with pytest.raises(UsageError, match="window of 13"):
        occlusion(net, images, window=13, stride=1)
    with pytest.raises(UsageError, match="leaves gaps"):
        occlusion(net, images, window=3, stride=4)
    with pytest.raises(UsageError, match="3 dimensions"):
        grad_cam(net, images[0], "2")
    with pytest.raises(UsageError, match="Conv2d gives no logits"):
        occlusion(nn.Conv2d(3, 4, 3), images.expand(-1, 3, -1, -1), window=3, stride=3)
    assert occlusion(net, images[:0], window=3, stride=3).shape == (0, 12, 12)


def test_a_map_that_the_logits_leave_out_is_refused():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other, self.fc = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3), nn.Linear(2, 2)

        def forward(self, x):
            self.other(x)
            return self.fc(self.one(x).mean((2, 3)))

    with pytest.raises(UsageError, match="do not depend on what other gives"):
        grad_cam(Net(), torch.zeros(1, 1, 5, 5), "other")


def test_both_names_of_a_shared_layer_are_known():
    conv = nn.Conv2d(1, 1, 3, padding=1)
    net = nn.Sequential(conv, nn.ReLU(), conv, nn.Flatten())
    images = torch.randn(2, 1, 5, 5)
    assert torch.equal(grad_cam(net, images, "0"), grad_cam(net, images, "2"))
