"""Damages files and decodes them, in a process of its own, since a decoder may take its process down.

damage.py BATCH CASES FILE: so many files of the batch, each written to FILE before it is decoded. Prints the
tally as JSON.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from golden import GOLDEN
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from goingdeeper.data.decode import decode, png
from goingdeeper.errors import DataError

NAME = "photos/cat/017.jpg"
LONGEST = 2.0
FORMATS = ("jpeg", "png", "gif", "webp", "bmp", "tiff", "pnm")
# A picture that no other one looks like: what is left of it in memory would show.
POISON = png(np.full((64, 64, 3), (255, 0, 254), np.uint8))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    import io

    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def seeds() -> dict[str, list[bytes]]:
    """By format; those put together by hand, and compressed ones."""
    found: dict[str, list[bytes]] = {name: [] for name in FORMATS}
    for name, golden in GOLDEN.items():
        found[name.partition(":")[0]].append(golden.content)
    noise = np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)
    image = Image.fromarray(noise)
    smooth = Image.fromarray(np.linspace(0, 255, 40 * 56 * 3).astype(np.uint8).reshape(40, 56, 3))
    for quality in (30, 95):
        found["jpeg"] += [saved(image, "JPEG", quality=quality), saved(smooth, "JPEG", progressive=True)]
        found["webp"] += [saved(image, "WEBP", quality=quality), saved(smooth, "WEBP", lossless=True)]
    found["jpeg"].append(saved(image, "JPEG", subsampling=2, restart_marker_blocks=1))
    found["gif"].append(saved(smooth.quantize(64), "GIF", save_all=True, append_images=[image.quantize(64)]))
    found["png"] += [saved(smooth, "PNG"), saved(image.quantize(200), "PNG")]
    for how in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        found["tiff"].append(saved(image, "TIFF", compression=how))
    found["bmp"].append(saved(smooth.quantize(16), "BMP"))
    return found


SEEDS = seeds()
WHOLE = {content: decode(content) for contents in SEEDS.values() for content in contents}

place = st.integers(0, 10_000) | st.integers(0, 1_000)
change = st.one_of(
    st.tuples(st.just("set"), place, st.integers(0, 255)),
    st.tuples(st.just("flip"), place, st.integers(0, 7)),
    st.tuples(st.just("cut"), place, st.just(0)),
    st.tuples(st.just("drop"), place, st.integers(1, 40)),
    st.tuples(st.just("double"), place, st.integers(1, 40)),
    st.tuples(st.just("zero"), place, st.integers(1, 40)),
    st.tuples(st.just("largest"), place, st.integers(1, 4)),
)


def damaged(content: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    made = bytearray(content)
    for kind, where, number in changes:
        at = min(max(len(made) - 1, 0), where * len(made) // 10_000)
        match kind:
            case "cut":
                del made[at:]
            case "drop":
                del made[at : at + number]
            case "double":
                made[at:at] = made[at : at + number]
            case "zero" | "largest":
                made[at : at + number] = (b"\0" if kind == "zero" else b"\xff") * len(made[at : at + number])
            case _ if made:
                made[at] = number if kind == "set" else made[at] ^ 1 << number
    return bytes(made)


def outcome(content: bytes) -> np.ndarray | str:
    try:
        found = decode(content, NAME)
    except DataError as problem:
        text = str(problem)
        assert text.startswith(f"{NAME} "), text
        assert "\n" not in text, text
        return text
    assert found.dtype == np.uint8, found.dtype
    assert found.ndim == 3 and found.shape[2] == 3 and found.size, found.shape
    return found


def main(batch: int, cases: int, file: Path) -> None:
    faulthandler.enable()
    tally = {"cases": 0, "read": 0, "refused": 0, "longest": 0.0, "seconds": 0.0}
    by_format = dict.fromkeys(FORMATS, 0)

    @seed(batch)
    @settings(
        max_examples=cases, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.sampled_from(FORMATS), st.integers(0, 10**6), st.lists(change, min_size=1, max_size=3))
    def each(kind: str, which: int, changes: list[tuple[str, int, int]]) -> None:
        whole = SEEDS[kind][which % len(SEEDS[kind])]
        content = damaged(whole, changes)
        file.write_bytes(content)
        began = time.process_time()  # other processes may want the processors, too
        found = outcome(content)
        seconds = time.process_time() - began
        assert seconds < LONGEST, f"{seconds:.1f} s"
        tally["cases"] += 1
        tally["longest"] = max(tally["longest"], seconds)
        tally["read" if isinstance(found, np.ndarray) else "refused"] += 1
        by_format[kind] += 1
        if isinstance(found, np.ndarray):
            decode(POISON)
            assert np.array_equal(found, outcome(content)), "not the same a second time"
            text = whole[:2] in (b"P1", b"P2", b"P3")  # the last number may lose a digit
            if kind == "png" or (not text and all(how == "cut" for how, _, _ in changes)):
                # Chunks have checksums; of a file that was cut short only the end may be missing.
                assert np.array_equal(found, WHOLE[whole]), "another image"

    began = time.perf_counter()
    each()
    tally["seconds"] = time.perf_counter() - began
    print(json.dumps({**tally, "by_format": by_format}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
