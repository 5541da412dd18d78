"""The views of each protocol against tables worked out by hand from the papers' words."""

from itertools import product

import pytest

from goingdeeper.errors import UsageError
from goingdeeper.evaluation.protocols import PROTOCOLS, Box, Sheet, plan, protocol

# Images of 3:2 and 2:3, and a square. Height and width, and that of the shorter side at 256.
LANDSCAPE, PORTRAIT, SQUARE = (400, 600), (600, 400), (500, 500)


def places(name, shape, size=224):
    """(height, width of the resized image, box in it) of each view, as often as it is taken."""
    chosen = PROTOCOLS[name]
    planned = plan(chosen, *shape, size)
    found = []
    for view in planned.views:
        sheet = planned.sheets[view.sheet]
        box = tuple(sheet.box if sheet.side else view.box)
        found += [((sheet.height, sheet.width), box)] * view.times * (1 + chosen.mirror)
    return sorted(found)


@pytest.mark.parametrize(
    ("name", "shape", "resized", "box"),
    [
        ("1crop", LANDSCAPE, (224, 336), (0, 56, 224, 224)),
        ("1crop", PORTRAIT, (336, 224), (56, 0, 224, 224)),
        ("1crop", SQUARE, (224, 224), (0, 0, 224, 224)),
        ("1crop-resnet", LANDSCAPE, (256, 384), (16, 80, 224, 224)),
        ("1crop-resnet", PORTRAIT, (384, 256), (80, 16, 224, 224)),
        ("1crop-resnet", SQUARE, (256, 256), (16, 16, 224, 224)),
        ("1crop-bvlc", LANDSCAPE, (256, 256), (16, 16, 224, 224)),
        ("1crop-bvlc", PORTRAIT, (256, 256), (16, 16, 224, 224)),
        ("1crop-bvlc", SQUARE, (256, 256), (16, 16, 224, 224)),
    ],
)
def test_one_crop(name, shape, resized, box):
    assert places(name, shape) == [(resized, box)]


@pytest.mark.parametrize(
    ("name", "sheet", "corner"),
    [
        ("1crop", (256, 384), (16, 80)),
        ("1crop-resnet", (256, 384), (16, 80)),
        ("1crop-bvlc", (256, 256), (16, 16)),
    ],
)
def test_only_the_papers_own_view_follows_the_models_shorter_side(name, sheet, corner):
    planned = plan(PROTOCOLS[name], *LANDSCAPE, 224, 256)
    (found,) = planned.sheets
    assert found[:2] == sheet
    assert planned.views[0].box == Box(*corner, 224, 224)
    other = plan(PROTOCOLS[name], *LANDSCAPE, 224, 300)
    assert (other == planned) == (name != "1crop")


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        # 87.5 % of 400 is 350, of 600 is 525: a border of 25, and of 37 where 37.5 is cut to a whole pixel.
        (LANDSCAPE, (25, 37, 350, 526)),
        (PORTRAIT, (37, 25, 526, 350)),
        ((320, 320), (20, 20, 280, 280)),
    ],
)
def test_inception_v3s_central_part_is_squashed(shape, box):
    (sheet,) = plan(PROTOCOLS["1crop-inception-v3"], *shape, 299).sheets
    assert sheet == Sheet(*shape, Box(*box), 299)


CORNERS = {
    LANDSCAPE: ((256, 384), [(0, 0), (0, 160), (32, 0), (32, 160), (16, 80)]),
    PORTRAIT: ((384, 256), [(0, 0), (160, 0), (0, 32), (160, 32), (80, 16)]),
    SQUARE: ((256, 256), [(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)]),
}


@pytest.mark.parametrize("shape", CORNERS)
def test_ten_crops_are_of_the_whole_image(shape):
    resized, corners = CORNERS[shape]
    assert places("10crop", shape) == sorted([(resized, (*corner, 224, 224)) for corner in corners] * 2)


def test_alexnets_ten_crops_are_of_the_central_square():
    inside = [(0, 64), (0, 96), (32, 64), (32, 96), (16, 80)]
    assert places("10crop-alexnet", LANDSCAPE) == sorted([((256, 384), (*at, 224, 224)) for at in inside] * 2)
    inside = [(64, 0), (96, 0), (64, 32), (96, 32), (80, 16)]
    assert places("10crop-alexnet", PORTRAIT) == sorted([((384, 256), (*at, 224, 224)) for at in inside] * 2)


# Of a 400x600 image at the four scales: the longer side, and where three squares along it begin.
GOOGLENET = {
    256: (384, (0, 64, 128)),
    288: (432, (0, 72, 144)),
    320: (480, (0, 80, 160)),
    352: (528, (0, 88, 176)),
}


def by_hand(shape):
    """The 144 views: 4 scales, 3 squares, 4 corners and centre and the square itself, each and its mirror."""
    found = []
    for side, (long, begins) in GOOGLENET.items():
        resized = (side, side) if shape == SQUARE else (side, long) if shape == LANDSCAPE else (long, side)
        for begin in begins:
            top, left = (0, 0) if shape == SQUARE else (0, begin) if shape == LANDSCAPE else (begin, 0)
            far, mid = side - 224, (side - 224) // 2
            for down, along in [(0, 0), (0, far), (far, 0), (far, far), (mid, mid)]:
                found.append((resized, (top + down, left + along, 224, 224)))
            found.append((resized, (top, left, side, side)))
    return sorted(found * 2)


@pytest.mark.parametrize("shape", [LANDSCAPE, PORTRAIT, SQUARE])
def test_144_crops(shape):
    found = places("144crop", shape)
    assert len(found) == 4 * 3 * 6 * 2 == 144
    assert found == by_hand(shape)
    # A square image has three equal squares: each different view is computed once, and counts three times.
    views = plan(PROTOCOLS["144crop"], *shape, 224).views
    assert sorted({view.times for view in views}) == ([3] if shape == SQUARE else [1])
    assert len(views) == (24 if shape == SQUARE else 72)


def test_offsets_are_cut_to_whole_pixels():
    """floor((long - s) / 2): 401 wide at 256 high is 401, so (401 - 256) / 2 = 72.5."""
    lefts = {box[1] for (_, wide), box in places("144crop", (256, 401)) if box[2] == 256 and wide == 401}
    assert lefts == {0, 72, 145}


def test_twelve_crops_are_of_one_squashed_square():
    far, mid = 320 - 299, (320 - 299) // 2
    corners = [(0, 0), (0, far), (far, 0), (far, far), (mid, mid)]
    expected = [((320, 320), (*at, 299, 299)) for at in corners] + [((320, 320), (0, 0, 320, 320))]
    assert places("12crop", LANDSCAPE, 299) == sorted(expected * 2)


def test_150_crops_are_a_grid():
    found = places("150crop", LANDSCAPE)
    assert len(found) == 150
    # At 384x576 the windows begin every (384 - 224) / 4 = 40 rows and (576 - 224) / 4 = 88 columns.
    grid = [((384, 576), (40 * i, 88 * k, 224, 224)) for i, k in product(range(5), range(5))]
    assert [one for one in found if one[0] == (384, 576)] == sorted(grid * 2)


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("dense", (224, 256, 384, 480, 640)),
        ("dense-logits", (224, 256, 384, 480, 640)),
        ("dense-vgg", (384,)),
        ("dense-vgg-3", (256, 384, 512)),
    ],
)
def test_dense_views_are_whole_images(name, sides):
    expected = [((side, side * 3 // 2), (0, 0, side, side * 3 // 2)) for side in sides]
    assert places(name, LANDSCAPE) == sorted(expected * 2)


@pytest.mark.parametrize(
    ("name", "size", "sides"),
    [
        ("144crop", 299, [342, 384, 427, 470]),  # as recipes.md works them out for Inception-v3
        ("10crop", 32, [37]),  # 32 * 256 / 224 = 36.6
        ("1crop", 32, [32]),
        ("12crop", 224, [240]),  # 224 * 320 / 299 = 239.7
    ],
)
def test_scales_follow_the_networks_input(name, size, sides):
    planned = plan(PROTOCOLS[name], 700, 700, size)
    assert sorted({sheet.height for sheet in planned.sheets}) == sides


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (17, 23), (224, 224), (1000, 37)])
def test_views_lie_inside_whatever_the_image(name, shape):
    chosen = PROTOCOLS[name]
    planned = plan(chosen, *shape, 32)
    assert sum(view.times for view in planned.views) * (1 + chosen.mirror) == (
        chosen.crops or 2 * len(chosen.scales)
    )
    for sheet in planned.sheets:
        assert 0 <= sheet.box.top <= sheet.box.top + sheet.box.height <= sheet.height
        assert 0 <= sheet.box.left <= sheet.box.left + sheet.box.width <= sheet.width
    for view in planned.views:
        sheet = planned.sheets[view.sheet]
        height, width = (sheet.side, sheet.side) if sheet.side else sheet[:2]
        assert 0 <= view.box.top <= view.box.top + view.box.height <= height
        assert 0 <= view.box.left <= view.box.left + view.box.width <= width


def test_an_unknown_name():
    with pytest.raises(UsageError, match="unknown protocol '10crops'; did you mean 10crop"):
        protocol("10crops")
