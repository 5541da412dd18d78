"""README.md of an exported folder: what it is, and how to run it with nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}
NAMES = {"onnx": "ONNX", "openvino": "OpenVINO", "torch": "PyTorch"}


def readme(config: Mapping[str, Any]) -> str:
    """Markdown with a program of ten lines for the runtime, NumPy and Pillow."""
    size = config["preprocessing"]["size"]
    shorter = config["preprocessing"].get("shorter") or size
    scores = config.get("scores") or {}
    made = config["format"]
    lines = [f"# {config['network']}, {len(config['classes'])} classes, {NAMES[made]}", ""]
    if scores:
        low, high = scores["interval_95"]
        lines += [
            f"Validation error {scores['top1_error']:.2f} % (95 %: {low:.2f} to {high:.2f}, "
            f"n = {scores['images']}, {scores['protocol']}) before the export; its logits differ by "
            f"{config['parity']['relative']:.0e} of the largest at most.",
            "",
        ]
    imports, opening, answer = RUNTIMES[made]
    program = PROGRAM.format(size=size, shorter=shorter, imports=imports, opening=opening, answer=answer)
    lines += [
        f"`pip install {PACKAGES[made]} numpy pillow`, then:",
        "",
        "```python",
        *program.splitlines(),
        "```",
        "",
    ]
    if made == "torch":
        lines += [
            f"Compiled for the processor it was made on, and for PyTorch {config['torch']}.",
            "",
        ]
    lines += [
        "`golden.png` has the size of the input, and `config.json` its logits, the class names and what",
        f"comes before the network: {config['preprocessing']['resize']}; {config['preprocessing']['crop']}.",
    ]
    return "\n".join(lines) + "\n"


RUNTIMES = {
    "onnx": (
        "import numpy as np, onnxruntime",
        'session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])',
        '(logits,) = session.run(["logits"], {"images": pixels})[0]',
    ),
    "openvino": (
        "import numpy as np, openvino",
        'model = openvino.Core().compile_model("model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})',
        "(logits,) = model(pixels)[0]",
    ),
    "torch": (
        "import numpy as np, torch",
        'model = torch._inductor.aoti_load_package("model.pt2")',
        "(logits,) = model(torch.tensor(pixels)).numpy()",
    ),
}
"""What a program imports, how it opens the model, and how it asks it."""

PROGRAM = """\
import json, sys
{imports}
from PIL import Image, ImageOps

config = json.load(open("config.json", encoding="utf-8"))
{opening}
image = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
sides = [max({shorter}, round({shorter} / min(image.size) * side)) for side in image.size]
left, top = [(side - {size}) // 2 for side in sides]
image = image.resize(sides, Image.Resampling.BILINEAR).crop((left, top, left + {size}, top + {size}))
pixels = np.asarray(image)[None]
{answer}
odds = np.exp(logits - logits.max())
for number in np.argsort(-odds)[:3]:
    print(config["classes"][number], f"{{odds[number] / odds.sum():.2%}}")
"""
