"""Files of every mode and orientation, with the pixels that a person sees in them, worked out with numpy.

All pictures are 16 high and 24 wide, or so once they are turned.
"""

from __future__ import annotations

from dataclasses import dataclass

import by_hand as hand
import numpy as np

HEIGHT, WIDTH = 16, 24
random = np.random.default_rng(5)


@dataclass(frozen=True)
class Golden:
    """tolerance: levels that rounding may cost, where a format's definition leaves that open."""

    content: bytes
    pixels: np.ndarray
    suffix: str
    tolerance: int = 0


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)


def on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = (alpha / 255)[..., None]
    return np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8)


def bits(count: int, *channels: int) -> np.ndarray:
    return random.integers(0, 2**count, (HEIGHT, WIDTH, *channels), np.int64)


def blocks(*shape: int) -> np.ndarray:
    """Levels for 2x3 blocks of 8x8."""
    return random.integers(0, 256, (HEIGHT // 8, WIDTH // 8, *shape), np.int64)


def blown_up(levels: np.ndarray) -> np.ndarray:
    return levels.repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)


def ycc(pixels: np.ndarray) -> np.ndarray:
    """JFIF 1.02: RGB to YCbCr."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    return np.clip(np.rint(pixels @ matrix.T + [0, 128, 128]), 0, 255).astype(np.int64)


def printed(inks: np.ndarray) -> np.ndarray:
    """What is left of white after each ink, and black over all of them. Inks from 0 to 255."""
    left = 1 - inks / 255
    return np.rint(255 * left[..., :3] * left[..., 3:]).astype(np.uint8)


SCENE = bits(8, 3).astype(np.uint8)
GREY, WIDE = bits(8), 257 * bits(8)
WIDE_COLOUR = 257 * bits(8, 3)
ALPHA = bits(8)
ALPHA[:4], ALPHA[4:8] = 255, 0
COLOURS = random.integers(0, 256, (100, 3), np.int64)
PLTE = hand.chunk(b"PLTE", COLOURS.astype(np.uint8).tobytes())
FRAMES = [SCENE, 255 - SCENE, np.zeros_like(SCENE)]

# How the stored rows and columns are to be shown: EXIF 2.32, table 6, where the 0th row and column are.
TURNED = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: np.rot90(stored, 2),
    4: lambda stored: stored[::-1],
    5: lambda stored: np.rot90(stored[:, ::-1], 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored[:, ::-1], -1),
    8: lambda stored: np.rot90(stored, 1),
}


def pngs() -> dict[str, Golden]:
    found = {}
    for count in (1, 2, 4, 8):
        grey, most = bits(count), 2**count - 1
        for interlaced in (False, True):
            name = f"grey of {count} bits{', interlaced' * interlaced}"
            found[name] = hand.png(grey, count, hand.GREY, interlaced=interlaced), rgb(grey * 255 // most)
        clear = hand.chunk(b"tRNS", bytes([0, grey[0, 0]]))
        seen = np.where(grey == grey[0, 0], 255, grey * 255 // most)
        found[f"grey of {count} bits, one of them clear"] = hand.png(grey, count, hand.GREY, clear), rgb(seen)
        indices, palette = bits(count) % len(COLOURS), COLOURS.astype(np.uint8)
        table = hand.chunk(b"PLTE", palette[: 2**count].tobytes())
        found[f"palette of {count} bits"] = hand.png(indices, count, hand.PALETTE, table), palette[indices]
        alphas = random.integers(0, 256, 2**count, np.int64)[: len(COLOURS)]
        alphas[:2] = 0, 255
        table += hand.chunk(b"tRNS", bytes(alphas.tolist()))
        seen = on_white(palette[indices], alphas[indices])
        found[f"palette of {count} bits with alphas"] = hand.png(indices, count, hand.PALETTE, table), seen, 1
    found["palette, the first alphas only"] = (
        hand.png(indices, 8, hand.PALETTE, PLTE + hand.chunk(b"tRNS", b"\0\x80")),
        on_white(palette[indices], np.choose(np.minimum(indices, 2), [0, 128, 255])), 1,
    )  # fmt: skip
    found["grey of 16 bits"] = hand.png(WIDE, 16, hand.GREY), rgb(WIDE // 257)
    found["grey of 16 bits, interlaced"] = hand.png(WIDE, 16, hand.GREY, interlaced=True), rgb(WIDE // 257)
    clear = hand.chunk(b"tRNS", int(WIDE[3, 5]).to_bytes(2, "big"))
    seen = np.where(WIDE[3, 5] == WIDE, 255, WIDE // 257)
    found["grey of 16 bits, one of them clear"] = hand.png(WIDE, 16, hand.GREY, clear), rgb(seen)
    fine = bits(16)
    seen = np.rint(fine / 257)
    found["grey of 16 bits between those of 8"] = hand.png(fine, 16, hand.GREY), rgb(seen), 1
    both = np.dstack([GREY, ALPHA])
    found["grey with alpha"] = hand.png(both, 8, hand.GREY_ALPHA), on_white(rgb(GREY), ALPHA), 1
    both = np.dstack([WIDE, 257 * ALPHA])
    found["grey of 16 bits with alpha"] = (
        hand.png(both, 16, hand.GREY_ALPHA), on_white(rgb(WIDE // 257), ALPHA), 1,
    )  # fmt: skip
    found["colour"] = hand.png(SCENE, 8, hand.RGB), SCENE
    found["colour, interlaced"] = hand.png(SCENE, 8, hand.RGB, interlaced=True), SCENE
    clear = hand.chunk(b"tRNS", SCENE[0, 0].astype(">u2").tobytes())
    seen = np.where((SCENE[0, 0] == SCENE).all(2, keepdims=True), 255, SCENE)
    found["colour, one of them clear"] = hand.png(SCENE, 8, hand.RGB, clear), seen
    found["colour of 16 bits"] = hand.png(WIDE_COLOUR, 16, hand.RGB), WIDE_COLOUR // 257
    fine = bits(16, 3)
    found["colour of 16 bits between those of 8"] = hand.png(fine, 16, hand.RGB), np.rint(fine / 257), 1
    clear = hand.chunk(b"tRNS", WIDE_COLOUR[0, 0].astype(">u2").tobytes())
    seen = np.where((WIDE_COLOUR[0, 0] == WIDE_COLOUR).all(2, keepdims=True), 255, WIDE_COLOUR // 257)
    found["colour of 16 bits, one of them clear"] = hand.png(WIDE_COLOUR, 16, hand.RGB, clear), seen
    four = np.dstack([SCENE, ALPHA])
    seen = on_white(SCENE, ALPHA)
    found["colour with alpha"] = hand.png(four, 8, hand.RGBA), seen, 1
    found["colour with alpha, interlaced"] = hand.png(four, 8, hand.RGBA, interlaced=True), seen, 1
    found["colour of 16 bits with alpha"] = hand.png(257 * four.astype(np.int64), 16, hand.RGBA), seen, 1
    found["animated"] = hand.apng(FRAMES), SCENE
    found["animated, with an image of its own"] = hand.apng(FRAMES, separate=True), SCENE
    one = np.array([[[9, 8, 7]]])
    found["1x1"] = hand.png(one, 8, hand.RGB), one
    return {f"png: {name}": Golden(made[0], made[1], ".png", *made[2:]) for name, made in found.items()}


def jpegs() -> dict[str, Golden]:
    found = {}
    grey, colour, inks = blocks(1), blocks(3), blocks(4)
    inks[0, 0], inks[0, 1], inks[0, 2] = (255, 0, 0, 0), (0, 0, 0, 255), (0, 0, 0, 0)
    stored = 255 - inks  # no ink is 255, as Photoshop has it, and all programs after it
    as_ycc = np.dstack([ycc(inks[..., :3]), stored[..., 3]])  # Adobe's technical note 5116: R = 255 - C
    for progressive in (False, True):
        for name, levels, extra, seen, tolerance in (
            ("grey", grey, hand.JFIF, np.repeat(grey, 3, axis=2), 0),
            ("colour", ycc(colour), hand.JFIF, colour, 2),
            ("colour, Adobe's", ycc(colour), hand.adobe(1), colour, 2),
            ("colour as it is", colour, hand.adobe(0), colour, 0),
            ("inks", stored, hand.adobe(0), printed(inks), 1),
            ("inks without a mark", stored, b"", printed(inks), 1),
            ("inks as luminance and chrominance", as_ycc, hand.adobe(2), printed(inks), 3),
        ):
            made = Golden(hand.jpeg(levels, extra, progressive), blown_up(seen), ".jpg", tolerance)
            found[f"jpeg: {name}{', progressive' * progressive}"] = made
    return found


def gifs() -> dict[str, Golden]:
    indices, palette = bits(6), COLOURS[:64].astype(np.uint8)
    seen = palette[indices]
    clear = np.where((indices == 7)[..., None], 255, seen)
    head = hand.gif_head(WIDTH, HEIGHT, palette)
    frames = b"".join(hand.gif_control() + hand.gif_frame((indices + step) % 64) for step in range(3))
    # A first frame that leaves the rest of the canvas as it was, that is clear.
    part = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    part[4:12, 6:20] = seen[:8, :14]
    corner = hand.gif_control(63) + hand.gif_frame(np.minimum(indices[:8, :14], 62), 6, 4)
    part[4:12, 6:20] = palette[np.minimum(indices[:8, :14], 62)]
    found = {
        "plain": (hand.gif(indices, palette), seen),
        "interlaced": (hand.gif(indices, palette, interlaced=True), seen),
        "one colour clear": (hand.gif(indices, palette, 7), clear),
        "animated": (head + frames + b";", seen),
        "a first frame in a part": (head + corner + b";", part),
    }
    return {f"gif: {name}": Golden(*made, ".gif") for name, made in found.items()}


def bmps() -> dict[str, Golden]:
    one, four, eight, five = bits(1), bits(4), bits(8) % len(COLOURS), bits(5, 3)
    palette = COLOURS.astype(np.uint8)
    greys = rgb(np.arange(256)[None])[0]
    found = {
        "colour": (hand.bmp(SCENE, 24), SCENE, 0),
        "colour from the top": (hand.bmp(SCENE, 24, upside_down=False), SCENE, 0),
        "colour and a byte": (hand.bmp(SCENE, 32), SCENE, 0),
        "colour of 5 bits": (hand.bmp(five, 16), np.rint(five * 255 / 31).astype(np.uint8), 1),
        "palette of 1 bit": (hand.bmp(one, 1, palette[:2]), palette[one], 0),
        "palette of 4 bits": (hand.bmp(four, 4, palette[:16]), palette[four], 0),
        "palette of 8 bits": (hand.bmp(eight, 8, palette), palette[eight], 0),
        "grey": (hand.bmp(GREY, 8, greys), rgb(GREY), 0),
    }
    return {f"bmp: {name}": Golden(made[0], made[1], ".bmp", made[2]) for name, made in found.items()}


def tiffs() -> dict[str, Golden]:
    found: dict[str, tuple[bytes, np.ndarray, int]] = {}
    one, eight, inks = bits(1), bits(8) % len(COLOURS), bits(8, 4)
    table = np.zeros((3, 256), np.int64)
    table[:, : len(COLOURS)] = 257 * COLOURS.T
    for order, name in (("<", "little"), (">", "big")):
        found |= {
            f"grey, {name} end first": (hand.tiff(GREY, 8, 1, order), rgb(GREY), 0),
            f"grey, white is 0, {name} end first": (hand.tiff(GREY, 8, 0, order), rgb(255 - GREY), 0),
            f"grey of 16 bits, {name} end first": (hand.tiff(WIDE, 16, 1, order), rgb(WIDE // 257), 0),
            f"colour, {name} end first": (hand.tiff(SCENE, 8, 2, order), SCENE, 0),
            f"colour of 16 bits, {name} end first": (
                hand.tiff(WIDE_COLOUR, 16, 2, order), WIDE_COLOUR // 257, 0,
            ),
        }  # fmt: skip
    four = np.dstack([SCENE, ALPHA])
    found |= {
        "1 bit": (hand.tiff(one, 1, 1), rgb(255 * one), 0),
        "1 bit, white is 0": (hand.tiff(one, 1, 0), rgb(255 - 255 * one), 0),
        "grey of 16 bits, white is 0": (hand.tiff(WIDE, 16, 0), rgb(255 - WIDE // 257), 0),
        "palette": (
            hand.tiff(eight, 8, 3, more={320: (hand.SHORT, table.reshape(-1).tolist())}),
            COLOURS[eight].astype(np.uint8), 0,
        ),
        "inks": (hand.tiff(inks, 8, 5), printed(inks), 1),
        "colour with alpha": (
            hand.tiff(four, 8, 2, more={338: (hand.SHORT, [2])}), on_white(SCENE, ALPHA), 1,
        ),
        "several pages": (hand.tiff(SCENE, 8, 2, pages=5), SCENE, 0),
    }  # fmt: skip
    return {f"tiff: {name}": Golden(made[0], made[1], ".tif", made[2]) for name, made in found.items()}


def webps() -> dict[str, Golden]:
    opaque, four = np.dstack([SCENE, np.full_like(GREY, 255)]), np.dstack([SCENE, ALPHA])
    frames = [hand.anmf(np.dstack([frame, np.full_like(GREY, 255)])) for frame in FRAMES]
    found = {
        "colour": (hand.webp(hand.riff(b"VP8L", hand.vp8l(opaque))), SCENE, 0),
        "colour with alpha": (
            hand.webp(hand.vp8x(WIDTH, HEIGHT, alpha=True), hand.riff(b"VP8L", hand.vp8l(four))),
            on_white(SCENE, ALPHA), 1,
        ),
        "animated": (
            hand.webp(hand.vp8x(WIDTH, HEIGHT, alpha=True, animated=True), hand.ANIM, *frames), SCENE, 0,
        ),
    }  # fmt: skip
    return {f"webp: {name}": Golden(made[0], made[1], ".webp", made[2]) for name, made in found.items()}


def pnms() -> dict[str, Golden]:
    one, thousand = bits(1), random.integers(0, 1001, (HEIGHT, WIDTH), np.int64)
    found = {
        "bits in text": (hand.pnm(1, one), rgb(255 - 255 * one), 0),
        "bits": (hand.pnm(4, one), rgb(255 - 255 * one), 0),
        "grey in text": (hand.pnm(2, GREY, 255), rgb(GREY), 0),
        "grey": (hand.pnm(5, GREY, 255), rgb(GREY), 0),
        "grey of 16 bits": (hand.pnm(5, WIDE, 65535), rgb(WIDE // 257), 0),
        "grey up to 1,000": (hand.pnm(5, thousand, 1000), rgb(np.rint(thousand * 255 / 1000)), 1),
        "grey in text up to 1,000": (hand.pnm(2, thousand, 1000), rgb(np.rint(thousand * 255 / 1000)), 1),
        "colour in text": (hand.pnm(3, SCENE, 255), SCENE, 0),
        "colour": (hand.pnm(6, SCENE, 255), SCENE, 0),
        "colour of 16 bits": (hand.pnm(6, WIDE_COLOUR, 65535), WIDE_COLOUR // 257, 0),
    }
    return {f"pnm: {name}": Golden(made[0], made[1], ".pnm", made[2]) for name, made in found.items()}


def turned() -> dict[str, Golden]:
    """Each orientation in each format that has one."""
    found = {}
    grey = blocks(1)
    opaque = np.dstack([SCENE, np.full_like(GREY, 255)])
    for number, turn in TURNED.items():
        for order, kind in (("<", hand.SHORT), (">", hand.SHORT), ("<", hand.LONG)):
            tags = hand.exif(number, order, kind)
            shown = blown_up(turn(np.repeat(grey, 3, axis=2)))
            name = f"orientation {number} in {'long' * (kind == hand.LONG)}{order}"
            found[f"jpeg: {name}"] = Golden(hand.jpeg(grey, hand.exif_segment(tags)), shown, ".jpg")
        found[f"jpeg: orientation {number} of inks"] = Golden(
            hand.jpeg(255 - blocks(4) // 256, hand.adobe(0) + hand.exif_segment(hand.exif(number))),
            np.full((24, 16, 3) if number > 4 else (16, 24, 3), 255, np.uint8), ".jpg",
        )  # fmt: skip
        tags = hand.exif(number)
        found[f"png: orientation {number}"] = Golden(
            hand.png(SCENE, 8, hand.RGB, hand.chunk(b"eXIf", tags)), turn(SCENE), ".png"
        )
        found[f"png: orientation {number} of 16 bits"] = Golden(
            hand.png(WIDE, 16, hand.GREY, hand.chunk(b"eXIf", tags)), turn(rgb(WIDE // 257)), ".png"
        )
        found[f"png: orientation {number} with alpha"] = Golden(
            hand.png(np.dstack([SCENE, ALPHA]), 8, hand.RGBA, hand.chunk(b"eXIf", tags)),
            turn(on_white(SCENE, ALPHA)), ".png", 1,
        )  # fmt: skip
        found[f"webp: orientation {number}"] = Golden(
            hand.webp(
                hand.vp8x(WIDTH, HEIGHT, exif=True), hand.riff(b"VP8L", hand.vp8l(opaque)),
                hand.riff(b"EXIF", tags),
            ),
            turn(SCENE), ".webp",
        )  # fmt: skip
        for order in "<>":
            made = hand.tiff(SCENE, 8, 2, order, {274: (hand.SHORT, [number])})
            found[f"tiff: orientation {number}, {order}"] = Golden(made, turn(SCENE), ".tif")
    return found


GOLDEN = pngs() | jpegs() | gifs() | bmps() | tiffs() | webps() | pnms() | turned()
