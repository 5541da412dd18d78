"""One training run from a source of images to a finished run folder, or on from where it was stopped."""

from __future__ import annotations

import signal
import statistics
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import torch

from goingdeeper.data.batches import Preprocessing
from goingdeeper.data.pictures import mean_and_std, survey
from goingdeeper.data.sources import Source, open_source
from goingdeeper.data.split import Division, divide
from goingdeeper.errors import DataError, GateError, Interrupted, ResourceError, UsageError
from goingdeeper.evaluation.predict import log_probabilities
from goingdeeper.evaluation.scores import Score, score
from goingdeeper.nn.build import Net, build
from goingdeeper.recipes import recipe
from goingdeeper.recipes.images import Centre
from goingdeeper.recipes.settings import change
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.listing import going_on, locked
from goingdeeper.runs.model import load_model, save_model
from goingdeeper.training.budget import epochs_within, seconds
from goingdeeper.training.checkpoints import newest_checkpoint
from goingdeeper.training.events import Events
from goingdeeper.training.log import Log
from goingdeeper.training.loop import Job, Progress, Trainer
from goingdeeper.training.place import check_out, choose_folder
from goingdeeper.training.plan import Reason, Wishes, choose_device, choose_network, choose_recipe
from goingdeeper.training.record import announce, command, resolve
from goingdeeper.training.start import begin_from, origin, take_over
from goingdeeper.training.stopping import StopRequest, stop_requests
from goingdeeper.version import __version__


def train(wishes: Wishes, out: Path | None = None, events: Events | None = None) -> RunFolder:
    """Trains a network and writes a run folder; an unfinished run of the same wishes and data goes on.

    Raises UsageError, DataError or ResourceError before anything is written; Interrupted, with everything
    finished saved, after Ctrl-C or SIGTERM.
    """
    events = events or Events()
    if not 0 <= wishes.seed < 2**31:
        raise UsageError(f"seed {wishes.seed}: a whole number from 0 to {2**31 - 1} is needed")
    if out is not None:
        check_out(out)
    clock = time.perf_counter()
    budget = seconds(wishes.time) if wishes.time is not None else 0.0
    source = open_source(wishes.source)
    device = choose_device(wishes.device)
    begun = begin_from(wishes.from_run)
    plan = choose_network(wishes, source, device.value, begun)
    bad_share = change(recipe(wishes.recipe), dict(wishes.settings)).bad_share
    found = survey(source, plan.size, bad_share, events.reading)
    division = divide(source, found.digests, wishes.seed)
    _check_classes(source, division)
    chosen, reasons = choose_recipe(wishes, plan.network, source, len(division.train))
    reasons = [device, *plan.reasons, *reasons]
    net = build(plan.network, seed=wishes.seed)
    if begun:
        take_over(net, begun, source.classes)
    weights = origin(begun) if begun else None
    resolved = resolve(wishes, source, found, division, plan, chosen, reasons, weights)
    folder, resuming = choose_folder(out, resolved)
    with locked(folder):
        mean, std = mean_and_std(found.pictures, division.train)
        if isinstance(chosen.input, Centre):
            std = (1 / 255,) * len(std)
        if begun:  # the weights are for images on their scale
            mean, std = begun.preprocessing.mean, begun.preprocessing.std
        job = Job(
            net, chosen, found.pictures, division.train, division.val,
            source.classes, Preprocessing(plan.size, mean, std), wishes.seed, device.value,
        )  # fmt: skip
        if resuming:
            resolved = {**folder.run(), "status": "running"}
            job = _lasting(job, resolved["recipe"]["epochs"])
        elif budget:
            events.note(f"trying some steps, to see what fits into {wishes.time}")
            epochs, each = epochs_within(job, budget - (time.perf_counter() - clock))
            job = _lasting(job, epochs)
            why = f"--time {wishes.time} at {each:.3g} s an epoch here"
            reasons = [Reason("epochs", str(epochs), why) if r.what == "epochs" else r for r in reasons]
            resolved = resolve(wishes, source, found, division, plan, job.recipe, reasons, weights)
        folder.write_run(resolved)
        folder.write_rows(
            "split.csv",
            ("path", "class", "split"),
            [(i.path, i.label, side) for side in ("train", "val") for i in getattr(division, side)],
        )
        log = Log(folder.path / "log.jsonl", events)
        event = "resumed" if resuming else "started"
        log.write(event, command=command(wishes), versions=resolved["versions"])
        announce(log, resolved, folder, resuming)
        _run(job, folder, resolved, source, log)
    return folder


def _lasting(job: Job, epochs: int) -> Job:
    return replace(job, recipe=replace(job.recipe, epochs=epochs))


def _run(job: Job, folder: RunFolder, run: dict[str, Any], source: Source, log: Log) -> None:
    checkpoint = newest_checkpoint(folder.checkpoints, log.note)
    try:
        with stop_requests() as stop:
            trainer = Trainer(job, checkpoint)
            if checkpoint:
                log.note(f"going on from {_reached(trainer.progress)}")
            try:
                trainer.run(stop, folder.checkpoints, log, lambda: _write_metrics(folder, trainer))
                if stop:
                    saved = f"interrupted; everything is saved up to {_reached(trainer.progress)}"
                    _interrupt(saved, stop, folder, run, log)
                log.write("finished", **_finish(trainer, folder, run, source))
            except KeyboardInterrupt:
                _interrupt("stopped at once; the last checkpoint is kept", stop, folder, run, log)
            except GateError as problem:
                log.write("stopped", reason=str(problem))
                raise
    except torch.OutOfMemoryError:
        raise ResourceError(
            f"not enough memory on {job.device} for a batch of {job.recipe.batch}; "
            f"give --batch {max(1, job.recipe.batch // 2)}"
        ) from None
    finally:
        log.close()


def _interrupt(saved: str, stop: StopRequest, folder: RunFolder, run: dict[str, Any], log: Log) -> NoReturn:
    log.write("interrupted", signal=stop.signal or signal.SIGINT, reason=saved)
    folder.write_run({**run, "status": "interrupted"})
    raise Interrupted(f"{saved}. Go on with: {going_on(folder, run)}", stop.signal or signal.SIGINT)


def _reached(progress: Progress) -> str:
    if progress.step:
        return f"epoch {progress.epoch}, step {progress.step}"
    return f"the end of epoch {progress.epoch - 1}" if progress.epoch > 1 else "the start"


def _finish(trainer: Trainer, folder: RunFolder, run: dict[str, Any], source: Source) -> dict[str, Any]:
    """The best epoch's weights become the model; their predictions and score, which is given, end the run."""
    job, progress = trainer.job, trainer.progress
    _write_metrics(folder, trainer)  # a kill may have come between the last checkpoint and this file
    trainer.net.load_state_dict(trainer.best)
    number = {name: index for index, name in enumerate(job.classes)}
    labels = torch.tensor([number[item.label] for item in job.val])
    found = log_probabilities(trainer.net, job.pictures, job.val, job.preprocessing, device=job.device)
    final = score(found, labels, job.classes)
    likely = found.exp()
    folder.write_rows(
        "predictions.csv",
        ("path", "true", "predicted", "probability", "probability_true"),
        [
            (
                item.path,
                item.label,
                job.classes[int(row.argmax())],
                f"{float(row.max()):.6f}",
                f"{float(row[number[item.label]]):.6f}",
            )
            for item, row in zip(job.val, likely, strict=True)
        ],
    )
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
                "goingdeeper": __version__,
                "command": run["command"],
                **({"from": run["from"]} if run.get("from") else {}),
            },
        },
    )
    images = len(job.train) // job.recipe.batch * job.recipe.batch or len(job.train)
    rates = [row["images_per_second"] for row in progress.rows]
    result = {
        "epochs": job.recipe.epochs,
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


def _write_metrics(folder: RunFolder, trainer: Trainer) -> None:
    rows = trainer.progress.rows
    folder.write_rows("metrics.csv", rows[0], [[f"{value:.6g}" for value in row.values()] for row in rows])


def _check_classes(source: Source, division: Division) -> None:
    present = {item.label for item in division.train}
    for name in source.classes:
        if name not in present:
            raise DataError(
                f"class '{name}' of {source.name} has no readable image to train on; add some or remove it"
            )
