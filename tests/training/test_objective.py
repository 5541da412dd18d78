from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.data.batches import Preprocessing
from goingdeeper.errors import UsageError
from goingdeeper.layers import CLASSES, Chain, Conv, GlobalAvgPool, Linear, Maxout, MaxPool, Network
from goingdeeper.nn.build import build
from goingdeeper.recipes.losses import BinaryCrossEntropy, CrossEntropy, Distillation, Hint, SquaredHinge
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.schedules import Linear as Falling
from goingdeeper.recipes.schedules import Now
from goingdeeper.runs.model import Model
from goingdeeper.training.hints import hint_losses
from goingdeeper.training.losses import of_each
from goingdeeper.training.objective import Objective, objective_for

STUDENT = Network(
    "student",
    {
        "conv1": Conv(6, 3, bias=True), "pool1": MaxPool(2, stride=2, padding=0),
        "conv2": Conv(6, 3, bias=True), "mean": GlobalAvgPool(), "fc": Linear(CLASSES),
    },
    heads={"conv1.conv": Linear(CLASSES), "conv2": Chain({"mean": GlobalAvgPool(), "fc": Linear(CLASSES)})},
    input=(3, 8, 8), classes=4,
)  # fmt: skip
TEACHER = Network(
    "teacher",
    {
        "conv": Conv(5, 3, padding=0, bias=True, act=Maxout(2)), "pool": MaxPool(2, stride=2, padding=0),
        "fc": Linear(CLASSES),
    },
    input=(3, 8, 8), classes=4,
)  # fmt: skip
HEADS = ("conv1.conv", "conv2")
HINT = Hint("pool1", "pool")
FALLING = Distillation(3.0, 4.0, Falling(0.25, 11))
KINDS = [CrossEntropy(), CrossEntropy(0.1), BinaryCrossEntropy(0.1), SquaredHinge(), FALLING, HINT]
LABELS = torch.tensor([0, 3, 1, 1, 2, 3, 0, 2])
SHARES = 0.7 * torch.eye(4)[LABELS] + 0.3 * torch.eye(4)[LABELS.flip(0)]


def images(count=8):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(5))


def objective(loss=CrossEntropy(), heads=(("*", 0.3),), weights=None, **other):
    """In double precision, of the small networks; larger weights than usual, so that logits differ."""
    net, teacher = build(STUDENT, seed=1), build(TEACHER, seed=2)
    for module in (net, teacher):
        for parameter in module.parameters():
            parameter.data.mul_(2)
    taught = teacher if isinstance(loss, Hint | Distillation) else None
    return Objective(net, loss, heads, class_weights=weights, teacher=taught, **other).double()


def smoothed_cross_entropy(logits, labels, smoothing):
    """Szegedy et al. 2015 (v3), section 7: the target is (1 - e) * one-hot + e / K."""
    logits = logits.detach().double().numpy()
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    classes = logits.shape[1]
    target = np.full(logits.shape, smoothing / classes)
    target[np.arange(len(labels)), labels] += 1 - smoothing
    return float(-(target * log_p).sum(1).mean())


@pytest.fixture(scope="module")
def googlenet():
    description = replace(catalogue.network("googlenet"), input=(3, 79, 79), classes=5)
    return build(description, seed=1).eval()  # dropout would make two passes differ


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_googlenet_adds_three_tenths_of_each_head(googlenet, smoothing):
    images = torch.randn(4, 3, 79, 79, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([0, 3, 4, 1])
    loss = Objective(googlenet, CrossEntropy(smoothing))(images, labels)

    logits, tapped = googlenet.tap(images, ["heads.4a", "heads.4d"])
    main, first, second = (
        smoothed_cross_entropy(values, labels, smoothing)
        for values in (logits, tapped["heads.4a"], tapped["heads.4d"])
    )
    assert list(loss.parts) == ["main", "4a", "4d"]
    assert [float(loss.parts[name]) for name in loss.parts] == pytest.approx([main, first, second], rel=1e-5)
    assert float(loss.total.detach()) == pytest.approx(main + 0.3 * first + 0.3 * second, rel=1e-5)
    assert int(loss.wrong) == int((logits.argmax(1) != labels).sum())


def test_heads_are_learnt_through_the_objective_alone(googlenet):
    objective = Objective(googlenet)
    loss = objective(torch.randn(2, 3, 79, 79), torch.tensor([0, 1]))
    loss.total.backward()
    for name, parameter in googlenet.named_parameters():
        assert parameter.grad is not None, name
    googlenet.zero_grad()
    assert not any(part.requires_grad for part in loss.parts.values())


def test_a_network_without_heads_has_the_main_loss_only():
    net = build(replace(catalogue.network("cifar-resnet-20-a"), input=(3, 16, 16), classes=3)).eval()
    images, labels = torch.randn(6, 3, 16, 16), torch.tensor([0, 1, 2, 0, 1, 2])
    loss = Objective(net, CrossEntropy(0.2))(images, labels)
    assert list(loss.parts) == ["main"]
    expected = smoothed_cross_entropy(net(images), labels, 0.2)
    assert float(loss.total.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(loss.parts["main"]) == float(loss.total.detach())


@pytest.mark.parametrize("loss", [CrossEntropy(0.1), BinaryCrossEntropy(0.1, 0.2), SquaredHinge()], ids=str)
@pytest.mark.parametrize("labels", [LABELS, SHARES], ids=["numbers", "shares"])
def test_the_total_is_the_weighted_sum_of_the_parts(loss, labels):
    found = objective(loss, (("conv1.conv", 0.5), ("conv2", 2.0)))
    losses = found(images().double(), labels)
    logits, tapped = found.net.tap(images().double(), ["heads.conv1.conv", "heads.conv2"])
    each = [of_each(loss)(x, labels).mean().item() for x in (logits, *(tapped[f"heads.{n}"] for n in HEADS))]
    assert list(losses.parts) == list(found.names) == ["main", *HEADS]
    assert [float(part) for part in losses.parts.values()] == pytest.approx(each, rel=1e-12)
    assert losses.total.item() == pytest.approx(each[0] + 0.5 * each[1] + 2 * each[2], rel=1e-12)
    assert int(losses.wrong) == int((logits.argmax(1) != LABELS).sum())


def test_the_star_is_for_all_other_heads():
    found = objective(heads=(("conv2", 0.1), ("*", 0.7)))
    assert found.head_weights == {"conv1.conv": 0.7, "conv2": 0.1}


@pytest.mark.parametrize("heads", [(("*", 0.0),), (("conv1.conv", 0.0), ("conv2", 0.0)), ()])
def test_heads_without_weight_are_not_computed(heads):
    """DSN's second stage: the companions stay as they are, whatever they hold."""
    found = objective(SquaredHinge(), heads)
    state = {name: value.clone() for name, value in found.net.state_dict().items()}
    for name, parameter in found.net.named_parameters():
        if name.startswith("heads."):
            parameter.data.fill_(float("nan"))
    losses = found(images().double(), LABELS)
    losses.total.backward()
    assert list(losses.parts) == ["main"]
    assert bool(losses.total.isfinite())
    idle = {name for name, parameter in found.net.named_parameters() if not parameter.requires_grad}
    assert idle == {name for name in state if name.startswith("heads.")}
    assert found.trained().keys() == state.keys() - idle


def test_a_stage_after_another_trains_what_that_one_did_not():
    net = build(STUDENT)
    Objective(net, HINT, teacher=build(TEACHER))
    assert not net.get_parameter("fc.weight").requires_grad
    Objective(net, CrossEntropy(), (("*", 0.0),))
    assert net.get_parameter("fc.weight").requires_grad
    assert not net.get_parameter("heads.conv2.fc.weight").requires_grad


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (
            (("conv1", 0.3),),
            "student in head_weights: 'conv1'; did you mean conv2 or conv1.conv",
        ),
        ((("*", 0.3), ("conv3", 0.0)), "the heads are conv1.conv, conv2"),
        ((("conv2", -0.3),), "head_weights: -0.3 for conv2; a number of at least 0 is needed"),
        ((("*", float("nan")),), "a number of at least 0 is needed"),
    ],
)
def test_weights_of_heads_that_are_not_there_are_refused(heads, message):
    with pytest.raises(UsageError, match=message.replace("*", r"\*")):
        Objective(build(STUDENT), CrossEntropy(), heads)


@pytest.mark.parametrize("labels", [LABELS, SHARES], ids=["numbers", "shares"])
@pytest.mark.parametrize("loss", KINDS, ids=str)
def test_gradients_are_the_slope_of_the_total(loss, labels):
    """Central differences in random directions, with all that may weigh in."""
    found = objective(loss, weights=torch.tensor([0.5, 2.0, 1.0, 0.7]))
    parameters = list(found.trained().values())
    found(images().double(), labels).total.backward()
    random = torch.Generator().manual_seed(7)
    for _ in range(3):
        direction = [torch.randn(p.shape, generator=random, dtype=torch.float64) for p in parameters]
        expected = sum(float((p.grad * d).sum()) for p, d in zip(parameters, direction, strict=True))
        values = []
        with torch.no_grad():
            for step in (1e-6, -2e-6, 1e-6):
                for p, d in zip(parameters, direction, strict=True):
                    p.add_(d, alpha=step)
                values.append(float(found(images().double(), labels).total))
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("loss", KINDS, ids=str)
def test_equal_parts_of_a_batch_average_to_the_whole(loss):
    """As accumulation and several processes need it, the classes weighed or not."""
    weights = torch.tensor([0.5, 2.0, 1.0, 0.7])
    whole, parts = objective(loss, weights=weights), objective(loss, weights=weights)
    x = images().double()
    total = whole(x, LABELS)
    total.total.backward()
    halves = [parts(x[half], LABELS[half]) for half in (slice(0, 4), slice(4, 8))]
    for half in halves:
        (half.total / 2).backward()
    assert sum(float(half.total.detach()) for half in halves) / 2 == pytest.approx(
        float(total.total.detach()), rel=1e-12
    )
    for name in whole.names:
        mean = sum(float(half.parts[name]) for half in halves) / 2
        assert mean == pytest.approx(float(total.parts[name]), rel=1e-12)
    assert sum(int(half.wrong) for half in halves) == int(total.wrong)
    for name, parameter in whole.trained().items():
        torch.testing.assert_close(parts.trained()[name].grad, parameter.grad, msg=name)


def test_a_class_weighs_in_every_classifier():
    weights = torch.tensor([0.5, 2.0, 1.0, 0.7])
    found = objective(CrossEntropy(0.1), weights=weights)
    losses = found(images().double(), LABELS)
    logits, tapped = found.net.tap(images().double(), [f"heads.{name}" for name in HEADS])
    for name, x in zip(losses.parts, (logits, *(tapped[f"heads.{n}"] for n in HEADS)), strict=True):
        singles = [smoothed_cross_entropy(x[i : i + 1], LABELS[i : i + 1], 0.1) for i in range(8)]
        expected = np.mean([w * s for w, s in zip(weights[LABELS].tolist(), singles, strict=True)])
        assert float(losses.parts[name]) == pytest.approx(expected, rel=1e-6)


def softmax(logits):
    grown = np.exp(logits - logits.max(1, keepdims=True))
    return grown / grown.sum(1, keepdims=True)


@pytest.mark.parametrize(("epoch", "weight"), [(0, 4.0), (5, 2.5), (10, 1.0), (30, 1.0)])
def test_distillation_adds_the_teacher_as_the_epochs_go(epoch, weight):
    """Romero et al. 2015, equation 2: H(labels, student) + lambda H(teacher / 3, student / 3), from 4 to 1.

    The release divides the softmax layers' weights and biases by 3, which is what is done here.
    """
    found = objective(FALLING, (("*", 0.0),))
    assert float(found.teacher_weight) == 4
    found.advance(Now(step=epoch * 7 + 3, steps=700, per_epoch=7))
    losses = found(images().double(), LABELS)
    teacher = build(TEACHER, seed=2).double()
    student = build(STUDENT, seed=1).double()
    for parameter in (*student.parameters(), *teacher.parameters()):
        parameter.data.mul_(2)
    x = images().double()
    with torch.no_grad():
        main = smoothed_cross_entropy(student(x), LABELS, 0)
        for net in (student, teacher):
            net.get_parameter("fc.weight").div_(3)
            net.get_parameter("fc.bias").div_(3)
        q, p = softmax(teacher(x).numpy()), softmax(student(x).numpy())
    side = -(q * np.log(p)).sum(1).mean()
    assert {name: float(part) for name, part in losses.parts.items()} == pytest.approx(
        {"main": main, "teacher": side}, rel=1e-9
    )
    assert losses.total.item() == pytest.approx(main + weight * side, rel=1e-6)
    assert found.names == ("main", "teacher")


def test_a_hint_is_the_loss_of_the_two_maps():
    found = objective(HINT)
    x = images().double()
    losses = found(x, LABELS)
    student = found.net.tap(x, ["pool1"])[1]["pool1"]
    teacher = build(TEACHER, seed=2).double()
    for parameter in teacher.parameters():
        parameter.data.mul_(2)
    taught = teacher.tap(x, ["pool"])[1]["pool"]
    assert taught.shape[1:] == (5, 3, 3)
    assert found.get_parameter("regressor.conv.weight").shape == (10, 6, 2, 2)
    expected = hint_losses(student, taught, found.regressor).mean().item()
    assert losses.total.item() == pytest.approx(expected, rel=1e-12)
    assert {name: float(part) for name, part in losses.parts.items()} == pytest.approx({"hint": expected})
    assert int(losses.wrong) == len(LABELS)


def test_a_hint_trains_the_layers_up_to_it_and_its_regressor():
    found = objective(HINT)
    found(images().double(), LABELS).total.backward()
    names = {"conv1.conv.weight", "conv1.conv.bias", "regressor.conv.weight", "regressor.conv.bias"}
    assert found.trained().keys() == names
    assert all(value.grad is not None and bool(value.grad.any()) for value in found.trained().values())
    assert {name for name, value in found.named_parameters() if value.grad is not None} == {
        name if name.startswith("regressor") else f"net.{name}" for name in names
    }


def test_a_regressor_is_drawn_from_the_generator():
    weights = [
        objective(HINT, generator=torch.Generator().manual_seed(seed)).regressor.conv.weight
        for seed in (1, 1, 2)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("loss", [FALLING, HINT], ids=str)
def test_the_teacher_only_evaluates(loss):
    teacher = build(replace(TEACHER, layers=(*TEACHER.layers[:-1], ("fc", Linear(CLASSES)))))
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    found = Objective(build(STUDENT), loss, teacher=teacher.train()).train()
    found(images(), LABELS).total.backward()
    assert found.training
    assert not teacher.training
    assert all(parameter.grad is None for parameter in teacher.parameters())
    own = {id(parameter) for parameter in teacher.parameters()}
    assert not own & {id(parameter) for parameter in found.parameters()}
    extra = {"regressor.conv.weight", "regressor.conv.bias"} if isinstance(loss, Hint) else set()
    assert found.state_dict().keys() == {f"net.{name}" for name in found.net.state_dict()} | extra
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    found.double()
    assert {parameter.dtype for parameter in teacher.parameters()} == {torch.float64}


@pytest.mark.parametrize("loss", KINDS, ids=str)
def test_losses_are_in_32_bits_where_the_network_is_in_16(loss):
    found = objective(loss).float()
    exact = found(images(), LABELS)
    with torch.autocast("cpu", torch.bfloat16):
        losses = found(images(), LABELS)
    losses.total.backward()
    assert {losses.total.dtype, *(part.dtype for part in losses.parts.values())} == {torch.float32}
    assert losses.total.item() == pytest.approx(exact.total.item(), rel=0.03)
    assert losses.total.item() != exact.total.item()


def test_the_teachers_logits_are_softened_in_32_bits():
    """16 bits hold no more than three digits of a logit, and would lose some of them to the division by 3."""
    found, teacher = objective(FALLING).float(), build(TEACHER, seed=2)
    for parameter in teacher.parameters():
        parameter.data.mul_(2)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        side = float(found(images(), LABELS).parts["teacher"])
        logits = [net(images()).double().numpy() / 3 for net in (teacher, found.net)]
    q, p = map(softmax, logits)
    assert side == pytest.approx(-(q * np.log(p)).sum(1).mean(), rel=1e-6)


@pytest.mark.parametrize("loss", [CrossEntropy(0.1), FALLING, HINT], ids=str)
def test_several_processes_find_a_gradient_for_every_parameter(loss, tmp_path):
    """DistributedDataParallel refuses a second step where one parameter that asks for a gradient had none."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1
    )
    try:
        found = objective(loss, (("conv2", 0.0), ("*", 0.3)))
        together = torch.nn.parallel.DistributedDataParallel(found)
        for _ in range(2):
            together(images().double(), LABELS).total.backward()
    finally:
        torch.distributed.destroy_process_group()
    assert all(parameter.grad is not None for parameter in found.trained().values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's compiler uses it itself
@pytest.mark.parametrize(
    ("loss", "backend"),
    [(BinaryCrossEntropy(0.1), "aot_eager"), (SquaredHinge(), "aot_eager"), (HINT, "aot_eager"),
     (FALLING, "inductor")],
    ids=str,
)  # fmt: skip
def test_compiled_the_objective_is_the_same(loss, backend):
    """In one graph; and the teacher's weight may change without another."""
    plain, found = objective(loss, weights=torch.ones(4)), objective(loss, weights=torch.ones(4))
    compiled = torch.compile(found, fullgraph=True, backend=backend)
    for epoch in (0, 5):
        for one in (plain, found):
            one.zero_grad()
            one.advance(Now(step=epoch, steps=20, per_epoch=1))
        expected, losses = plain(images().double(), LABELS), compiled(images().double(), LABELS)
        torch.testing.assert_close(losses.total, expected.total)
        torch.testing.assert_close(losses.parts, expected.parts)
        assert int(losses.wrong) == int(expected.wrong)
        expected.total.backward()
        losses.total.backward()
        for name, parameter in plain.trained().items():
            torch.testing.assert_close(found.trained()[name].grad, parameter.grad, msg=name)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


def taught(network=TEACHER, classes=("a", "b", "c", "d")):
    network = replace(network, classes=len(classes))
    return Model(build(network), classes, Preprocessing(network.input[1]), {}, Path("runs/teacher"))


COUNTS = {"a": 3, "b": 6, "c": 1, "d": 2}


def test_a_recipe_makes_its_objective():
    net = build(STUDENT)
    recipe = Recipe("one", loss=SquaredHinge(), head_weights=(("*", 0.2),), balance="loss")
    found = objective_for(net, recipe, counts=COUNTS)
    assert found.loss == SquaredHinge()
    assert found.head_weights == {"conv1.conv": 0.2, "conv2": 0.2}
    assert found.class_weights.tolist() == pytest.approx([1, 0.5, 3, 1.5])
    assert objective_for(net, replace(recipe, balance="none"), counts=COUNTS).class_weights is None
    assert objective_for(net, replace(recipe, balance="sampling"), counts=COUNTS).class_weights is None
    hinted = replace(recipe, loss=HINT, balance="none")
    one, other = (
        objective_for(net, hinted, taught(), generator=torch.Generator().manual_seed(seed)) for seed in (3, 4)
    )
    assert not torch.equal(one.regressor.conv.weight, other.regressor.conv.weight)
    assert objective_for(net, replace(hinted, loss=FALLING), taught(), COUNTS).loss == FALLING


@pytest.mark.parametrize(
    ("loss", "teacher", "message"),
    [
        (HINT, None, "Hint needs a teacher, a trained run: --teacher RUN"),
        (Distillation(), None, "Distillation needs a teacher, a trained run: --teacher RUN"),
        (CrossEntropy(), taught(), "CrossEntropy has no use for a teacher; leave it out"),
        (Distillation(), taught(classes=("a", "b", "c")), "runs/teacher has 3 classes, student 4"),
        (Distillation(), taught(classes=tuple("abdc")), "runs/teacher has 'd' where the images have 'c'"),
        (
            HINT,
            taught(replace(TEACHER, input=(3, 10, 10))),
            "the teacher teacher takes 3x10x10, student 3x8x8: both see the same images; give --size 10",
        ),
        (Hint("conv1", "pol"), taught(), "unknown address in teacher: 'pol'; did you mean pool"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(loss, teacher, message):
    with pytest.raises(UsageError, match=message):
        objective_for(build(STUDENT), Recipe("one", loss=loss), teacher, COUNTS)


def test_a_hint_may_come_from_a_teacher_of_other_classes():
    """Only maps are compared."""
    found = objective_for(build(STUDENT), Recipe("one", loss=HINT), taught(classes=("x", "y")), COUNTS)
    assert bool(found(images(), LABELS).total.isfinite())


def test_weighing_classes_needs_their_counts():
    with pytest.raises(UsageError, match="balance=loss weighs classes by their numbers of images"):
        objective_for(build(STUDENT), Recipe("one", balance="loss"))


def test_a_hint_where_nothing_is_learnt_is_refused():
    description = replace(STUDENT, layers=(("pool0", MaxPool(1)), *STUDENT.layers))
    with pytest.raises(UsageError, match="pool0 in student depends on no weights"):
        Objective(build(description), Hint("pool0", "conv"), teacher=build(TEACHER))
    description = Network("own", {"regressor": Conv(4, 1), "mean": GlobalAvgPool()}, (), (3, 8, 8), 4)
    with pytest.raises(UsageError, match="a layer of own is called regressor"):
        Objective(build(description), Hint("regressor", "conv"), teacher=build(TEACHER))
