import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.data.batches import training_batches
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item, Source
from goingdeeper.errors import GateError
from goingdeeper.layers import (
    CLASSES,
    BatchNorm,
    Conv,
    Dropout,
    GlobalAvgPool,
    Identity,
    Linear,
    Network,
    Residual,
)
from goingdeeper.nn.build import build
from goingdeeper.recipes import SCRATCH
from goingdeeper.recipes.settings import change
from goingdeeper.stopping import StopRequest
from goingdeeper.training.checkpoints import newest_checkpoint
from goingdeeper.training.events import Events
from goingdeeper.training.job import Job
from goingdeeper.training.loop import Trainer

CLASS_NAMES = ("a", "b", "c")

# Batch norm has state of its own, dropout draws.
SMALL = Network(
    "small",
    {
        "conv": Conv(4, 3, norm=BatchNorm()),
        "pool": GlobalAvgPool(),
        "dropout": Dropout(0.5),
        "fc": Linear(CLASSES),
    },
    input=(3, 8, 8),
    classes=3,
)
LINEAR = replace(SMALL, layers={"pool": GlobalAvgPool(), "fc": Linear(CLASSES)})


def images(count, side):
    random = np.random.default_rng(count)
    items = tuple(Item(f"{number:03}", CLASS_NAMES[number % 3], side) for number in range(count))
    pixels = {}
    for item in items:
        picture = random.integers(0, 160, (8, 8, 3), np.uint8)
        picture[:, :, CLASS_NAMES.index(item.label)] += 60
        pixels[item.path] = picture
    return items, pixels


def job(network=SMALL, train=24, val=20, **settings):
    """Images of three colours, in memory; the validation images fill three batches."""
    train_items, train_pixels = images(train, "train")
    val_items, val_pixels = images(val, "val")
    pixels = train_pixels | {f"v{name}": picture for name, picture in val_pixels.items()}
    val_items = tuple(replace(item, path=f"v{item.path}") for item in val_items)
    source = Source(
        "colours", "colours", CLASS_NAMES, train_items + val_items, bytes, pixels.__getitem__,
        lambda path: (8, 8), False,
    )  # fmt: skip
    wanted = {"epochs": "3", "batch": "8", **settings}
    return Job(
        build(network, seed=3), change(SCRATCH, wanted), Pictures(source, 8, pixels), train_items, val_items,
        CLASS_NAMES, Preprocessing(8), 5, "cpu",
    )  # fmt: skip


def run(trainer, folder, stop=None, events=None):
    trainer.run(StopRequest() if stop is None else stop, folder, events or Events(), lambda: None)
    return trainer


def state(trainer):
    """Everything but clocks."""
    rows = [
        {key: row[key] for key in row if key not in ("seconds", "images_per_second", "data_wait")}
        for row in trainer.progress.rows
    ]
    momentum = {
        name: trainer.update.optimiser.state[parameter]["momentum_buffer"].numpy().tobytes()
        for name, parameter in trainer.update.parameters.items()
    }
    net = {name: value.numpy().tobytes() for name, value in trainer.net.state_dict().items()}
    best = {name: value.numpy().tobytes() for name, value in trainer.best.items()}
    p = trainer.progress
    return net, best, momentum, rows, (p.epoch, p.step, p.best_epoch, p.best_error, p.best_loss)


@pytest.mark.parametrize("model", ["googlenet", "resnet-18-b", "cifar-resnet-20-a"])
def test_decay_is_for_weights_of_convolutions_and_fully_connected_layers(model):
    description = replace(catalogue.network(model), classes=3)
    net = build(description)
    trainer = Trainer(replace(job(), net=net))
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    decayed, spared = (
        {names[id(parameter)] for parameter in group["params"]}
        for group in trainer.update.optimiser.param_groups
    )
    assert decayed | spared == set(dict(net.named_parameters()))
    assert all(name.endswith(("conv.weight", "fc.weight", "fc1.weight", "fc2.weight")) for name in decayed)
    assert all(name.endswith((".bias", "norm.weight")) for name in spared)
    assert [group["weight_decay"] for group in trainer.update.optimiser.param_groups] == [5e-4, 0.0]


def test_two_steps_of_nesterov_momentum_by_hand():
    trainer = Trainer(job(LINEAR, rate="0.1", momentum="0.9", weight_decay="0.01"))
    weight, bias = trainer.update.parameters["fc.weight"], trainer.update.parameters["fc.bias"]
    with torch.no_grad():
        weight.fill_(1.0)
        bias.fill_(1.0)
    for gradient in (0.5, -0.25):
        weight.grad = torch.full_like(weight, gradient)
        bias.grad = torch.full_like(bias, gradient)
        trainer.update.optimiser.step()
    # g = 0.51, v = 0.51, w = 1 - 0.1 (0.51 + 0.9 * 0.51) = 0.9031;
    # g = -0.25 + 0.009031, v = 0.9 * 0.51 + g = 0.218031, w = 0.9031 - 0.1 (g + 0.9 v) = 0.90757411.
    assert weight.detach().flatten().tolist() == pytest.approx([0.90757411] * 9, rel=1e-6)
    # Without decay: v = 0.5, b = 1 - 0.1 * 0.95 = 0.905; v = 0.2, b = 0.905 - 0.1 (-0.25 + 0.18) = 0.912.
    assert bias.detach().tolist() == pytest.approx([0.912] * 3, rel=1e-6)


@pytest.mark.parametrize(("nesterov", "momentum"), [("true", "0.9"), ("false", "0.9"), ("true", "0")])
def test_two_epochs_against_the_same_written_out_with_numpy(tmp_path, nesterov, momentum):
    work = job(
        LINEAR, epochs="2", rate="0.5", nesterov=nesterov, momentum=momentum, weight_decay="0.02",
        smoothing="0.2", warmup_epochs="1",
    )  # fmt: skip
    batches = [
        (batch.images.mean((2, 3)).double().numpy(), batch.labels.numpy())
        for epoch in (1, 2)
        for batch in training_batches(
            work.pictures, work.train, work.classes, work.preprocessing, work.recipe.augmentation,
            batch=8, seed=work.seed, epoch=epoch,
        )
    ]  # fmt: skip
    w, b = (value.detach().double().numpy().copy() for value in work.net.parameters())
    trained = run(Trainer(work), tmp_path)

    mu, v, u, losses = float(momentum), np.zeros_like(w), np.zeros_like(b), []
    factors = [1 / 4, 2 / 4, 3 / 4, 1, 0.75, 0.25]  # three steps up, then cosines of 0, 60 and 120 degrees
    for (x, y), factor in zip(batches, factors, strict=True):
        logits = x @ w.T + b
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        target = 0.8 * np.eye(3)[y] + 0.2 / 3
        losses.append(-(target * np.log(p)).sum(1).mean())
        error = (p - target) / len(y)
        gw, gb = error.T @ x + 0.02 * w, error.sum(0)
        v, u = mu * v + gw, mu * u + gb
        w -= 0.5 * factor * (gw + mu * v if nesterov == "true" else v)
        b -= 0.5 * factor * (gb + mu * u if nesterov == "true" else u)
    assert len(batches) == 6
    assert trained.update.parameters["fc.weight"].detach().numpy() == pytest.approx(w, abs=1e-5)
    assert trained.update.parameters["fc.bias"].detach().numpy() == pytest.approx(b, abs=1e-5)
    rows = trained.progress.rows
    assert [row["train_loss"] for row in rows] == pytest.approx(
        [np.mean(losses[:3]), np.mean(losses[3:])], rel=1e-5
    )
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.375, 0.125])


def test_the_best_epoch_is_the_one_of_the_lowest_error_then_loss(tmp_path):
    trainer = run(Trainer(job(epochs="6", rate="0.3")), tmp_path)
    rows = trainer.progress.rows
    order = sorted(rows, key=lambda row: (row["val_error"], row["val_loss"], row["epoch"]))
    assert trainer.progress.best_epoch == order[0]["epoch"]
    assert trainer.progress.best_error == order[0]["val_error"]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(0 <= row["val_error"] <= 100 and 0 <= row["train_error"] <= 100 for row in rows)


class StopAtLook(StopRequest):
    """Asks to stop when it is looked at for the n-th time."""

    def __init__(self, look):
        self.left = look

    def __bool__(self):
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return state(run(Trainer(job()), tmp_path_factory.mktemp("whole")))


LOOKS = 21
"""Before each of 3 epochs, and in each before its 3 steps and in its 3 validation batches."""


def test_how_often_a_run_looks_whether_to_stop(tmp_path):
    stop = StopAtLook(1000)
    run(Trainer(job()), tmp_path, stop)
    assert LOOKS - 3 <= 1000 - stop.left <= LOOKS


@pytest.mark.parametrize("look", range(LOOKS))
def test_stopped_anywhere_and_gone_on_is_the_same_run_bit_for_bit(tmp_path, uninterrupted, look):
    run(Trainer(job()), tmp_path, StopAtLook(look))
    checkpoint = newest_checkpoint(tmp_path, pytest.fail)
    assert state(run(Trainer(job(), checkpoint), tmp_path)) == uninterrupted


def test_stopped_after_every_single_step_is_the_same_run_bit_for_bit(tmp_path, uninterrupted):
    for _ in range(100):
        trainer = Trainer(job(), newest_checkpoint(tmp_path, pytest.fail))
        run(trainer, tmp_path, StopAtLook(4))
        if trainer.progress.epoch > 3:
            break
    assert state(trainer) == uninterrupted


def test_dropout_differs_from_step_to_step(tmp_path):
    """One image over and over: only the draws of dropout differ."""
    network = replace(SMALL, layers={"dropout": Dropout(0.5), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)})
    work = job(network, train=3, rate="0", batch="3", epochs="4", pad="0", flip="false")
    rows = run(Trainer(work), tmp_path).progress.rows
    assert len({row["train_loss"] for row in rows}) == 4
    assert len({row["val_loss"] for row in rows}) == 1


def test_dropout_differs_from_seed_to_seed(tmp_path):
    network = replace(SMALL, layers={"dropout": Dropout(0.5), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)})
    work = job(network, train=1, rate="0", batch="1", epochs="1", pad="0", flip="false")
    # One image, so that the seed's order of images changes nothing.
    losses = {
        run(Trainer(replace(work, seed=seed)), tmp_path / str(seed)).progress.rows[0]["train_loss"]
        for seed in range(4)
    }
    assert len(losses) == 4


def test_of_equal_epochs_the_first_is_the_best(tmp_path):
    trainer = run(Trainer(job(LINEAR, rate="0")), tmp_path)
    assert len({(row["val_error"], row["val_loss"]) for row in trainer.progress.rows}) == 1
    assert trainer.progress.best_epoch == 1


def test_the_global_random_state_is_neither_used_nor_moved(tmp_path, uninterrupted):
    torch.manual_seed(999)
    before = torch.get_rng_state()
    assert state(run(Trainer(job()), tmp_path)) == uninterrupted
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_that_is_no_number_stops_before_the_update(tmp_path):
    healthy = run(Trainer(job(epochs="1")), tmp_path)
    kept = state(healthy)[0]
    # The first step makes weights of 1e30, the second a loss that overflows.
    trainer = Trainer(job(rate="1e30", warmup_epochs="0"), newest_checkpoint(tmp_path, pytest.fail))
    with pytest.raises(
        GateError, match=r"the loss is (nan|inf) at step \d of epoch 2, first in \w+;.*--set rate=0\.1"
    ) as caught:
        run(trainer, tmp_path)
    assert caught.value.exit_status == 6
    assert trainer.progress.step < 3
    checkpoint = newest_checkpoint(tmp_path, pytest.fail)
    prefix = "objective.net."
    assert {
        name.removeprefix(prefix): value.numpy().tobytes()
        for name, value in checkpoint.tensors.items()
        if name.startswith(prefix)
    } == kept


def test_weights_that_overflow_in_an_epochs_last_step_are_not_saved(tmp_path):
    # One step an epoch: its loss is finite, what it makes of the weights is not.
    network = replace(SMALL, layers={"conv": Conv(4, 3), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)})
    trainer = Trainer(job(network, batch="24", rate="1e30", warmup_epochs="0"))
    with pytest.raises(GateError, match=r"the validation loss is (nan|inf) after epoch 1.*--set rate=0\.1"):
        run(trainer, tmp_path)
    assert trainer.progress.step == 1
    assert newest_checkpoint(tmp_path, pytest.fail) is None


def test_a_loss_that_is_no_number_names_the_layer(tmp_path):
    trainer = Trainer(job(epochs="1"))
    with torch.no_grad():
        trainer.net.get_parameter("fc.weight")[0, 0] = math.nan
    with pytest.raises(GateError, match=r"the loss is nan at step 1 of epoch 1, first in fc;"):
        run(trainer, tmp_path)


def test_a_gradient_that_is_no_number_stops_before_the_update_and_names_the_layer(tmp_path):
    trainer = Trainer(job(epochs="1"))
    weight = trainer.net.get_parameter("conv.conv.weight")
    weight.register_hook(lambda gradient: gradient * math.inf)
    before = {name: value.detach().clone() for name, value in trainer.net.named_parameters()}
    with pytest.raises(
        GateError, match=r"the gradient of conv.conv.weight is not finite at step 1 of epoch 1;"
    ):
        run(trainer, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in trainer.net.named_parameters())


def test_a_bound_on_the_gradients_makes_small_steps(tmp_path):
    """One step without momentum and decay: rate times clip is how far the weights go."""
    settings = {"epochs": "1", "batch": "24", "rate": "0.5", "warmup_epochs": "0", "weight_decay": "0"}
    trainer = Trainer(job(clip="0.001", momentum="0", **settings))
    before = [value.detach().clone() for value in trainer.net.parameters()]
    run(trainer, tmp_path)
    moved = torch.cat(
        [(value - old).flatten() for value, old in zip(trainer.net.parameters(), before, strict=True)]
    )
    assert moved.detach().norm().item() == pytest.approx(0.5 * 0.001, rel=1e-3)


def test_the_mean_weights_are_evaluated_and_kept_and_go_on_bit_for_bit(tmp_path):
    whole = run(Trainer(job(average="0.5", epochs="4")), tmp_path / "whole")
    assert not torch.equal(whole.update.average.state["fc.weight"], whole.net.state_dict()["fc.weight"])
    for name, value in whole.best.items():
        if whole.progress.best_epoch == 4:
            assert torch.equal(value, whole.update.average.state[name])
    stop = StopRequest()

    class Stopper(Events):
        def step(self, pace):
            if (pace.epoch, pace.step) == (2, 2):
                stop.signal = 2

    first = run(Trainer(job(average="0.5", epochs="4")), tmp_path / "parts", stop, Stopper())
    assert first.progress.epoch == 2
    checkpoint = newest_checkpoint(tmp_path / "parts", pytest.fail)
    again = run(Trainer(job(average="0.5", epochs="4"), checkpoint), tmp_path / "parts")
    assert state(again) == state(whole)
    assert all(torch.equal(again.update.average.state[n], v) for n, v in whole.update.average.state.items())


def test_a_network_that_does_not_learn_is_told_of(tmp_path):
    notes = []

    class Listener(Events):
        def note(self, text):
            notes.append(text)

    trainer = Trainer(job(LINEAR, rate="0", batch="1", epochs="9"))  # 216 steps, all of them guesses
    with torch.no_grad():
        for value in trainer.net.parameters():
            value.zero_()
    run(trainer, tmp_path, events=Listener())
    [note] = notes
    assert "ln(3) = 1.099" in note


def test_the_pace_is_told_after_every_step(tmp_path):
    paces, ends = [], []

    class Listener(Events):
        def step(self, pace):
            paces.append(pace)

        def epoch(self, end):
            ends.append(end)

    trainer = run(Trainer(job()), tmp_path, events=Listener())
    assert [(pace.epoch, pace.step) for pace in paces] == [(e, s) for e in (1, 2, 3) for s in (1, 2, 3)]
    assert all((pace.epochs, pace.steps) == (3, 3) for pace in paces)
    assert all(pace.images_per_second > 0 and 0 <= pace.data_wait <= 100 for pace in paces)
    assert paces[-1].loss == trainer.progress.rows[-1]["train_loss"]
    # Nothing is foretold from the first steps, which take longer.
    left = [pace.seconds_left for pace in paces]
    assert left[:3] == [None] * 3
    assert all(seconds >= 0 and math.isfinite(seconds) for seconds in left[3:])
    assert [end.val_error for end in ends] == [row["val_error"] for row in trainer.progress.rows]
    assert ends[-1].best == trainer.progress.best_error


def rates_of(trainer, folder, stop=None, events=None):
    """The rate of every step that is taken."""
    found, step = [], trainer.update.__call__

    def watched(batch, now, place):
        values = step(batch, now, place)
        found.append(trainer.update.optimiser.param_groups[0]["lr"])
        return values

    trainer.update = type(
        "Watched", (), {"__call__": staticmethod(watched), "__getattr__": _of(trainer.update)}
    )()
    run(trainer, folder, stop, events)
    return found


def _of(whole):
    return lambda self, name: getattr(whole, name)


LEARNING = {
    "epochs": "6", "rate": "0.3", "schedule": "Constant", "until_learning": "UntilLearning",
    "until_learning.over": "4", "until_learning.error": "65", "smoothing": "0", "pad": "0",
}  # fmt: skip


def test_a_tenth_of_the_rate_until_learning_has_begun(tmp_path):
    """He et al. 2015, section 4.2, with a bound of 65 % over four steps."""
    trainer = Trainer(job(LINEAR, **LEARNING))
    misses = []

    class Listener(Events):
        def step(self, pace):
            rows, sums = trainer.progress.rows, trainer.progress.sums
            misses.append((len(rows), sums["wrong"], sums["images"]))

    found = rates_of(trainer, tmp_path, events=Listener())
    each = []
    for before, now in zip([(-1, 0, 0), *misses], misses, strict=False):
        same = before[0] == now[0]
        each.append(100 * (now[1] - same * before[1]) / (now[2] - same * before[2]))
    first = next(n for n in range(4, len(each) + 1) if np.mean(each[n - 4 : n]) < 65)
    assert 4 <= first < 18
    assert found == pytest.approx([0.03] * first + [0.3] * (18 - first))
    assert trainer.progress.learnt == first


def test_waiting_for_learning_goes_on_where_it_was_stopped(tmp_path):
    whole = Trainer(job(LINEAR, **LEARNING))
    expected = rates_of(whole, tmp_path / "whole")
    stop, found = StopRequest(), []

    class Stopper(Events):
        def step(self, pace):
            stop.signal = 2

    while len(found) < len(expected):
        stop.signal = None
        checkpoint = newest_checkpoint(tmp_path / "parts", pytest.fail)
        last = Trainer(job(LINEAR, **LEARNING), checkpoint)
        found += rates_of(last, tmp_path / "parts", stop, Stopper())
    assert found == expected
    assert state(last)[0] == state(whole)[0]


def test_a_plateau_of_the_validation_error_lowers_the_rate(tmp_path):
    """A rate of 0 learns nothing: the error stands still, and each second epoch is a plateau."""
    settings = {
        "schedule": "Plateau",
        "schedule.patience": "2",
        "schedule.times": "0.5",
        "schedule.most": "2",
    }
    trainer = Trainer(job(LINEAR, epochs="7", **settings))
    errors = iter([50.0, 40.0, 45.0, 40.0, 41.0, 39.0, 39.5])
    evaluate = trainer._evaluate
    trainer._evaluate = lambda stop: replace(evaluate(stop), top1_error=next(errors))
    run(trainer, tmp_path)
    rates = [row["learning_rate"] for row in trainer.progress.rows]
    # 40 stands for two epochs after the second: halved from the fifth on; 39 has no two after it.
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05])


@pytest.mark.parametrize("parts", ["2", "4"])
def test_a_batch_in_parts_is_the_whole_batch(tmp_path, parts):
    whole = run(Trainer(job(LINEAR, rate="0.5")), tmp_path / "whole")
    shared = run(Trainer(job(LINEAR, rate="0.5", accumulate=parts)), tmp_path / "parts")
    for name, value in whole.net.state_dict().items():
        torch.testing.assert_close(shared.net.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    for one, other in zip(whole.progress.rows, shared.progress.rows, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-5)


def test_bfloat16_learns_much_the_same(tmp_path):
    exact = run(Trainer(job(LINEAR, rate="0.5")), tmp_path / "exact")
    rough = run(Trainer(job(LINEAR, rate="0.5", precision="bfloat16")), tmp_path / "rough")
    losses = [[row["train_loss"] for row in one.progress.rows] for one in (exact, rough)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert all(value.dtype == torch.float32 for value in rough.net.parameters())


def test_rare_classes_weigh_more_in_the_loss(tmp_path):
    """16 of a and 4 of each other class: weights n / (K n_k) of 0.5, 2 and 2."""
    work = job(LINEAR, train=48, balance="loss")
    items = [item for item in work.train if item.label == "a"]
    items += [item for label in "bc" for item in [i for i in work.train if i.label == label][:4]]
    trainer = Trainer(replace(work, train=items))
    assert trainer.update.objective.class_weights.tolist() == pytest.approx([0.5, 2.0, 2.0])


def test_rare_classes_are_drawn_more_often(tmp_path):
    work = job(LINEAR, train=48, balance="sampling")
    items = [item for item in work.train if item.label == "a"]
    items += [item for label in "bc" for item in [i for i in work.train if i.label == label][:4]]
    trainer = Trainer(replace(work, train=items))
    labels = torch.cat([batch.labels for batch in trainer.batches()])
    assert sorted(labels.bincount().tolist()) == [8, 8, 8]


def test_blocks_that_are_computed_again_change_nothing(tmp_path):
    block = Residual(
        {"conv1": Conv(4, 3, norm=BatchNorm()), "conv2": Conv(4, 3, norm=BatchNorm())}, Identity()
    )
    network = replace(
        SMALL,
        layers={"conv": Conv(4, 3), "2": block, "3": block, "pool": GlobalAvgPool(), "fc": Linear(CLASSES)},
    )
    plain = run(Trainer(job(network)), tmp_path / "plain")
    again = run(Trainer(job(network, recompute="1")), tmp_path / "again")
    assert state(again) == state(plain)


def test_every_recipe_can_go_on_bit_for_bit_with_its_own_optimiser(tmp_path):
    for kind in ("SGD", "CaffeSGD", "RMSProp", "Adam", "LAMB"):
        settings = {"optimiser": kind, "rate": "0.01"}
        whole = run(Trainer(job(**settings)), tmp_path / kind)
        stop = StopRequest()

        class Stopper(Events):
            def step(self, pace, stop=stop):
                if (pace.epoch, pace.step) == (2, 2):
                    stop.signal = 2

        run(Trainer(job(**settings)), tmp_path / f"{kind}-parts", stop, Stopper())
        checkpoint = newest_checkpoint(tmp_path / f"{kind}-parts", pytest.fail)
        again = run(Trainer(job(**settings), checkpoint), tmp_path / f"{kind}-parts")
        assert all(
            torch.equal(value, again.net.state_dict()[n]) for n, value in whole.net.state_dict().items()
        )


def test_iterations_end_a_run_in_the_middle_of_an_epoch(tmp_path):
    trainer = Trainer(job(iterations="7"))
    found = rates_of(trainer, tmp_path)
    assert len(found) == 7
    assert [row["epoch"] for row in trainer.progress.rows] == [1, 2, 3]
    assert found[-1] == pytest.approx(0.1 * 0.5 * (1 + math.cos(math.pi * 3.0 / 3.5)), abs=0.05)


def test_a_long_epoch_is_saved_in_its_middle_and_goes_on_from_there(tmp_path, monkeypatch):
    """A process that is killed has lost what came after the last checkpoint, and no more."""
    monkeypatch.setattr("goingdeeper.training.loop.SAVE_STEPS", 2)
    monkeypatch.setattr("goingdeeper.training.loop.SAVE_EVERY", 0.0)
    monkeypatch.setattr("goingdeeper.training.loop.SAVE_SHARE", 0.0)
    whole = run(Trainer(job(epochs="2", batch="4")), tmp_path / "whole")

    class Killed(Exception):
        pass

    class Killer(Events):
        def step(self, pace):
            if (pace.epoch, pace.step) == (2, 5):
                raise Killed

    with pytest.raises(Killed):
        run(Trainer(job(epochs="2", batch="4")), tmp_path / "parts", events=Killer())
    checkpoint = newest_checkpoint(tmp_path / "parts", pytest.fail)
    assert (checkpoint.progress["epoch"], checkpoint.progress["step"]) == (2, 4)
    assert state(run(Trainer(job(epochs="2", batch="4"), checkpoint), tmp_path / "parts")) == state(whole)
