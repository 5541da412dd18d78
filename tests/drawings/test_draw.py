"""The drawing as geometry and text: parsed back from the SVG, never compared with an earlier drawing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import matplotlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from goingdeeper import catalogue
from goingdeeper.drawings.draw import draw
from goingdeeper.errors import UsageError
from goingdeeper.layers import (
    CLASSES,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Highway,
    Identity,
    Linear,
    Maxout,
    MaxPool,
    Network,
    PReLU,
    ReLU,
    Residual,
    Sigmoid,
    ZeroPad,
)
from goingdeeper.trace import addresses, trace

SVG = "{http://www.w3.org/2000/svg}"

WHOLE = [
    "googlenet", "googlenet-naive", "googlenet-separable-stem", "plain-34", "resnet-34-a", "resnet-34-b",
    "resnet-50", "resnet-50-signs", "cifar-resnet-20-a", "alexnet", "vgg-16", "prelu-net-a", "maxout-cifar10",
    "nin-cifar10", "dsn-cifar10", "fitnet-19", "highway-19", "highway-19-fc", "highway-32", "inception-v3",
    "inception-v2-table1-7x7", "bn-inception-released", "bn-googlenet",
]  # fmt: skip
COLLAPSED = ["resnet-152", "cifar-plain-110", "cifar-resnet-1202-a"]

BLOCKS = [
    ("googlenet", "3a"), ("googlenet", "conv2"), ("googlenet", "heads.4a"), ("googlenet", "3a.5x5.reduce"),
    ("googlenet-naive", "4e"), ("resnet-50", "conv3_1"), ("resnet-50", "conv3_1.shortcut"),
    ("resnet-34-a", "conv3_1"), ("resnet-34-a", "conv3_2"), ("plain-34", "conv3_1"),
    ("highway-19", "conv1_2"), ("inception-v3", "mixed7b"), ("inception-v3", "mixed6c"), ("alexnet", "conv2"),
    ("dsn-cifar10", "heads.conv1.conv"), ("prelu-net-a", "spp"), ("maxout-cifar10", "fc1"),
    ("resnet-34-a", "conv3_x"), ("resnet-152", "conv4_x"), ("vgg-16", "conv5_x"), ("highway-32", "conv2_x"),
]  # fmt: skip


class Area(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Area, slack: float = 0.11) -> bool:
        """Whether more than a rounding of coordinates is shared."""
        across = min(self.right, other.right) - max(self.left, other.left)
        return across > slack and min(self.bottom, other.bottom) - max(self.top, other.top) > slack

    def holds(self, other: Area, slack: float = 0.11) -> bool:
        return (
            self.left <= other.left + slack
            and self.top <= other.top + slack
            and self.right >= other.right - slack
            and self.bottom >= other.bottom - slack
        )


@dataclass(frozen=True)
class Picture:
    """An SVG read back. boxes: by the first line of their tooltip; frames hold boxes."""

    root: ElementTree.Element
    page: Area
    boxes: dict[str, Area]
    frames: dict[str, Area]
    inside: dict[str, tuple[str, ...]]
    texts: list[tuple[str, Area]]
    lines: list[Area]

    @property
    def words(self) -> list[str]:
        return [text for text, _ in self.texts]


def read(svg: str) -> Picture:
    root = ElementTree.fromstring(svg)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    boxes, frames, inside = {}, {}, {}
    for group in root.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        if rect is not None:
            x, y, wide, high = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
            name = group.findtext(f"{SVG}title", "").split("\n")[0]
            words = tuple(text.text or "" for text in group.iter(f"{SVG}text"))
            (boxes if words else frames)[name] = Area(x, y, x + wide, y + high)
            if words:
                inside[name] = words
    texts = [(text.text or "", covered(text)) for text in root.iter(f"{SVG}text")]
    lines = [
        line
        for path in root.iter(f"{SVG}path")
        if path.attrib.get("fill") == "none"
        for line in segments(path.attrib["d"])
    ]
    return Picture(root, Area(0, 0, width, height), boxes, frames, inside, texts, lines)


def covered(text: ElementTree.Element) -> Area:
    """Where a text is, set in DejaVu Sans, the widest of the faces that browsers fall back to."""
    size, bold = float(text.attrib["font-size"]), "font-weight" in text.attrib
    wide = face("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf").getlength(text.text or "") * size / 100
    x, y = float(text.attrib["x"]), float(text.attrib["y"])
    x -= {"start": 0.0, "middle": wide / 2, "end": wide}[text.attrib.get("text-anchor", "start")]
    return Area(x, y - 0.75 * size, x + wide, y + 0.1 * size)


@cache
def face(file: str) -> ImageFont.FreeTypeFont:
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(fonts / file), 100, layout_engine=ImageFont.Layout.BASIC)


def segments(path: str) -> list[Area]:
    """The straight runs of a path, as areas without width; a rounded corner counts as a sharp one."""
    points: list[tuple[float, float]] = []
    for command, numbers in re.findall(r"([MLQhvHV])([-0-9. ]*)", path):
        values = [float(number) for number in numbers.split()]
        x, y = points[-1] if points else (0.0, 0.0)
        match command:
            case "M" | "L":
                points.append((values[0], values[1]))
            case "Q":
                points += [(values[0], values[1]), (values[2], values[3])]
            case "h" | "H":
                points.append((values[0] + (x if command == "h" else 0), y))
            case "v" | "V":
                points.append((x, values[0] + (y if command == "v" else 0)))
    return [
        Area(min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1])) for a, b in pairwise(points)
    ]


def crosses(line: Area, area: Area, slack: float = 0.3) -> bool:
    """Whether a line goes through the inside of an area."""
    return (
        line.left < area.right - slack
        and line.right > area.left + slack
        and line.top < area.bottom - slack
        and line.bottom > area.top + slack
    )


def check(picture: Picture) -> None:
    """What has to be so in any drawing."""
    drawn = [*picture.boxes.values(), *picture.frames.values()]
    for name, area in [*picture.boxes.items(), *picture.frames.items(), *picture.texts]:
        assert picture.page.holds(area), f"{name} is outside"
    for line in picture.lines:
        assert picture.page.holds(line)
        assert line.left == line.right or line.top == line.bottom
        for name, box in picture.boxes.items():
            assert not crosses(line, box), f"a line goes through {name}"
        for name, frame in picture.frames.items():
            if line.top == line.bottom and frame.top < line.top < frame.bottom:
                beside = line.right <= frame.left or line.left >= frame.right
                assert beside or (frame.left <= line.left and line.right <= frame.right), (
                    f"a line enters {name}"
                )
    for one, other in combinations(drawn, 2):
        assert not one.overlaps(other) or one.holds(other) or other.holds(one)
    for (a, one), (b, other) in combinations(picture.boxes.items(), 2):
        assert not one.overlaps(other), f"{a} and {b} overlap"
    for (a, one), (b, other) in combinations(picture.texts, 2):
        assert not one.overlaps(other), f"'{a}' and '{b}' overlap"
    for words, area in picture.texts:
        for name, box in picture.boxes.items():
            own = words in picture.inside[name] and box.holds(area, slack=-2)
            assert own or not area.overlaps(box), f"'{words}' runs into {name}"
        for line in picture.lines:
            assert not crosses(line, area), f"a line goes through '{words}'"


@pytest.mark.parametrize("name", WHOLE + COLLAPSED)
def test_nothing_overlaps_in_a_network(name: str) -> None:
    check(read(draw(catalogue.network(name))))


@pytest.mark.parametrize(("name", "address"), BLOCKS)
def test_nothing_overlaps_in_a_block(name: str, address: str) -> None:
    check(read(draw(catalogue.network(name), address)))


@pytest.mark.parametrize("name", WHOLE + COLLAPSED)
def test_a_network_has_the_proportions_of_a_page(name: str) -> None:
    page = read(draw(catalogue.network(name))).page
    assert 0.65 < page.right / page.bottom < 1.5
    # Text of 11 pixels is still over 7 where the drawing is shrunk to a page of 1000.
    assert page.right < 1500


@pytest.mark.parametrize("name", WHOLE)
def test_every_layer_is_in_the_drawing(name: str) -> None:
    network = catalogue.network(name)
    root = read(draw(network)).root
    told = {title.text.split("\n")[0] for title in root.iter(f"{SVG}title") if title.text}
    assert {step.path for step in trace(network) if step.leaf} <= told


def test_every_layer_of_a_block_is_in_its_drawing() -> None:
    picture = read(draw(catalogue.network("googlenet"), "3a"))
    assert set(picture.boxes) == {
        "3a", "3a.1x1", "3a.3x3.reduce", "3a.3x3.conv", "3a.5x5.reduce", "3a.5x5.conv", "3a.pool.max",
        "3a.pool.proj",
    }  # fmt: skip


def test_branches_go_across_and_meet_in_a_bar() -> None:
    boxes = read(draw(catalogue.network("googlenet"), "3a")).boxes
    firsts = [boxes[f"3a.{name}"] for name in ("1x1", "3x3.reduce", "5x5.reduce", "pool.max")]
    assert len({box.top for box in firsts}) == 1
    assert all(one.right < other.left for one, other in pairwise(firsts))
    bar = boxes["3a"]
    assert bar.left <= firsts[0].left and bar.right >= firsts[-1].right
    assert all(box.bottom < bar.top for name, box in boxes.items() if name != "3a")


def test_chains_go_down() -> None:
    boxes = read(draw(catalogue.network("googlenet"), "heads.4a")).boxes
    chain = [boxes[f"heads.4a.{name}"] for name in ("pool", "conv", "fc1", "dropout", "fc2")]
    assert all(one.bottom < other.top for one, other in pairwise(chain))
    assert len({(box.left, box.right) for box in chain}) == 1


def test_heads_branch_off_at_the_side_below_what_they_read() -> None:
    picture = read(draw(catalogue.network("googlenet")))
    for name in ("4a", "4d"):
        block, head = picture.frames[name], picture.frames[f"heads.{name}"]
        assert head.left > block.right and head.top > block.bottom
        assert head.holds(picture.boxes[f"heads.{name}.fc2"])


def test_boxes_say_what_figure_3_of_the_resnet_paper_says() -> None:
    words = read(draw(catalogue.network("resnet-34-a"))).words
    counts = {
        "7x7 conv, 64, /2": 1, "3x3 conv, 64": 6, "3x3 conv, 128, /2": 1, "3x3 conv, 128": 7,
        "3x3 conv, 256, /2": 1, "3x3 conv, 256": 11, "3x3 conv, 512, /2": 1, "3x3 conv, 512": 5, "fc 1000": 1,
    }  # fmt: skip
    assert {word: words.count(word) for word in counts} == counts


def test_shapes_stand_where_table_1_of_the_googlenet_paper_has_them() -> None:
    words = read(draw(catalogue.network("googlenet"))).words
    table = (
        "64x112x112 64x56x56 192x56x56 192x28x28 256x28x28 480x28x28 480x14x14 512x14x14 528x14x14 832x14x14 "
    )
    assert set((table + "832x7x7 1024x7x7 1024x1x1").split()) == {
        word for word in words if re.fullmatch(r"\d+x\d+x\d+", word)
    }


def test_another_input_gives_other_shapes() -> None:
    words = read(draw(catalogue.network("googlenet"), input=(3, 448, 448))).words
    assert "input 3x448x448" in words and "64x224x224" in words and "64x112x112" in words


@pytest.mark.parametrize(
    ("network", "address", "said", "dashed"),
    [
        ("resnet-34-a", "conv3_2", "identity", False),
        ("resnet-34-a", "conv3_1", "zero-pad, 128, /2", True),
        ("resnet-34-b", "conv3_1", "1x1 conv, 128, /2", False),
    ],
)
def test_shortcuts_can_be_told_apart(network: str, address: str, said: str, dashed: bool) -> None:
    picture = read(draw(catalogue.network(network), address))
    assert said in picture.words
    paths = picture.root.iter(f"{SVG}path")
    assert any("stroke-dasharray" in path.attrib for path in paths) == dashed
    body = picture.boxes[f"{address}.conv1"]
    side = next(area for text, area in picture.texts if text == said)
    assert side.left > body.right


def signs(picture: Picture, kind: str) -> list[tuple[float, float]]:
    """Centres of the signs whose tooltip starts so."""
    found = []
    for group in picture.root.iter(f"{SVG}g"):
        circle = group.find(f"{SVG}circle")
        if circle is not None and group.findtext(f"{SVG}title", "").startswith(kind):
            found.append((float(circle.attrib["cx"]), float(circle.attrib["cy"])))
    return found


def runs_to(picture: Picture, colour: str) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Where the paths of a colour start and end."""
    ends = []
    for path in picture.root.iter(f"{SVG}path"):
        if path.attrib.get("stroke") == colour and path.attrib.get("fill") == "none":
            numbers = [float(number) for number in re.findall(r"-?[0-9.]+", path.attrib["d"])]
            ends.append(((numbers[0], numbers[1]), (numbers[-2], numbers[-1])))
    return ends


CARRIED, GATE = "#8a3f6b", "#00795a"


@pytest.mark.parametrize("address", [None, "conv1_2"])
def test_a_highway_layer_adds_what_its_gate_lets_through(address: str | None) -> None:
    """Equation 3: y = H(x) T(x) + x (1 - T(x))."""
    picture = read(draw(catalogue.network("highway-19"), address))
    transform, gate = (picture.boxes[f"conv1_2.{part}"] for part in ("transform", "gate"))
    assert gate.left > transform.right
    [(x, y), *_], [(carried, level), *_] = (signs(picture, what) for what in ("transform ×", "input ×"))
    assert y == level and transform.left < x < transform.right and carried > gate.right
    assert y > transform.bottom and y > gate.bottom
    plus = min(signs(picture, "conv1_2\n"), key=lambda centre: centre[1])
    assert plus[0] == x and plus[1] > y
    lines = runs_to(picture, GATE)
    ends = {round(end[0]) for _, end in lines if abs(end[1] - y) < 1}
    assert ends == {round(x + 8.5 + 5), round(carried - 8.5 - 5)}  # arrowheads before either sign
    carries = [(start, end) for start, end in runs_to(picture, CARRIED) if start[1] < plus[1]]
    (first, last), (again, into) = carries[:2]
    assert (first[0], last[0], again[0]) == (x, carried, carried)
    assert first[1] < transform.top and abs(into[1] - plus[1]) < 1 and into[0] < gate.left
    words = dict(reversed(picture.texts))
    assert x < words["gate T"].left < words["gate T"].right < gate.right
    assert (gate.left + gate.right) / 2 < words["1 − T"].left < words["1 − T"].right < carried


def test_a_gate_can_be_told_from_its_transform() -> None:
    picture = read(draw(catalogue.network("highway-19")))
    assert picture.inside["conv1_2.transform"] == ("3x3 conv, 32",)
    assert picture.inside["conv1_2.gate"] == ("3x3 conv", "32", "sigmoid")
    close = read(draw(catalogue.network("highway-19"), "conv1_2"))
    assert close.inside["conv1_2.gate"] == ("3x3 conv, 32", "bias, sigmoid")
    assert {"multiplication", "gate, between 0 and 1", "addition", "shortcut"} <= set(close.words)


@pytest.mark.parametrize(
    ("network", "path", "lines"),
    [
        ("maxout-cifar10", "conv1", ("8x8 conv, 96", "maxout of 2")),
        ("maxout-cifar10", "fc1", ("fc 500", "maxout of 5")),
        ("prelu-net-c", "conv1", ("7x7 conv, 96, /2", "PReLU")),
        ("prelu-net-c", "spp", ("spatial pyramid, 7, 3, 2, 1",)),
        ("alexnet", "conv2", ("5x5 conv, 256, 2 groups",)),
        ("bn-inception-released", "conv1.depthwise", ("7x7 depthwise conv, 24, /2",)),
        ("googlenet-torchvision", "heads.4a.pool", ("avg pool to 4x4",)),
        ("inception-v3", "mixed7b.double3x3.fork.3x1", ("3x1 conv", "384")),
        ("nin-cifar10", "cccp6", ("1x1 conv, 10",)),
    ],
)
def test_boxes_of_the_other_networks(network: str, path: str, lines: tuple[str, ...]) -> None:
    assert read(draw(catalogue.network(network))).inside[path] == lines


def test_companions_stand_beside_the_layer_before_whose_relu_they_read() -> None:
    picture = read(draw(catalogue.network("dsn-cifar10")))
    said = dict(picture.texts)
    for name, following in (("conv1", "cccp1"), ("conv2", "cccp3"), ("conv3", "cccp5")):
        head, note = picture.boxes[f"heads.{name}.conv"], said[f"reads {name} before its ReLU"]
        assert head.left > picture.boxes[name].right
        assert picture.boxes[name].bottom < note.top < note.bottom < head.top
        assert picture.boxes[following].bottom > note.top  # it starts right behind what it reads


def test_heads_within_a_block_stand_side_by_side_and_say_what_they_read() -> None:
    head = {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}
    heads = {"4a.5x5.reduce.conv": head, "3a": head, "4a.1x1": head, "4a.pool.proj.act": head}
    picture = read(draw(replace(catalogue.network("googlenet"), heads=heads)))
    check(picture)
    frames = [picture.frames[f"heads.{name}"] for name in heads if name != "3a"]
    assert all(frame.top > picture.frames["4a"].bottom for frame in frames)
    assert all(one.right < other.left for one, other in pairwise(frames))
    assert {"reads 4a.5x5.reduce before its ReLU", "reads 4a.1x1", "reads 4a.pool.proj"} <= set(picture.words)
    assert not [words for words in picture.words if words.startswith("reads 3a")]


def test_a_fork_within_a_branch_widens_it() -> None:
    boxes = read(draw(catalogue.network("inception-v3"), "mixed7b")).boxes
    for branch, above in (("3x3", "reduce"), ("double3x3", "conv")):
        left, right = (boxes[f"mixed7b.{branch}.fork.{name}"] for name in ("1x3", "3x1"))
        assert left.top == right.top > boxes[f"mixed7b.{branch}.{above}"].bottom
        assert left.right < right.left
        bar = boxes[f"mixed7b.{branch}.fork"]
        assert bar.left <= left.left and bar.right >= right.right and bar.bottom < boxes["mixed7b"].top


def test_a_stage_is_drawn_by_its_name() -> None:
    network = catalogue.network("resnet-34-b")
    picture = read(draw(network, "conv3_x"))
    inside = {step.path for step in trace(network) if step.leaf and step.path.startswith("conv3_")}
    told = {title.text.split("\n")[0] for title in picture.root.iter(f"{SVG}title") if title.text}
    assert inside <= told and not [path for path in told if path.startswith("conv4_")]
    assert list(picture.frames) == ["conv3_1", "conv3_2", "conv3_3", "conv3_4"]
    # The fact sheet: 1,114,112 weights and batch norm of 9 times 128 channels; 873.5 M multiply-adds.
    assert "64x56x56 to 128x28x28 · 1.12 M parameters · 873 M multiply-adds" in picture.words
    assert "× 35" in read(draw(catalogue.network("resnet-152"), "conv4_x")).words


@pytest.mark.parametrize(
    ("name", "repeats"),
    [
        # Table 1 of the ResNet paper: 3, 8, 36 and 3 blocks, the first of a stage unlike the others.
        ("resnet-152", ["× 7", "× 35"]),
        # 6n+2 layers with n = 200; the first stage keeps the width of the stem.
        ("cifar-resnet-1202-a", ["× 200", "× 199", "× 199"]),
        ("resnet-34-a", []),
    ],
)
def test_long_runs_of_equal_blocks_are_drawn_once(name: str, repeats: list[str]) -> None:
    words = read(draw(catalogue.network(name))).words
    assert [word for word in words if word.startswith("×")] == repeats


def test_a_run_ends_at_the_layer_that_a_head_reads() -> None:
    head = {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}
    convs = {f"c{number}": Conv(8, 3) for number in range(1, 13)}
    network = Network("twelve", {"stem": Conv(8, 3), "pool": MaxPool(3), **convs, **head}, {"c6": head})
    picture = read(draw(network))
    assert [word for word in picture.words if word.startswith("×")] == ["× 6", "× 6"]
    check(picture)


def test_equal_records_on_different_shapes_are_not_a_run() -> None:
    head = {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}
    pools = {f"p{number}": MaxPool(2, 2, 0) for number in range(7)}
    convs = {f"c{number}": Conv(8, 3) for number in range(6)}
    assert not [word for word in read(draw(Network("n", {**pools, **convs, **head}))).words if "×" in word]


def test_a_drawing_stands_alone_and_can_share_a_page() -> None:
    svg = draw(catalogue.network("resnet-34-a"))
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert not {"id", "class", "href", "src"} & {key for part in root.iter() for key in part.attrib}
    tags = {part.tag.removeprefix(SVG) for part in root.iter()}
    assert tags == {"svg", "g", "title", "rect", "circle", "path", "text"}
    assert "url(" not in svg and "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_names_are_escaped() -> None:
    layers = {"<&\"'>": Conv(8, 3), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}
    svg = draw(Network("<a&b>\0", layers))
    assert ElementTree.fromstring(svg).attrib["aria-label"] == "<a&b>\ufffd"
    assert {"<a&b>\ufffd", "<&\"'>"} <= set(read(svg).words)


def test_the_drawing_does_not_depend_on_the_order_of_sets() -> None:
    kernels = [(7, 1), (1, 3), (3, 3), (1, 7), (3, 1), (2, 3), (3, 2), (1, 5)]
    convs = {f"c{number}": Conv(8, kernel) for number, kernel in enumerate(kernels)}
    network = Network("kernels", {**convs, "pool": GlobalAvgPool(), "fc": Linear(CLASSES)})
    assert {"1x3, 1x5, 1x7, 3x1, 7x1 conv", "2x3, 3x2, 3x3 conv"} <= {*read(draw(network)).words}
    assert draw(network) == draw(network)


def test_unknown_addresses_suggest_close_ones() -> None:
    with pytest.raises(UsageError, match=r"conv3_11.*did you mean conv3_1"):
        draw(catalogue.network("resnet-50"), "conv3_11")
    with pytest.raises(UsageError, match=r"'conv3'; did you mean .*conv3_x.* it has: .*conv3_x"):
        draw(catalogue.network("resnet-50"), "conv3")


def test_the_heading_has_input_parameters_and_multiply_adds() -> None:
    # The ResNet paper's Table 1 gives 3.8 x 10^9; 25.6 M parameters are torchvision's 25,557,032.
    words = read(draw(catalogue.network("resnet-50"))).words
    assert words[0] == "resnet-50"
    facts, order = words[1].rsplit(" · ", 1)
    assert re.fullmatch(r"input 3x224x224 · 25\.6 M parameters · 3\.8\d G multiply-adds", facts)
    assert order == "shapes are channels x height x width"


def test_factorised_convolutions_have_a_colour_of_their_own() -> None:
    """Szegedy et al. 2015, Figure 6: 1x7 and 7x1 in place of 7x7."""
    svg = draw(catalogue.network("inception-v3"), "mixed6b")
    kernels = {kernel: fill for fill, kernel in re.findall(
        r'<rect[^>]*fill="(#\w+)"[^>]*/><text[^>]*>(\d+x\d+) conv', svg
    )}  # fmt: skip
    assert kernels["1x7"] == kernels["7x1"] != kernels["1x1"]
    assert "1x7, 7x1 conv" in read(svg).words
    assert "3x3 conv" in read(draw(catalogue.network("resnet-18-b"))).words


NAMES = st.sampled_from(["a", "b", "conv1", "mixed_6b", "a_rather_long_name_for_a_layer", "W" * 9, "層"])
KERNELS = st.sampled_from([1, 3, 5, 7, (1, 3), (7, 1)])
LEAVES = st.one_of(
    st.builds(
        Conv, st.just(8), KERNELS, norm=st.sampled_from([None, BatchNorm()]),
        act=st.sampled_from([None, ReLU(), PReLU(shared=True), Maxout(), Sigmoid()]),
    ),
    st.builds(Conv, st.just(8), st.just(3), groups=st.sampled_from([2, 8])),
    st.sampled_from([MaxPool(3), AvgPool(3), Identity(), Dropout(0.2)]),
)  # fmt: skip


def chains(inner: st.SearchStrategy, most: int = 3) -> st.SearchStrategy:
    return st.dictionaries(NAMES, inner, min_size=1, max_size=most)


def containers(inner: st.SearchStrategy) -> st.SearchStrategy:
    """Whatever takes eight channels and gives eight."""
    concats = chains(inner, 4).map(lambda branches: {"branches": Concat(branches), "project": Conv(8, 1)})
    shortcuts = st.sampled_from([Identity(), ZeroPad(8), Conv(8, 1)]) | chains(LEAVES)
    highways = st.builds(Highway, inner | chains(inner), inner | chains(inner))
    residuals = st.builds(Residual, chains(inner), shortcuts, st.sampled_from([None, ReLU()]))
    return chains(inner) | concats | residuals | highways


@st.composite
def networks(draw_from: st.DrawFn) -> Network:
    layers = draw_from(chains(st.recursive(LEAVES, containers, max_leaves=12), 8))
    head = {"gap": GlobalAvgPool(), "fc": Linear(CLASSES)}
    repeated = {f"r{number}": Conv(8, 3) for number in range(draw_from(st.sampled_from([0, 3, 9])))}
    trunk = Network("any", {**layers, **repeated, **head}, input=(8, 16, 16))
    inside = [one for one in addresses(trunk) if one.split(".")[0] not in head]
    read_by = draw_from(st.lists(st.sampled_from(inside), max_size=4, unique=True))
    alone = [one for one in read_by if not any(other.startswith(f"{one}.") for other in read_by)]
    return replace(trunk, heads={one: head for one in alone})


@settings(max_examples=60, deadline=None)
@given(networks())
def test_nothing_overlaps_in_any_network(network: Network) -> None:
    check(read(draw(network)))
    for name, _ in network.layers:
        check(read(draw(network, name)))
