"""The record of a run: run.json as it stands before the first step, and the words for whoever watches."""

from __future__ import annotations

import dataclasses
import platform
import shlex
from collections import Counter
from datetime import datetime
from typing import Any

import torch

from goingdeeper.costs.counts import cost
from goingdeeper.data.pictures import Survey
from goingdeeper.data.processors import processor
from goingdeeper.data.sources import Problem, Source, bounded, told
from goingdeeper.data.split import Division, fingerprint
from goingdeeper.notation import to_data
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.settings import as_data
from goingdeeper.runs.folder import RunFolder
from goingdeeper.training.events import Events
from goingdeeper.training.plan import Plan, Wishes
from goingdeeper.training.reason import Reason
from goingdeeper.version import __version__


def resolve(
    wishes: Wishes, source: Source, found: Survey, division: Division, plan: Plan,
    chosen: Recipe, reasons: list[Reason],
) -> dict[str, Any]:  # fmt: skip
    """What run.json holds before the first step."""
    counted = cost(plan.network)
    train, val = Counter(i.label for i in division.train), Counter(i.label for i in division.val)
    sizes = sorted(found.sizes.values(), key=lambda size: size[0] * size[1])
    untouched = source.splits.get("test", 0)
    problems = bounded((*found.problems, *division.problems))
    return {
        "schema": 1,
        "version": __version__,
        "status": "running",
        "started": datetime.now().isoformat(timespec="seconds"),
        "command": command(wishes),
        "wishes": wished(wishes),
        "reasons": [dataclasses.asdict(reason) for reason in reasons],
        "network": plan.network.name,
        "params": counted.params_with_heads,
        "macs": counted.macs,
        "description": to_data(plan.network),
        "classes": list(source.classes),
        "data": {
            "source": wishes.source,
            "location": source.location,
            "name": source.name,
            "images": len(source.items),
            "train": len(division.train),
            "val": len(division.val),
            "test": len(division.test) + untouched,
            "untouched": untouched,
            "per_class": {name: {"train": train[name], "val": val[name]} for name in source.classes},
            "sizes": {"smallest": sizes[0], "median": sizes[len(sizes) // 2], "largest": sizes[-1]},
            "split": division.rule,
            "duplicates": division.duplicates,
            "alike": division.alike,
            "problems": [dataclasses.asdict(problem) for problem in problems],
            "problem_count": sum(problem.count for problem in problems),
            "fingerprint": fingerprint(
                division.train + division.val + division.test,
                found.digests,
                source.originals.made if source.originals else "",
            ),
        },
        "recipe": {name: value for name, value in as_data(chosen).items() if name != "said"},
        "seed": wishes.seed,
        "devices": wishes.devices,
        "device": plan.device,
        "threads": torch.get_num_threads(),
        "versions": {
            "goingdeeper": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "machine": f"{platform.system()} {platform.machine()}, {processor()}",
        "result": None,
    }


def wished(wishes: Wishes) -> dict[str, Any]:
    """What was asked for, as run.json keeps it."""
    return {**dataclasses.asdict(wishes), "settings": dict(wishes.settings)}


FLAGS = {"from_run": "from"}
"""Flags of the command line that are called otherwise here."""


def command(wishes: Wishes) -> str:
    """The command line that repeats a run."""
    words = ["deeper", "train", wishes.source]
    standard = Wishes(wishes.source)
    for part in dataclasses.fields(Wishes):
        name = part.name
        if name in ("source", "settings"):
            continue
        value = getattr(wishes, name)
        if value is True:
            words.append(f"--{name}")
        elif value is False and getattr(standard, name) is None:
            words.append(f"--no-{name}")
        elif value != getattr(standard, name):
            words += [f"--{FLAGS.get(name, name.replace('_', '-'))}", str(value)]
    for key, value in wishes.settings:
        words += ["--set", f"{key}={value}"]
    return shlex.join(words)


def announce(events: Events, run: dict[str, Any], folder: RunFolder, resuming: bool) -> None:
    """Says what the run will do, and what is wrong with the images."""
    data = run["data"]
    lines = told(Problem(**problem) for problem in data["problems"])
    for line in lines:
        events.note(line)
    if len(lines) < len(data["problems"]):
        events.note(f"all are listed in {folder.path / 'run.json'}")
    untouched = data.get("untouched", 0)
    tested = data.get("test", 0) - untouched
    without = data["images"] - data["train"] - data["val"] - tested
    events.note(
        f"{data['images']:,} images, {len(run['classes'])} classes · {data['train']:,} train / "
        f"{data['val']:,} validation{f' / {tested:,} test' if tested else ''}"
        f"{f' / {without:,} left out' if without else ''} "
        f"({data['split']}) -> split.csv"
        f"{f' · {untouched:,} test images, untouched' if untouched else ''}"
    )
    unseen = [name for name, count in data["per_class"].items() if not count["val"]]
    if unseen:
        events.note(f"no validation image of: {', '.join(unseen[:8])}{', ...' if len(unseen) > 8 else ''}")
    size = run["description"]["input"]
    begun = f"from {run['from']['path']}" if run.get("from") else "from scratch"
    threads = f"{run['threads']} thread{'' if run['threads'] == 1 else 's'}"
    several = f"{run['devices']} processes of {threads}" if run["devices"] > 1 else threads
    events.note(
        f"{run['network']} at {size[2]}x{size[1]} · {run['params'] / 1e6:.2f} M parameters, "
        f"{run['macs'] / 1e9:.2f} G multiply-adds · {begun} · {run['device']}, {several}"
    )
    wide = [max(len(reason[part]) for reason in run["reasons"]) for part in ("what", "value")]
    for reason in run["reasons"]:
        events.note(f"  {reason['what']:<{wide[0]}}  {reason['value']:<{wide[1]}}  {reason['why']}")
    epochs = f"{run['epochs']} epoch{'' if run['epochs'] == 1 else 's'}"
    events.note(f"{'going on in' if resuming else 'writing'} {folder.path} · {epochs}")
