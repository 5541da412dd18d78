"""How the papers looked at an image to score it: which parts, at which sizes, averaged how; as data.

Sizes are those of an input of `base` pixels, and are scaled to the network's own. What several views give is
averaged with equal weight: softmax probabilities, unless a protocol says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Literal, NamedTuple, TypeAlias

from goingdeeper.errors import unknown

Resize: TypeAlias = Literal["short", "own", "squash", "central"]
"""The shorter side to a size; to the model's own, which is another only in imported ones; both sides, the
aspect ratio given up; or the central part alone, squashed."""

Windows: TypeAlias = Literal["centre", "five", "six", "grid", "whole"]
"""The central window; that and the four corners; these and the whole area made as small; a regular grid of
5x5; or all of the resized image at once, by a network that is applied fully convolutionally."""

CENTRAL = 0.875
"""Of height and of width, in the released evaluation of Inception-v3."""

GRID = 5


@dataclass(frozen=True)
class Protocol:
    """Which views of an image are taken.

    scales: sizes that it is resized to, for an input of `base`. squares: how many squares along the longer
    side the windows are taken from, or 0 for the whole image. mirror: each view as its mirror image, too.
    average: what is averaged over views. source: where it is described; inferred: what is not said there.
    """

    name: str
    source: str
    scales: tuple[int, ...]
    base: int = 224
    resize: Resize = "short"
    squares: int = 0
    windows: Windows = "centre"
    mirror: bool = False
    average: Literal["probabilities", "logits"] = "probabilities"
    inferred: str = ""

    @property
    def dense(self) -> bool:
        """Whether the number of views depends on the image."""
        return self.windows == "whole"

    @property
    def crops(self) -> int | None:
        """Views of an image, equal ones counted as often as they are; None for a dense protocol."""
        each = {"centre": 1, "five": 5, "six": 6, "grid": GRID**2, "whole": None}[self.windows]
        return each and len(self.scales) * max(1, self.squares) * each * (1 + self.mirror)


SCALES = (224, 256, 384, 480, 640)

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "1crop",
            "ResNet paper, section 4.2: the single, original view of CIFAR's images",
            (224,),
            resize="own",
            inferred="of larger images the shorter side is made that of the input, and the centre taken; of "
            "imported models, the shorter side is the one that they were evaluated with elsewhere",
        ),
        Protocol("1crop-resnet", "ResNet's release: shorter side 256, central 224", (256,)),
        Protocol(
            "1crop-bvlc",
            "BVLC's models: 256x256 whatever the shape, central 224",
            (256,),
            resize="squash",
        ),
        Protocol(
            "1crop-inception-v3",
            "Inception-v3's release: central 87.5 % of both sides, squashed to 299",
            (299,),
            base=299,
            resize="central",
        ),
        Protocol(
            "10crop",
            "ResNet paper, section 4.1: corners and centre of the image at shorter side 256, mirrored",
            (256,),
            windows="five",
            mirror=True,
            inferred="the corners of the whole image, as the Torch release takes them",
        ),
        Protocol(
            "10crop-alexnet",
            "AlexNet paper, section 4.1: corners and centre of the central 256x256, mirrored",
            (256,),
            squares=1,
            windows="five",
            mirror=True,
        ),
        Protocol(
            "12crop",
            "Inception-v3 paper, Table 4, which does not define it",
            (320,),
            base=299,
            resize="squash",
            windows="six",
            mirror=True,
            inferred="one scale and one square of the 144, of the image squashed to 320x320",
        ),
        Protocol(
            "144crop",
            "GoogLeNet paper, section 7: 4 scales, 3 squares, 6 views, mirrored",
            (256, 288, 320, 352),
            squares=3,
            windows="six",
            mirror=True,
            inferred="for inputs other than 224 the scales are in proportion",
        ),
        Protocol(
            "150crop",
            "VGG paper, section 4.3: 5x5 windows, mirrored, at 3 scales",
            (256, 384, 512),
            windows="grid",
            mirror=True,
            inferred="the windows are evenly spaced, from border to border",
        ),
        Protocol(
            "dense",
            "ResNet paper, section 4.1: fully convolutional at 5 scales",
            SCALES,
            windows="whole",
            mirror=True,
            inferred="softmax at each position of the last map, averaged over positions, mirrors and scales",
        ),
        Protocol(
            "dense-logits",
            "ResNet paper, section 4.1: fully convolutional at 5 scales",
            SCALES,
            windows="whole",
            mirror=True,
            average="logits",
            inferred="scores are averaged over positions, mirrors and scales before one softmax",
        ),
        Protocol(
            "dense-vgg",
            "VGG paper, section 4.1: fully convolutional at one scale, 0.5 (256 + 512)",
            (384,),
            windows="whole",
            mirror=True,
        ),
        Protocol(
            "dense-vgg-3",
            "VGG paper, section 4.2: fully convolutional at 3 scales",
            (256, 384, 512),
            windows="whole",
            mirror=True,
        ),
    )
}


def protocol(name: str) -> Protocol:
    """Raises UsageError for an unknown name, with a close one."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS, f"the protocols are: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


class Box(NamedTuple):
    """Pixels of an image: `height` rows from `top` on, `width` columns from `left` on."""

    top: int
    left: int
    height: int
    width: int


class Sheet(NamedTuple):
    """The image resized to (height, width); of that the box; made (side, side) where one is given."""

    height: int
    width: int
    box: Box
    side: int | None = None
    squashed: bool = False


class View(NamedTuple):
    """Where a view lies in the sheet of this number, how often it is taken, and the first square that it is
    taken from."""

    sheet: int
    box: Box
    times: int
    square: int


@dataclass(frozen=True)
class Plan:
    """The different views of an image; each is taken mirrored, too, where the protocol says so."""

    sheets: tuple[Sheet, ...]
    views: tuple[View, ...]


@lru_cache(1024)
def plan(protocol: Protocol, height: int, width: int, size: int, shorter: int | None = None) -> Plan:
    """The views of a (height, width) image for a network whose input is (size, size).

    shorter: the side that the model itself resizes to, if it is not `size`.
    """
    sheets: dict[Sheet, int] = {}
    views: dict[tuple[int, Box], View] = {}

    def take(sheet: Sheet, box: Box, square: int = 0) -> None:
        key = sheets.setdefault(sheet, len(sheets)), box
        before = views.get(key, View(*key, 0, square))
        views[key] = before._replace(times=before.times + 1)

    for scale in protocol.scales:
        side = max(size, round(scale * size / protocol.base))
        if protocol.resize == "own" and shorter is not None:
            side = shorter
        if protocol.resize == "central":
            take(Sheet(height, width, _central(height, width), size), Box(0, 0, size, size))
            continue
        tall, wide = (side, side) if protocol.resize == "squash" else _short(height, width, side)
        whole = Box(0, 0, tall, wide)
        sheet = Sheet(tall, wide, whole, None, protocol.resize == "squash")
        if protocol.dense:
            take(sheet, whole)
            continue
        for number, area in enumerate(_areas(whole, protocol.squares)):
            for box in _windows(area, size, protocol.windows):
                take(sheet, box, number)
            if protocol.windows == "six":
                take(Sheet(tall, wide, area, size), Box(0, 0, size, size), number)
    return Plan(tuple(sheets), tuple(views.values()))


def _short(height: int, width: int, side: int) -> tuple[int, int]:
    """As `decode.fit`."""
    short = min(height, width)
    return max(side, round(height * side / short)), max(side, round(width * side / short))


def _central(height: int, width: int) -> Box:
    top, left = (int(side * (1 - CENTRAL) / 2) for side in (height, width))
    return Box(top, left, height - 2 * top, width - 2 * left)


def _areas(whole: Box, squares: int) -> list[Box]:
    """The whole image, its central square, or the first, central and last square along its longer side."""
    if not squares:
        return [whole]
    side = min(whole.height, whole.width)
    down, along = whole.height - side, whole.width - side
    steps = [(1, 2)] if squares == 1 else [(k, squares - 1) for k in range(squares)]
    return [Box(down * k // last, along * k // last, side, side) for k, last in steps]


def _windows(area: Box, size: int, windows: Windows) -> list[Box]:
    down, along = area.height - size, area.width - size
    centre = (down // 2, along // 2)
    if windows == "centre":
        places = [centre]
    elif windows == "grid":
        steps = range(GRID)
        places = [(down * i // (GRID - 1), along * k // (GRID - 1)) for i, k in product(steps, steps)]
    else:
        places = [*product((0, down), (0, along)), centre]
    return [Box(area.top + top, area.left + left, size, size) for top, left in places]
