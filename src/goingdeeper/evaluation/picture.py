"""A picture of the views that a protocol takes of an image."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from goingdeeper.data.decode import Pixels
from goingdeeper.evaluation.protocols import Protocol, View, plan

COLOURS = ("#e6550d", "#3182bd", "#31a354", "#756bb1", "#111111", "#d62728")
PANEL, GAP, LINE = 280, 16, 20
"""Pixels: the longer side of a panel, the space between two, and a line of text."""


def picture(pixels: Pixels, protocol: Protocol, size: int, shorter: int | None = None) -> Image.Image:
    """A row of panels for each size that the image is resized to, a panel for each square, with its views.

    size, shorter: as `plan` takes them.
    """
    height, width = pixels.shape[:2]
    planned = plan(protocol, height, width, size, shorter)
    rows: dict[str, dict[int, list[View]]] = {}
    for view in planned.views:
        sheet = planned.sheets[view.sheet]
        rows.setdefault(f"{sheet.width}x{sheet.height}", {}).setdefault(view.square, []).append(view)
    scale = PANEL / max(height, width)
    small = Image.fromarray(pixels).resize((max(1, round(width * scale)), max(1, round(height * scale))))
    small = Image.blend(small.convert("RGB"), Image.new("RGB", small.size, "white"), 0.4)
    count = sum(view.times for view in planned.views) * (1 + protocol.mirror)
    words = f"{protocol.name}: {count} views{' with mirror images' if protocol.mirror else ''}"
    words += f", whole, by a network for {size}x{size}" if protocol.dense else f" of {size}x{size}"
    font = ImageFont.load_default(13)
    across = max(len(panels) for panels in rows.values())
    wide = max(across * (small.width + GAP), round(font.getlength(words)) + GAP)
    page = Image.new("RGB", (GAP + wide, GAP + LINE + len(rows) * (small.height + GAP + LINE)), "white")
    draw = ImageDraw.Draw(page)
    draw.text((GAP, GAP // 2), words, "black", font)
    for down, (name, panels) in enumerate(rows.items()):
        top = GAP + LINE + down * (small.height + GAP + LINE)
        draw.text((GAP, top), f"resized to {name}", "black", font)
        for along, views in enumerate(panels.values()):
            panel = small.copy()
            pen = ImageDraw.Draw(panel)
            for number, view in enumerate(views):
                made = planned.sheets[view.sheet]
                box = made.box if made.side else view.box  # made small as a whole, or cut
                by = (small.width / made.width, small.height / made.height)
                left, upper = box.left * by[0], box.top * by[1]
                right, lower = left + box.width * by[0] - 1, upper + box.height * by[1] - 1
                pen.rectangle((left, upper, right, lower), outline=COLOURS[number % len(COLOURS)], width=2)
            page.paste(panel, (GAP + along * (small.width + GAP), top + LINE))
    return page
