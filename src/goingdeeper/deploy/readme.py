"""README.md of an exported folder: what it is, and how to run it with nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def readme(config: Mapping[str, Any]) -> str:
    """Markdown with a program of ten lines for ONNX Runtime, NumPy and Pillow."""
    size = config["preprocessing"]["size"]
    shorter = config["preprocessing"].get("shorter") or size
    scores = config.get("scores") or {}
    lines = [f"# {config['network']}, {len(config['classes'])} classes, ONNX", ""]
    if scores:
        low, high = scores["interval_95"]
        lines += [
            f"Validation error {scores['top1_error']:.2f} % (95 %: {low:.2f} to {high:.2f}, "
            f"n = {scores['images']}, {scores['protocol']}) before the export; its logits differ by "
            f"{config['parity']['relative']:.0e} of the largest at most.",
            "",
        ]
    program = PROGRAM.format(size=size, shorter=shorter)
    lines += [
        "`pip install onnxruntime numpy pillow`, then:",
        "",
        "```python",
        *program.splitlines(),
        "```",
        "",
    ]
    lines += [
        "`golden.png` has the size of the input, and `config.json` its logits, the class names and what",
        f"comes before the network: {config['preprocessing']['resize']}; {config['preprocessing']['crop']}.",
    ]
    return "\n".join(lines) + "\n"


PROGRAM = """\
import json, sys
import numpy as np, onnxruntime
from PIL import Image, ImageOps

config = json.load(open("config.json", encoding="utf-8"))
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
image = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
sides = [max({shorter}, round({shorter} / min(image.size) * side)) for side in image.size]
left, top = [(side - {size}) // 2 for side in sides]
image = image.resize(sides, Image.Resampling.BILINEAR).crop((left, top, left + {size}, top + {size}))
(logits,) = session.run(["logits"], {{"images": np.asarray(image)[None]}})[0]
odds = np.exp(logits - logits.max())
for number in np.argsort(-odds)[:3]:
    print(config["classes"][number], f"{{odds[number] / odds.sum():.2%}}")
"""
