import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.data.sources import Item, Source, open_source
from goingdeeper.edits import without_heads
from goingdeeper.errors import ResourceError, ShapeError, UsageError
from goingdeeper.recipes.images import Standardise
from goingdeeper.recipes.schedules import Steps
from goingdeeper.trace import smallest_input, trace
from goingdeeper.training.plan import Wishes, choose_device, choose_network, choose_recipe, typical_side
from goingdeeper.training.train import train


def source(width=100, height=100, classes=("cat", "dog"), oriented=False, images=20):
    """Images of one size whose pixels nobody asks for."""

    def unread(path):
        raise AssertionError(f"{path} was read")

    items = tuple(
        Item(f"{classes[i % len(classes)]}/{i}.jpg", classes[i % len(classes)]) for i in range(images)
    )
    return Source(
        "photos", "photos", tuple(classes), items, unread, unread, lambda path: (width, height), oriented
    )


def reasons(plan):
    return {reason.what: (reason.value, reason.why) for reason in plan.reasons}


def test_digits():
    digits = open_source("digits")
    plan = choose_network(Wishes("digits"), digits, "cpu")
    assert reasons(plan) == {
        "model": ("cifar-resnet-20-a", "small images"),
        "size": ("32x32", "images of about 8 pixels"),
    }
    assert plan.network.input == (3, 32, 32)
    assert plan.network.classes == 10
    recipe, why = choose_recipe(Wishes("digits"), plan.network, digits, 1437)
    assert recipe.augmentation.flip is False
    assert next(reason for reason in why if reason.what == "flip").value == "false"


def test_photographs_of_100_pixels():
    plan = choose_network(Wishes("photos"), source(), "cpu")
    assert reasons(plan) == {
        "model": ("cifar-resnet-20-a", "a CPU trains it in minutes"),
        "size": ("64x64", "images of about 100 pixels"),
    }
    assert (plan.network.input, plan.network.classes) == ((3, 64, 64), 2)


def test_large_photographs_get_a_small_network_on_a_cpu_and_a_large_one_on_a_gpu():
    camera = source(4000, 3000)
    assert choose_network(Wishes("photos"), camera, "cpu").network.name == "cifar-resnet-20-a"
    plan = choose_network(Wishes("photos"), camera, "cuda")
    assert reasons(plan) == {
        "model": ("resnet-18-b", "large images and a GPU"),
        "size": ("224x224", "the published input"),
    }


def test_a_few_camera_frames_among_small_images_do_not_count():
    signs = source()
    sizes = {item.path: (100, 100) for item in signs.items} | {signs.items[3].path: (5184, 3456)}
    mixed = Source(
        "signs", "signs", signs.classes, signs.items, signs.content, signs.read, sizes.__getitem__, False
    )
    assert typical_side(mixed) == 100


def test_images_whose_headers_cannot_be_read_are_passed_over():
    blind = source()
    odd = {item.path: None for item in blind.items} | {blind.items[5].path: (60, 40)}
    mixed = Source("x", "x", blind.classes, blind.items, blind.content, blind.read, odd.__getitem__, False)
    assert typical_side(mixed) == 40


@pytest.mark.parametrize("side", [8, 100, 480])
@pytest.mark.parametrize("model", catalogue.names())
def test_every_network_gets_a_size_it_can_take(model, side):
    plan = choose_network(Wishes("photos", model=model), source(side, side), "cpu")
    assert plan.network.input == (3, plan.size, plan.size)
    assert plan.size <= max(64, catalogue.network(model).input[1])
    assert trace(plan.network)
    assert reasons(plan)["model"] == (model, "asked for")


@pytest.mark.parametrize("model", ["googlenet", "googlenet-torchvision", "bn-inception-released", "alexnet"])
def test_a_size_that_is_too_small_is_refused_naming_the_smallest(model):
    smallest = smallest_input(without_heads(catalogue.network(model)))
    assert choose_network(Wishes("photos", model=model, size=smallest), source(), "cpu").size == smallest
    small = smallest - 1
    with pytest.raises(ShapeError, match=rf"{model} cannot take 3x{small}x{small}.*smallest input"):
        choose_network(Wishes("photos", model=model, size=small), source(), "cpu")


@pytest.mark.parametrize(
    ("model", "size", "heads"),
    [("googlenet", 79, 2), ("googlenet", 78, 0), ("inception-v3", 299, 1), ("inception-v3", 128, 0)],
)
def test_heads_that_the_images_are_too_small_for_are_left_out_and_that_is_said(model, size, heads):
    plan = choose_network(Wishes("photos", model=model, size=size), source(), "cpu")
    assert len(plan.network.heads) == heads
    assert ("heads" in reasons(plan)) == (heads == 0)


@pytest.mark.parametrize(
    ("model", "side", "size", "heads"),
    [
        ("googlenet", 40, 79, 2),
        ("googlenet", 8, 32, 0),
        ("inception-v3", 64, 75, 0),
        ("inception-v3", 200, 299, 1),
    ],
)
def test_heads_may_double_the_size_at_most(model, side, size, heads):
    """Inception-v3 needs 75 pixels (so does Keras's), its head 299."""
    plan = choose_network(Wishes("photos", model=model), source(side, side), "cpu")
    assert (plan.size, len(plan.network.heads)) == (size, heads)


@pytest.mark.parametrize(
    ("model", "standardise"),
    [("alexnet", False), ("vgg-11", False), ("highway-19", True), ("dsn-cifar10", True)],
)
def test_without_batch_norm_images_are_on_the_scale_of_the_paper(model, standardise):
    """Bytes less their mean in networks of ImageNet; images of normalised contrast in those of CIFAR-10."""
    plan = choose_network(Wishes("photos", model=model), source(), "cpu")
    recipe, _ = choose_recipe(Wishes("photos", model=model), plan.network, source(), 700)
    assert isinstance(recipe.input, Standardise) == standardise


@pytest.mark.parametrize("model", ["googlenet", "resnet-50", "cifar-plain-20"])
def test_no_pixels_are_refused(model):
    with pytest.raises(UsageError, match=r"input \(3, 0, 0\)"):
        choose_network(Wishes("photos", model=model, size=0), source(), "cpu")


def test_googlenets_heads_need_79_pixels():
    # Its auxiliary heads average 5x5 windows of what Table 1 leaves of the input: 79, 40, 20, 10, 5.
    assert smallest_input(catalogue.network("googlenet")) == 79


@pytest.mark.parametrize(
    ("images", "batch", "epochs"),
    [(2, 2, 100), (15, 15, 100), (17, 16, 100), (700, 32, 51), (1483, 64, 24), (50_000, 128, 10)],
)
def test_batch_and_length_by_the_number_of_images(images, batch, epochs):
    plan = choose_network(Wishes("photos"), source(), "cpu")
    recipe, why = choose_recipe(Wishes("photos"), plan.network, source(), images)
    assert (recipe.batch, recipe.epochs) == (batch, epochs)
    # Goyal et al. 2017: the rate grows with the batch.
    assert recipe.optimiser.rate == pytest.approx(0.1 * batch / 128, rel=1e-3)
    named = {reason.what: reason.value for reason in why}
    assert (named["batch"], named["epochs"]) == (str(batch), str(epochs))
    assert set(named) == {"batch", "epochs", "flip", "rate"}
    assert all(reason.why for reason in why)


def test_a_network_without_batch_norm_learns_at_a_lower_rate():
    plan = choose_network(Wishes("photos", model="googlenet"), source(), "cpu")
    recipe, why = choose_recipe(Wishes("photos", model="googlenet"), plan.network, source(), 700)
    normed, _ = choose_recipe(Wishes("photos"), catalogue.network("resnet-18-b"), source(), 700)
    assert recipe.optimiser.rate / recipe.batch < normed.optimiser.rate / normed.batch
    assert "no batch norm" in next(reason.why for reason in why if reason.what == "rate")


def test_what_is_asked_for_wins_and_says_so():
    wishes = Wishes("photos", epochs=4, batch=8, settings=(("rate", "0.3"), ("smoothing", "0")))
    plan = choose_network(wishes, source(), "cpu")
    recipe, why = choose_recipe(wishes, plan.network, source(), 700)
    assert (recipe.epochs, recipe.batch, recipe.optimiser.rate, recipe.loss.smoothing) == (4, 8, 0.3, 0.0)
    asked = {reason.what: reason.value for reason in why if reason.why == "asked for"}
    assert asked == {"epochs": "4", "batch": "8", "rate": "0.3", "smoothing": "0"}
    assert len({reason.what for reason in why}) == len(why)


def test_a_batch_that_is_asked_for_sets_the_rate():
    wishes = Wishes("photos", batch=256)
    plan = choose_network(wishes, source(), "cpu")
    assert choose_recipe(wishes, plan.network, source(), 700)[0].optimiser.rate == pytest.approx(0.2)


@pytest.mark.parametrize("wishes", [Wishes("p", batch=21), Wishes("p", settings=(("batch", "21"),))])
def test_a_batch_larger_than_the_data_is_refused(wishes):
    plan = choose_network(wishes, source(), "cpu")
    assert choose_recipe(wishes, plan.network, source(), 21)[0].batch == 21
    with pytest.raises(UsageError, match="a batch of 21 from 20 training images; give --batch 20 or less"):
        choose_recipe(wishes, plan.network, source(), 20)


@pytest.mark.parametrize("settings", [(("epochs", "0"),), (("batch", "0"),)])
def test_no_epochs_or_no_images_a_step_are_refused(settings):
    wishes = Wishes("photos", settings=settings)
    plan = choose_network(wishes, source(), "cpu")
    with pytest.raises(UsageError, match="at least 1"):
        choose_recipe(wishes, plan.network, source(), 20)


def test_a_batch_of_one_is_refused_with_batch_norm_only():
    for model, allowed in (("cifar-resnet-20-a", False), ("googlenet", True)):
        wishes = Wishes("photos", model=model, batch=1)
        plan = choose_network(wishes, source(), "cpu")
        if allowed:
            assert choose_recipe(wishes, plan.network, source(), 20)[0].batch == 1
        else:
            with pytest.raises(UsageError, match=r"batch normalisation.*--batch 2"):
                choose_recipe(wishes, plan.network, source(), 20)


@pytest.mark.parametrize(
    ("names", "flips"),
    [
        (("a", "b"), False),
        (("0", "1", "10"), False),
        (("7", "x"), False),
        (("cat", "dog"), True),
        (("a", "both"), True),
        (("n01", "n02"), True),
    ],
)
def test_images_of_characters_are_not_mirrored(picture_folder, names, flips):
    opened = open_source(picture_folder(dict.fromkeys(names, 1)))
    plan = choose_network(Wishes("x"), opened, "cpu")
    for asked, expected in ((None, flips), ("true", True), ("false", False)):
        wishes = Wishes("x", settings=(("flip", asked),) if asked else ())
        recipe, why = choose_recipe(wishes, plan.network, opened, 20)
        assert recipe.augmentation.flip is expected
        (reason,) = (reason for reason in why if reason.what == "flip")
        assert reason.value == (asked or str(flips).lower())
        if not asked:
            assert f"--set flip={str(not flips).lower()}" in reason.why


def test_unknown_names():
    with pytest.raises(UsageError, match="unknown network 'resnt-18-b'; did you mean resnet-18-b"):
        choose_network(Wishes("photos", model="resnt-18-b"), source(), "cpu")
    with pytest.raises(UsageError, match="unknown recipe 'scratsh'; did you mean scratch"):
        choose_recipe(Wishes("photos", recipe="scratsh"), catalogue.network("resnet-18-b"), source(), 20)
    for device in ("gpu", "cpu:0", "mps", "meta", "", "cuda:x"):
        with pytest.raises(UsageError, match=f"unknown device '{device}'; give auto, cpu, cuda or cuda:1"):
            choose_device(device)


def test_devices_of_this_machine():
    assert choose_device("cpu").value == "cpu"
    assert choose_device("auto").value == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ResourceError, match=r"cuda:99 is not there"):
        choose_device("cuda:99")
    if not torch.cuda.is_available():
        with pytest.raises(ResourceError, match=r"device cuda is not there.*use --device cpu") as caught:
            choose_device("cuda")
        assert caught.value.exit_status == 5


@pytest.mark.parametrize(
    ("wish", "settings", "said"),
    [
        ({"batch": 12, "devices": 5}, (), "12 cannot be shared evenly by 5 processes; give --batch 10"),
        ({"batch": 12}, (("accumulate", "8"),), "evenly by 1 process in 8 parts each; give --batch 8"),
        (
            {"batch": 4, "devices": 4},
            (),
            "a batch of 1 leaves batch normalisation nothing to average; give --batch 8",
        ),
        ({"batch": 4}, (("loss", "Distillation"),), "learns from another network; give --teacher RUN"),
        ({"teacher": "runs/a"}, (), "scratch has no use for --teacher; leave it out"),
        ({"batch": 4}, (("batch", "8"),), "--batch 4 and --set batch=8: give one of them"),
        ({"time": "1m", "epochs": 4}, (), "--time 1m and 4 epochs: give one of them"),
        ({"epochs": 4}, (("iterations", "9"),), "iterations and epochs or --time: give one of them"),
        ({}, (("rate", "1"), ("rate", "2")), "rate is set twice; give one of them"),
        ({}, (("schedule", "Steps"),), "Steps has no places; give them, such as --set schedule.at=30,60"),
        (
            {"recipe": "finetune"},
            (),
            "finetune goes on from trained weights; give --weights SOURCE or --from RUN",
        ),
        (
            {"recipe": "dsn-2"},
            (("batch", "9"),),
            "dsn-2 goes on from a run of dsn-1; give --from RUN",
        ),
    ],
)
def test_settings_that_contradict_each_other(wish, settings, said):
    network = catalogue.network("cifar-resnet-20-a")
    with pytest.raises(UsageError, match=said):
        choose_recipe(Wishes("p", settings=settings, **wish), network, source(), 36)


def test_a_kind_of_schedule_is_chosen_with_its_places():
    """As the documentation has it."""
    words = {"schedule": "Steps", "schedule.at": "30,60", "schedule.unit": "epochs"}
    wishes = Wishes("p", epochs=90, settings=tuple(words.items()))
    recipe, _ = choose_recipe(wishes, catalogue.network("cifar-resnet-20-a"), source(), 36)
    assert (recipe.epochs, recipe.schedule) == (90, Steps((30.0, 60.0), 0.1, "epochs"))


def test_a_papers_length_is_stretched_and_its_iterations_are_the_length():
    network = catalogue.network("cifar-resnet-20-a")
    whole, _ = choose_recipe(Wishes("p", recipe="resnet-cifar"), network, source(), 50_000)
    assert (whole.iterations, whole.epochs, whole.schedule.at) == (64_000, 0, (32_000, 48_000))
    short, reasons = choose_recipe(Wishes("p", recipe="paper", epochs=20), network, source(), 50_000)
    assert (short.iterations, short.schedule.at) == (20 * 390, (10 * 390, 15 * 390))
    assert ("rate", "0.1", "the recipe's") in [(r.what, r.value, r.why) for r in reasons]


@pytest.mark.parametrize(("side", "size"), [(28, 32), (400, 32)])
def test_a_paper_of_small_images_keeps_its_size(side, size):
    assert choose_network(Wishes("p", recipe="resnet-cifar"), source(side, side), "cpu").size == size


def test_more_processes_than_processors_are_refused_before_any_is_started():
    with pytest.raises(
        ResourceError, match=r"--devices 1000: there are \d+ processors; give that many at most"
    ):
        train(Wishes("nowhere", device="cpu", devices=1000))
