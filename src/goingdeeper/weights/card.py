"""The model card: README.md of a model that is given to the Hub, written from its config.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DATA = {"ImageNet": "imagenet-1k", "CIFAR-10": "cifar10"}
"""Sets of images that the Hub has under a name of its own."""


def card(config: Mapping[str, Any], repository: str, licence: str = "") -> str:
    """Front matter as the Hub reads it, then for people: scores with protocol, n and interval, data, licence.

    config: a model's config.json. licence: an identifier; what the provenance says, else unknown.
    """
    from huggingface_hub import EvalResult, ModelCardData

    provenance = config.get("provenance", {})
    scores, data = config.get("scores") or {}, str(provenance.get("data", "images"))
    licence = licence or str(provenance.get("licence") or "unknown")
    identifier = licence.lower()
    named = identifier if re.fullmatch("[a-z0-9][a-z0-9.-]*", identifier) else "other"
    results = []
    if scores:
        protocol = f"{scores['protocol']}, n = {scores['images']}"
        for metric, error in (("accuracy", "top1_error"), ("top-5 accuracy", "top5_error")):
            if scores.get(error) is not None:
                results.append(
                    EvalResult(
                        task_type="image-classification", dataset_type=DATA.get(data, "imagefolder"),
                        dataset_name=data, metric_type="accuracy", metric_value=round(100 - scores[error], 4),
                        metric_name=f"{metric} ({protocol})",
                    )
                )  # fmt: skip
    front = ModelCardData(
        license=named,
        license_name=None if named != "other" else re.sub("[^a-z0-9]+", "-", identifier).strip("-"),
        library_name="goingdeeper",
        pipeline_tag="image-classification",
        tags=["image-classification", str(config["network"])],
        datasets=[DATA[data]] if data in DATA else None,
        model_name=repository.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )
    return f"---\n{front.to_yaml()}\n---\n\n{_text(config, repository, data, licence)}"


def _text(config: Mapping[str, Any], repository: str, data: str, licence: str) -> str:
    provenance, scores, classes = config.get("provenance", {}), config.get("scores") or {}, config["classes"]
    lines = [f"# {config['network']} on {data}", ""]
    if scores:
        low, high = scores["interval_95"]
        lines += [
            "| top-1 error | 95 % interval | images | protocol |",
            "| ---: | ---: | ---: | --- |",
            f"| {scores['top1_error']:.2f} % | {low:.2f} to {high:.2f} % | {scores['images']} "
            f"| {scores['protocol']} |",
            "",
        ]
    else:
        lines += ["No score of these weights was measured by whoever gave them here.", ""]
    if published := provenance.get("published"):
        lines += [f"Published elsewhere, not measured here: {published}.", ""]
    lines += [
        f"{len(classes)} classes: {', '.join(classes[:20])}{', ...' if len(classes) > 20 else ''}",
        "",
        f"Trained on: {data}. Licence: {licence}.",
    ]
    if source := provenance.get("source"):
        lines += [f"Imported from `{source}` ({provenance.get('library')}), sha256 `{provenance['sha256']}`."]
    if recipe := provenance.get("recipe"):
        lines += [f"Recipe `{recipe}`, goingdeeper {provenance.get('goingdeeper')}."]
    return "\n".join([
        *lines,
        "",
        "```python",
        "import goingdeeper as gd",
        "",
        f'gd.load("hf:{repository}").predict(["image.jpg"])',
        "```",
        "",
        "`config.json` holds the network's description, the class names, the preprocessing and a golden",
        "image's logits, which whoever loads the model computes again.",
        "",
    ])  # fmt: skip
