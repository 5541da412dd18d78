"""Whether weights from other images help: fine-tuned on a few images a class, against from scratch.

    python benchmarks/transfer.py SIGNS --weights RUN          # a run on CIFAR-10, or a model folder
    python benchmarks/transfer.py SIGNS --pretrain CIFAR10     # trains that run first, for 10 epochs

Of each class of SIGNS, a folder of class folders, every third image is for development: there each way tries
the same number of rates, and keeps the one of the lowest error. Then every seed draws images from the rest:
both ways train on the same ones with the same network, size, batch and epochs, choose their best epoch on a
fifth of them, and are tested on all that were not drawn. Prints the errors with the difference of each pair,
and its 95 % interval by Student's t; writes a JSON document. What is finished in --out is not done again.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import random
import statistics
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import t

import goingdeeper as gd
from goingdeeper.data.sources import open_source

TIMES = (0.25, 1.0, 4.0)
"""Rates that each way tries unless told otherwise, as multiples of its recipe's own."""

WAYS = ("scratch", "finetune")


@dataclass(frozen=True)
class Conditions:
    signs: Path
    weights: Path
    out: Path
    images: int
    epochs: int
    batch: int
    size: int
    model: str
    sha256: str

    def drawn(self, seed: int, develop: bool) -> tuple[Path, Path]:
        """Lists of the images to train on and to test on."""
        source = open_source(self.signs)
        by_class: dict[str, list[str]] = {name: [] for name in source.classes}
        for item in sorted(source.items, key=lambda item: item.path):
            by_class[item.label].append(source.place(item.path))
        sides: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
        for name, paths in by_class.items():
            own = [path for number, path in enumerate(paths) if (number % 3 == 0) == develop]
            random.Random(f"{seed} {name}").shuffle(own)
            sides["train"] += [(path, name) for path in own[: self.images]]
            sides["test"] += [(path, name) for path in own[self.images :]]
        made = []
        for side, rows in sides.items():
            file = self.out / f"{'develop' if develop else 'seed'}-{seed}-{self.images}-{side}.csv"
            with file.open("w", encoding="utf-8", newline="") as stream:
                csv.writer(stream).writerows([("path", "label"), *rows])
            made.append(file)
        return made[0], made[1]

    def error(self, way: str, times: float, seed: int, develop: bool = False) -> float:
        """Test error of one run, per cent."""
        train, test = self.drawn(seed, develop)
        own = gd.recipe(way)
        rate = times * own.optimiser.rate * self.batch / own.batch
        name = f"{train.stem}-{way}{self.sha256[:8] if way == 'finetune' else ''}-{self.epochs}-{rate:g}"
        done = self.out / f"{name}.json"
        if not done.is_file():
            options = {"weights": self.weights} if way == "finetune" else {"model": self.model}
            settings = {"rate": rate} | ({"stop_after": 0} if way == "finetune" else {})
            run = gd.train(
                train, recipe=way, epochs=self.epochs, batch=self.batch, size=self.size, seed=seed,
                settings=settings, out=self.out / name, **options,
            )  # fmt: skip
            score = gd.evaluate(run, test)
            done.write_text(json.dumps({"error": score.top1_error, "images": score.images}), "utf-8")
        found = json.loads(done.read_text("utf-8"))
        print(f"{name}: {found['error']:.2f} % of {found['images']}", flush=True)
        return float(found["error"])


def interval(differences: list[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval of paired differences."""
    mean, count = statistics.fmean(differences), len(differences)
    half = float(t.ppf(0.975, count - 1)) * statistics.stdev(differences) / count**0.5
    return mean, mean - half, mean + half


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    asked.add_argument("signs", type=Path)
    asked.add_argument("--weights", type=Path)
    asked.add_argument("--pretrain", type=Path)
    asked.add_argument("--pretrain-epochs", type=int, default=10)
    asked.add_argument("--model", default="cifar-resnet-20-a")
    asked.add_argument("--images", type=int, default=20)
    asked.add_argument("--seeds", type=int, default=5)
    asked.add_argument("--develop", type=int, default=2, help="draws that the rates are chosen on")
    asked.add_argument("--epochs", type=int, default=40)
    asked.add_argument("--batch", type=int, default=16)
    asked.add_argument("--size", type=int, default=32)
    asked.add_argument("--times", type=float, nargs="+", default=TIMES)
    asked.add_argument("--out", type=Path, default=Path("transfer"))
    asked.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    given = asked.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    weights = given.weights or given.out / "pretrained"
    if given.weights is None and not (weights / "model").is_dir():
        gd.train(given.pretrain, model=given.model, epochs=given.pretrain_epochs, out=weights)
    config = gd.load(weights).model.config
    if config["network"] != given.model:
        asked.error(f"{weights} holds {config['network']}; give --model {config['network']}")
    conditions = Conditions(
        given.signs, weights, given.out, given.images, given.epochs, given.batch, given.size, given.model,
        config["weights"]["sha256"],
    )  # fmt: skip
    chosen, errors = {}, {}
    for way in given.ways:
        tried = {
            times: statistics.fmean(
                conditions.error(way, times, seed, develop=True) for seed in range(given.develop)
            )
            for times in given.times
        }
        chosen[way] = min(tried, key=lambda times: tried[times])
        print(f"{way}: {tried} -> {chosen[way]:g} times the recipe's rate", flush=True)
        errors[way] = [conditions.error(way, chosen[way], seed) for seed in range(given.seeds)]
    if len(errors) < 2:
        return
    differences = [one - other for one, other in zip(errors["finetune"], errors["scratch"], strict=True)]
    mean, low, high = interval(differences)
    print("| seed | from scratch, % | fine-tuned, % | difference, points |\n| ---: | ---: | ---: | ---: |")
    for seed, row in enumerate(zip(errors["scratch"], errors["finetune"], differences, strict=True)):
        print(f"| {seed} | {row[0]:.2f} | {row[1]:.2f} | {row[2]:+.2f} |")
    means = [statistics.fmean(errors[way]) for way in WAYS]
    print(f"| mean | {means[0]:.2f} | {means[1]:.2f} | {mean:+.2f} (95 %: {low:+.2f} to {high:+.2f}) |")
    document = {
        "errors": errors, "times": chosen, "difference": mean, "interval_95": [low, high],
        "images_a_class": given.images, "epochs": given.epochs, "batch": given.batch, "size": given.size,
        "model": given.model, "weights": config["weights"]["sha256"], "scores": config.get("scores"),
        "torch": torch.__version__, "machine": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }  # fmt: skip
    (given.out / "transfer.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
