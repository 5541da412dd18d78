"""The end of a run: the best epoch's weights become the model, scored once more as it will be used."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch

from goingdeeper.data.batches import training_batches
from goingdeeper.data.sources import Source
from goingdeeper.evaluation.predict import log_probabilities
from goingdeeper.evaluation.predictions import COLUMNS, prediction_rows
from goingdeeper.evaluation.scores import Score, score
from goingdeeper.nn.build import Net
from goingdeeper.nn.population import population_statistics
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model, save_model
from goingdeeper.training.job import Job
from goingdeeper.training.loop import EVALUATION_BATCH, Trainer
from goingdeeper.version import __version__


def finish(
    trainer: Trainer, folder: RunFolder, run: dict[str, Any], source: Source, ask: Callable[[], None]
) -> dict[str, Any]:
    """The best epoch's weights become the model; their predictions and score, which is given, end the run.

    ask: raises Interrupted where that is wanted before the images have been scored.
    """
    job, progress = trainer.job, trainer.progress
    write_metrics(folder, trainer)  # a kill may have come between the last checkpoint and this file
    trainer.net.load_state_dict(trainer.best)
    if job.recipe.population:
        batches = training_batches(
            job.pictures, job.train, job.classes, job.preprocessing, job.recipe.augmentation,
            batch=job.recipe.batch, seed=job.seed, epoch=0,
        )  # fmt: skip
        population_statistics(trainer.net, (batch.images.to(trainer.engine.device) for batch in batches))
        trainer.best = {
            name: value.detach().cpu().clone() for name, value in trainer.net.state_dict().items()
        }
    number = {name: index for index, name in enumerate(job.classes)}
    labels = torch.tensor([number[item.label] for item in job.val])
    found = log_probabilities(
        trainer.net, job.pictures, job.val, job.preprocessing, device=trainer.engine.device,
        progress=lambda *_: ask(), batch=min(EVALUATION_BATCH, job.recipe.batch),
    )  # fmt: skip
    final = score(found, labels, job.classes)
    folder.write_rows("predictions.csv", COLUMNS, prediction_rows(job.val, found, job.classes))
    scores = _scores(final)
    save_model(
        folder.model,
        trainer.net,
        trainer.best,
        tuple(job.classes),
        job.preprocessing,
        source.read(job.val[0].path),
        {
            "scores": scores,
            "provenance": {
                "data": source.name,
                "data_fingerprint": run["data"]["fingerprint"],
                "trained": run["started"],
                "epoch": progress.best_epoch,
                "recipe": job.recipe.name,
                "goingdeeper": __version__,
                "command": run["command"],
                **{name: run[name] for name in ("from", "teacher") if run.get(name)},
            },
        },
    )
    images = len(job.train) // job.recipe.batch * job.recipe.batch or len(job.train)
    rates = [row["images_per_second"] for row in progress.rows]
    result = {
        "epochs": progress.epoch - 1,
        "best_epoch": progress.best_epoch,
        "seconds": round(progress.seconds, 1),
        "images_per_second": round(statistics.median(rates), 1),
        "images_per_epoch": images,
        "guessing_error": 100 * (1 - max(Counter(item.label for item in job.val).values()) / len(job.val)),
        **scores,
        "latency_ms": _latency(load_model(folder.path).net, job),
    }
    folder.write_run({**run, "status": "finished", "result": result})
    return result


def _scores(final: Score) -> dict[str, Any]:
    return {
        "protocol": final.protocol,
        "images": final.images,
        "top1_error": final.top1_error,
        "top5_error": final.top5_error,
        "interval_95": list(final.interval_95),
        "cross_entropy": final.cross_entropy,
    }


def _latency(net: Net, job: Job, repeats: int = 30) -> dict[str, Any]:
    """Milliseconds for one image on the CPU through the model as saved."""
    image = job.preprocessing.views([job.pictures[job.val[0].path]])
    taken = []
    with torch.inference_mode():
        for _ in range(repeats + 5):
            start = time.perf_counter()
            net(image)
            taken.append(1000 * (time.perf_counter() - start))
    taken = sorted(taken[5:])
    return {
        "batch": 1,
        "p50": round(statistics.median(taken), 2),
        "p90": round(taken[int(0.9 * len(taken))], 2),
        "device": "cpu",
        "threads": torch.get_num_threads(),
    }


def write_metrics(folder: RunFolder, trainer: Trainer) -> None:
    rows = trainer.progress.rows
    epoch, gradients = trainer.progress.epoch - 1, trainer.progress.gradients
    before = [row for row in folder.gradients() if row[0] < epoch]
    now = [(epoch, layer, norm) for layer, norm in gradients.items()]
    columns, norms = ("epoch", "layer", "norm"), [*before, *now]
    folder.write_rows("gradients.csv", columns, [(row[0], row[1], f"{row[2]:.6g}") for row in norms])
    folder.write_rows("metrics.csv", rows[0], [[f"{value:.6g}" for value in row.values()] for row in rows])
