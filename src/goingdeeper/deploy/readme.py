"""README.md of an exported folder: what it is, and how to run it with nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goingdeeper.runtimes.known import RUNTIMES


def readme(config: Mapping[str, Any]) -> str:
    """Markdown with a program for the runtime, NumPy and Pillow."""
    size = config["preprocessing"]["size"]
    shorter = config["preprocessing"].get("shorter") or size
    scores = config.get("scores") or {}
    runtime, int8 = RUNTIMES[config["runtime"]], config["precision"] == "int8"
    lines = [f"# {config['network']}, {len(config['classes'])} classes, {runtime.name}{', int8' * int8}", ""]
    if scores:
        low, high = scores["interval_95"]
        lines += [
            f"Validation error {scores['top1_error']:.2f} % (95 %: {low:.2f} to {high:.2f}, "
            f"n = {scores['images']}, {scores['protocol']}) before the export; "
            f"{'in fp32 ' * int8}its logits differ by {config['parity']['relative']:.0e} of the largest "
            "at most.",
            "",
        ]
    if int8:
        lines += [*_measured(config), ""]
    imports, opening, answer = PARTS[config["runtime"]]
    program = PROGRAM.format(size=size, shorter=shorter, imports=imports, opening=opening, answer=answer)
    lines += [
        f"`pip install {runtime.package} numpy pillow`, save this here as `{SCRIPT}`, and in this folder run",
        f"`python {SCRIPT} IMAGE`:",
        "",
        "```python",
        *program.splitlines(),
        "```",
        "",
    ]
    if "torch" in config:
        lines += [
            f"Compiled for the processor it was made on, and for PyTorch {config['torch']}.",
            "",
        ]
    lines += [
        "`golden.png` has the size of the input, and `config.json` its logits, the class names and what",
        f"comes before the network: {config['preprocessing']['resize']}; {config['preprocessing']['crop']}.",
    ]
    return "\n".join(lines) + "\n"


def _measured(config: Mapping[str, Any]) -> list[str]:
    """What int8 costs."""
    gate, calibration = config["gate"], config["calibration"]
    low, high = gate["interval_95"]
    lines = [
        f"On {gate['images']} validation images it errs on {gate['after']:.2f} % in int8, and on "
        f"{gate['before']:.2f} % in fp32: {gate['difference']:+.2f} points "
        f"(95 %: {low:+.2f} to {high:+.2f}), of {gate['limit']:g} that were allowed. Calibrated on "
        f"{calibration['images']} images: {calibration['from']}, {calibration['choice']}.",
    ]
    if config["excluded"]:
        lines += ["", f"In fp32 still, as they lost most: {', '.join(config['excluded'])}."]
    return lines


SCRIPT = "answer.py"

PARTS = {
    "onnxruntime": (
        'import json, os, sys\nos.environ["ORT_DISABLE_TELEMETRY"] = "1"\nimport numpy as np, onnxruntime',
        'session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])',
        '(logits,) = session.run(["logits"], {"images": pixels})[0]',
    ),
    "openvino": (
        "import json, sys\nimport numpy as np, openvino",
        'model = openvino.Core().compile_model("model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})',
        "(logits,) = model(pixels)[0]",
    ),
    "torch": (
        "import json, sys\nimport numpy as np, torch",
        'model = torch._inductor.aoti_load_package("model.pt2")',
        "(logits,) = model(torch.tensor(pixels)).numpy()",
    ),
}
"""What a program imports, how it opens the model, and how it asks it."""

PROGRAM = """\
{imports}
from PIL import Image, ImageOps

config = json.load(open("config.json", encoding="utf-8"))
{opening}
image = ImageOps.exif_transpose(Image.open(sys.argv[1]))
if image.mode[0] == "I":  # greys of 16 bits
    image = Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
sides = [max({shorter}, round(side * {shorter} / min(image.size))) for side in image.size]
left, top = [(side - {size}) // 2 for side in sides]
image = image.resize(sides, Image.Resampling.BILINEAR).crop((left, top, left + {size}, top + {size}))
pixels = np.asarray(image)[None]
{answer}
odds = np.exp(logits - logits.max())
for number in np.argsort(-odds)[:3]:
    print(config["classes"][number], f"{{odds[number] / odds.sum():.2%}}")
"""
