"""Which image goes where: shares, seeds, copies, and classes of hardly any images."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goingdeeper.data.sources import Item, Source, open_source
from goingdeeper.data.split import Holding, divide, fingerprint
from goingdeeper.errors import DataError, UsageError


def source_of(items: list[Item]) -> Source:
    def read(path: str) -> np.ndarray:
        raise AssertionError("a split needs no pixels")

    classes = tuple(sorted({item.label for item in items}))
    return Source("made", "made", classes, tuple(items), lambda path: b"", read, lambda path: None, False)


def made(counts: dict[str, int]) -> tuple[Source, dict[str, str]]:
    """So many different images a class, and their digests."""
    items = [Item(f"{label}/{n}.png", label) for label, count in counts.items() for n in range(count)]
    return source_of(items), {item.path: item.path for item in items}


@pytest.mark.parametrize(
    "counts", [{"a": 50, "b": 50}, {"a": 200, "b": 40, "c": 10}, {str(n): 21 for n in range(30)}]
)
def test_a_fifth_of_every_class_is_held_out(counts):
    source, digests = made(counts)
    found = divide(source, digests, Holding(0))
    assert (found.rule, found.duplicates, found.problems) == ("stratified, seed 0", 0, ())
    assert len(found.val) == round(0.2 * len(source.items))
    held_out = Counter(item.label for item in found.val)
    for label, count in counts.items():
        assert abs(held_out[label] - 0.2 * count) < 1
    assert {item.split for item in found.train} == {"train"}
    assert {item.split for item in found.val} == {"val"}
    assert sorted(item.path for item in found.train + found.val) == sorted(item.path for item in source.items)


def test_the_seed_alone_decides():
    source, digests = made({"a": 40, "b": 40})
    one, same, other = (divide(source, digests, Holding(seed)) for seed in (3, 3, 4))
    assert one == same
    assert {item.path for item in one.val} != {item.path for item in other.val}


def test_it_is_drawn_at_random_not_cut():
    source, digests = made({"a": 500})
    with_b = source_of([*source.items, Item("b/0.png", "b"), Item("b/1.png", "b")])
    found = divide(with_b, digests | {"b/0.png": "x", "b/1.png": "y"}, Holding(0))
    numbers = [int(item.path[2:-4]) for item in found.val if item.label == "a"]
    assert 170 < np.mean(numbers) < 330


def test_copies_stay_on_one_side_also_under_two_classes():
    items = [Item(f"{label}/{n}", label) for label in "ab" for n in range(30)]
    items += [Item(f"{label}/copy{n}", label) for label in "ab" for n in range(10)]
    items += [Item(f"b/foreign{n}", "b") for n in range(10)]
    digests = {item.path: item.path for item in items}
    digests |= {f"{label}/copy{n}": f"{label}/{n}" for label in "ab" for n in range(10)}
    digests |= {f"b/foreign{n}": f"a/{n + 10}" for n in range(10)}
    for seed in range(5):
        found = divide(source_of(items), digests, Holding(seed))
        train, val = ({digests[item.path] for item in side} for side in (found.train, found.val))
        assert not train & val
        assert len(found.train) + len(found.val) == len(items)
        assert found.duplicates == 30
        assert {(p.path, p.action) for p in found.problems} == {(f"b/foreign{n}", "kept") for n in range(10)}
        assert "the same image is in another class: a/10, 'a'" in found.problems[0].problem


def test_a_given_split_keeps_its_validation_and_loses_copies_from_training():
    items = [Item(f"train/{label}/{n}", label, "train") for label in "ab" for n in range(4)]
    items += [Item(f"val/{label}/{n}", label, "val") for label in "ab" for n in range(2)]
    digests = {item.path: item.path for item in items} | {"train/a/0": "val/a/1", "train/b/3": "val/a/0"}
    found = divide(source_of(items), digests, Holding(0))
    assert found.rule == "as the source gives it"
    assert [item.path for item in found.val] == ["val/a/0", "val/a/1", "val/b/0", "val/b/1"]
    assert {item.path for item in found.train} == {i.path for i in items[:8]} - {"train/a/0", "train/b/3"}
    left_out = {p.path: p.problem for p in found.problems if p.action == "left out of training"}
    assert left_out == dict.fromkeys(("train/a/0", "train/b/3"), "the same image is in validation")
    assert found.duplicates == 2


def test_copies_of_real_files_are_found_by_content(picture_folder):
    root = picture_folder({"a": 10, "b": 10})
    for number in range(5):
        (root / f"b/again{number}.png").write_bytes((root / f"b/{number}.png").read_bytes())
    source = open_source(root)
    digests = {item.path: str(hash(source.content(item.path))) for item in source.items}
    found = divide(source, digests, Holding(1))
    val = {item.path for item in found.val}
    for number in range(5):
        assert (f"b/again{number}.png" in val) == (f"b/{number}.png" in val)


def test_sides_and_order_are_those_of_the_images_wherever_they_are_kept():
    """Paths and their order in the source play no part, only classes and pixels."""
    source, digests = made({"a": 30, "b": 20})
    paths = {item.path: f"shard/{number:03}" for number, item in enumerate(reversed(source.items))}
    moved = [Item(paths[item.path], item.label) for item in reversed(source.items)]
    elsewhere = divide(
        source_of(moved), {paths[path]: digest for path, digest in digests.items()}, Holding(5)
    )
    here = divide(source, digests, Holding(5))
    assert [paths[item.path] for item in here.train] == [item.path for item in elsewhere.train]
    assert [paths[item.path] for item in here.val] == [item.path for item in elsewhere.val]


@pytest.mark.parametrize(
    ("counts", "train", "val"),
    [
        ({"a": 2, "b": 2}, {"a": 1, "b": 1}, {"a": 1, "b": 1}),
        ({"a": 1, "b": 2}, {"a": 1, "b": 1}, {"b": 1}),
        ({"a": 1, "b": 1, "c": 10}, {"a": 1, "b": 1, "c": 8}, {"c": 2}),
        ({"a": 3, "b": 3}, {"a": 2, "b": 2}, {"a": 1, "b": 1}),
    ],
)
def test_tiny_classes(counts, train, val):
    """A single image is for training; of two, one is held out."""
    found = divide(*made(counts), Holding(0))
    assert Counter(item.label for item in found.train) == train
    assert Counter(item.label for item in found.val) == val


@pytest.mark.parametrize("counts", [{"a": 1, "b": 1}, {"a": 1}])
def test_classes_of_one_image_each_cannot_be_divided(counts):
    with pytest.raises(DataError, match="made: no image is left for validation; at least two images a class"):
        divide(*made(counts), Holding(0))


def test_two_copies_are_one_image():
    source, _ = made({"a": 2, "b": 2})
    digests = {"a/0.png": "x", "a/1.png": "x", "b/0.png": "y", "b/1.png": "y"}
    with pytest.raises(DataError, match="no image is left for validation"):
        divide(source, digests, Holding(0))


def test_everything_a_copy_of_validation_leaves_nothing_to_train_on():
    items = [Item("train/a/0", "a", "train"), Item("val/a/0", "a", "val")]
    with pytest.raises(DataError, match="no image is left for training"):
        divide(source_of(items), {"train/a/0": "x", "val/a/0": "x"}, Holding(0))


def test_unreadable_images_are_on_neither_side():
    source, digests = made({"a": 10, "b": 10})
    lost = {"a/3.png", "b/4.png"}
    found = divide(source, {path: d for path, d in digests.items() if path not in lost}, Holding(0))
    assert {item.path for item in found.train + found.val} == digests.keys() - lost


@settings(deadline=None, max_examples=150)
@given(
    counts=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 12), min_size=1, max_size=8),
    copies=st.lists(st.tuples(st.integers(0, 95), st.integers(0, 95)), max_size=20),
    seed=st.integers(0, 2**32 - 1),
)
def test_whatever_the_classes_and_copies(counts, copies, seed):
    source, digests = made(counts)
    paths = list(digests)
    for one, other in copies:
        digests[paths[one % len(paths)]] = digests[paths[other % len(paths)]]
    try:
        found = divide(source, digests, Holding(seed))
    except DataError:
        # Every class has, apart from copies, one image of its own.
        by_class = sorted(source.items, key=lambda item: item.label, reverse=True)
        first = {digests[item.path]: item.label for item in by_class}
        assert max(Counter(first.values()).values()) == 1
        return
    train, val = ({digests[item.path] for item in side} for side in (found.train, found.val))
    assert train and val and not train & val
    assert sorted(item.path for item in found.train + found.val) == sorted(paths)
    assert found.duplicates == len(paths) - len(set(digests.values()))


def test_the_fingerprint_is_that_of_the_data_alone():
    source, digests = made({"a": 3, "b": 3})
    found = divide(source, digests, Holding(0))
    items = found.train + found.val
    known = fingerprint(items, digests)
    assert fingerprint(tuple(reversed(items)), digests) == known
    first = items[0]
    other = Item(first.path + "x", first.label, first.split)
    changed = [
        fingerprint((*items[1:], other), digests | {other.path: digests[first.path]}),
        fingerprint((*items[1:], Item(first.path, "c", first.split)), digests),
        fingerprint((*items[1:], Item(first.path, first.label, "val")), digests),
        fingerprint(items[1:], digests),
        fingerprint(items, digests | {first.path: "other"}),
        fingerprint(items, digests, "a store"),
        fingerprint(items, digests, "another store"),
    ]
    assert len({known, *changed}) == 8


def test_folds_hold_out_every_image_once_each_class_in_proportion():
    source, digests = made({"a": 50, "b": 25})
    found = [divide(source, digests, Holding(3, fold=(part, 5))) for part in range(1, 6)]
    assert found[1].rule == "stratified, seed 3, fold 2 of 5"
    held_out = [item.path for one in found for item in one.val]
    assert sorted(held_out) == sorted(digests)
    for one in found:
        assert Counter(item.label for item in one.val) == {"a": 10, "b": 5}
        assert not {item.path for item in one.val} & {item.path for item in one.train}


def test_more_folds_than_images_of_a_class_are_refused():
    with pytest.raises(DataError, match="made: class 'b' has 3 different images, too few for 4 folds"):
        divide(*made({"a": 50, "b": 3}), Holding(fold=(1, 4)))


@pytest.mark.parametrize("fold", [None, (1, 3), (3, 3)])
def test_a_test_set_is_the_same_whatever_the_fold_and_copies_stay_together(fold):
    items = [Item(f"{label}/{n}", label) for label in "ab" for n in range(40)]
    digests = {item.path: f"{item.label}{int(item.path[2:]) // 2}" for item in items}
    found = divide(source_of(items), digests, Holding(7, fold, test_share=0.25))
    sides = [{digests[item.path] for item in side} for side in (found.train, found.val, found.test)]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    assert sum(len(side) for side in (found.train, found.val, found.test)) == 80
    assert Counter(item.label for item in found.test) == {"a": 10, "b": 10}
    assert found.test == divide(source_of(items), digests, Holding(7, test_share=0.25)).test
    assert found.test != divide(source_of(items), digests, Holding(8, fold, test_share=0.25)).test


def test_an_earlier_split_is_taken_and_must_name_every_image():
    source, digests = made({"a": 3, "b": 3})
    given = {"a/0.png": "train", "a/1.png": "val", "a/2.png": "test"}
    given |= {"b/0.png": "val", "b/1.png": "train", "b/2.png": "train"}
    found = divide(source, digests, Holding(given=given))
    for side in ("train", "val", "test"):
        assert {item.path for item in getattr(found, side)} == {p for p, s in given.items() if s == side}
    del given["b/1.png"]
    with pytest.raises(DataError, match=r"does not name 1 of 6 images, such as b/1\.png"):
        divide(source, digests, Holding(given=given))


@pytest.mark.parametrize("holding", [Holding(fold=(1, 2)), Holding(test_share=0.1), Holding(given={})])
def test_no_split_is_drawn_of_images_that_come_with_one(holding):
    items = [Item(f"{side}/{label}", label, side) for label in "ab" for side in ("train", "val")]
    with pytest.raises(UsageError, match=r"made comes with a split; leave out --split, --fold"):
        divide(source_of(items), {item.path: item.path for item in items}, holding)


def test_no_second_test_set_is_drawn():
    source, digests = made({"a": 20, "b": 20})
    source = replace(source, splits={None: 40, "test": 1060})
    with pytest.raises(
        UsageError, match=r"made comes with 1,060 test images, which .* leave out --test-share"
    ):
        divide(source, digests, Holding(test_share=0.2))
    assert divide(source, digests, Holding(fold=(1, 2))).test == ()


@pytest.mark.parametrize("how", [{}, {"fold": (2, 4)}, {"test_share": 0.3}])
def test_images_that_are_alike_stay_on_one_side(how):
    source, digests = made({"a": 60, "b": 60})
    groups = {f"a/{n}.png": f"a/{n % 5}.png" for n in range(25)}
    groups |= {"b/7.png": "b/7.png", "b/8.png": "b/7.png"}
    sides = set()
    for seed in range(6):
        found = divide(source, digests, Holding(seed, **how), groups)
        assert found.alike == 27 and found.duplicates == 0
        val = {item.path for item in (found.test if "test_share" in how else found.val)}
        for group in set(groups.values()):
            members = {path for path, name in groups.items() if name == group}
            assert members <= val or not members & val
            sides.add((group, members <= val))
    assert len(sides) > 6  # each side is drawn for some of them
    assert divide(source, digests, Holding(), {}) == divide(source, digests, Holding())


def test_a_class_of_alike_images_still_has_some_held_out():
    source, digests = made({"a": 10, "b": 40})
    found = divide(source, digests, Holding(), dict.fromkeys(list(digests)[:12], "a/0.png"))
    assert Counter(item.label for item in found.val)["a"] == 2


def test_a_given_split_is_kept_and_images_alike_in_both_are_named():
    items = [Item(f"train/{label}/{n}", label, "train") for label in "ab" for n in range(4)]
    items += [Item(f"val/{label}/{n}", label, "val") for label in "ab" for n in range(2)]
    groups = dict.fromkeys(("train/a/2", "val/a/1", "val/b/0"), "g") | {"train/b/0": "h", "train/b/1": "h"}
    found = divide(source_of(items), {item.path: item.path for item in items}, Holding(), groups)
    assert len(found.train) == 8
    (problem,) = found.problems
    assert (problem.path, problem.action) == ("train/a/2", "kept")
    assert problem.problem == "nearly the same image is in validation: val/a/1"


def test_groups_that_leave_too_few_for_the_folds_are_parted():
    source, digests = made({"a": 9, "b": 9})
    groups = dict.fromkeys([f"a/{n}.png" for n in range(7)], "a/0.png")
    found = divide(source, digests, Holding(fold=(1, 5)), groups)
    assert Counter(item.label for item in found.val)["a"] in (1, 2)
