import json
import resource
import shutil

import numpy as np
import pytest
import torch

from goingdeeper.errors import ResourceError
from goingdeeper.training.checkpoints import newest_checkpoint, save_checkpoint


def tensors(value):
    return {"net.a": torch.full((3, 2), float(value)), "net.count": torch.tensor(value)}


@pytest.fixture
def folder(tmp_path):
    """Checkpoints of steps 4 and 8."""
    save_checkpoint(tmp_path / "c", 4, {"epoch": 1}, tensors(4))
    save_checkpoint(tmp_path / "c", 8, {"epoch": 2}, tensors(8))
    return tmp_path / "c"


def newest(folder, notes=None):
    return newest_checkpoint(folder, (notes if notes is not None else []).append)


def test_the_newest_comes_back_bit_for_bit(folder):
    strange = torch.tensor([0.1, -0.0, float("inf"), 1e-45])
    save_checkpoint(folder, 12, {"epoch": 3, "best": float("inf")}, {"x": strange, **tensors(12)})
    found = newest(folder)
    assert found.progress == {"epoch": 3, "best": float("inf")}
    assert found.tensors["x"].numpy().tobytes() == strange.numpy().tobytes()
    assert torch.equal(found.tensors["net.count"], torch.tensor(12))


def test_none_where_there_are_none(tmp_path):
    assert newest(tmp_path / "absent") is None
    (tmp_path / "empty").mkdir()
    assert newest(tmp_path / "empty") is None


def test_memory_order_does_not_matter(tmp_path):
    images = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    save_checkpoint(tmp_path, 1, {}, {"x": images})
    assert torch.equal(newest(tmp_path).tensors["x"], images)


def test_two_stay_and_nothing_else(folder):
    for step in (12, 16):
        save_checkpoint(folder, step, {}, tensors(step))
    assert sorted(file.name for file in folder.iterdir()) == ["step-00000012", "step-00000016"]


def test_steps_sort_as_numbers_beyond_their_width(tmp_path):
    for step in (99_999_998, 99_999_999, 100_000_000):
        save_checkpoint(tmp_path, step, {"step": step}, tensors(1))
        assert newest(tmp_path).progress == {"step": step}
    assert {file.name for file in tmp_path.iterdir()} == {"step-99999999", "step-100000000"}


def test_the_same_step_again_replaces_itself_and_keeps_the_one_before(folder):
    save_checkpoint(folder, 8, {"epoch": 22}, tensors(88))
    assert newest(folder).progress == {"epoch": 22}
    assert sorted(file.name for file in folder.iterdir()) == ["step-00000004", "step-00000008"]


@pytest.mark.parametrize("file", ["tensors.safetensors", "progress.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["truncated", "emptied", "absent", "longer"])
def test_a_damaged_one_is_named_and_the_one_before_is_used(folder, file, damage):
    path = folder / "step-00000008" / file
    content = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes({"truncated": content[:-1], "emptied": b"", "longer": content + b"x"}[damage])
    notes = []
    assert newest(folder, notes).progress == {"epoch": 1}
    assert len(notes) == 1
    assert "step-00000008" in notes[0]
    assert "damaged" in notes[0]


@pytest.mark.parametrize("file", ["tensors.safetensors", "progress.json", "manifest.json"])
def test_no_flipped_bit_passes(folder, file):
    path = folder / "step-00000008" / file
    content = path.read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(0, 8 * len(content), 200):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        assert newest(folder).progress == {"epoch": 1}, f"bit {place}"
    path.write_bytes(content)
    assert newest(folder).progress == {"epoch": 2}


@pytest.mark.parametrize("manifest", ["[]", "{}", "3", "null", '{"progress.json": 5}', "nonsense"])
def test_a_manifest_of_another_kind_is_damage(folder, manifest):
    (folder / "step-00000008" / "manifest.json").write_text(manifest)
    assert newest(folder).progress == {"epoch": 1}


def test_all_damaged_is_none(folder):
    for path in folder.glob("*/progress.json"):
        path.write_text("{}")
    notes = []
    assert newest(folder, notes) is None
    assert notes == [
        f"{folder}/step-00000008/progress.json is damaged; the checkpoint step-00000008 is passed over",
        f"{folder}/step-00000004/progress.json is damaged; the checkpoint step-00000004 is passed over",
        f"no checkpoint in {folder} is whole; starting again from the first step",
    ]


def test_after_going_on_from_an_earlier_one_a_damaged_later_one_goes(folder):
    (folder / "step-00000008" / "progress.json").write_text("{}")
    save_checkpoint(folder, 5, {"epoch": 5}, tensors(5))
    assert newest(folder).progress == {"epoch": 5}
    assert sorted(file.name for file in folder.iterdir()) == ["step-00000004", "step-00000005"]


@pytest.mark.parametrize("leftover", [".step-00000012.new", ".step-00000008.old"])
def test_what_a_killed_save_left_is_never_chosen_and_goes_with_the_next(folder, leftover):
    shutil.copytree(folder / "step-00000008", folder / leftover)
    (folder / leftover / "progress.json").write_text(json.dumps({"epoch": 99}))
    assert newest(folder).progress == {"epoch": 2}
    save_checkpoint(folder, 12, {"epoch": 3}, tensors(12))
    assert sorted(file.name for file in folder.iterdir()) == ["step-00000008", "step-00000012"]


@pytest.mark.parametrize("room", [0, 100, 300])
def test_a_full_disk_leaves_the_last_one_and_no_litter(folder, room):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(
            ResourceError, match=r"the disk is full at .*/c/step-00000012, where [\d,]+ bytes"
        ):
            save_checkpoint(folder, 12, {"epoch": 3}, {"x": torch.zeros(100)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert newest(folder).progress == {"epoch": 2}
    assert sorted(file.name for file in folder.iterdir()) == ["step-00000004", "step-00000008"]
