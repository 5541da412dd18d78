"""Training on a GPU: `python benchmarks/gpu_cifar.py [--steps N] [--skip-resnet-50]`.

ResNet-20 by the paper's recipe, batches of 128 out of 50,000 images of 32x32 random bytes: its step captured
as one CUDA graph, one, two and four runs side by side on streams of their own, and beside it the same step
called from Python. Then ResNet-50 with batches of 256 random images in bfloat16, compiled and not.
Seconds are of steps after capture or compilation, between two waits for the device; floors are computed
from arithmetic and memory traffic on an H200, 0.18 ms for a step of ResNet-20 and 20 ms for one of ResNet-50.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

import goingdeeper as gd
from goingdeeper.data.batches import Batch
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item
from goingdeeper.recipes import recipe
from goingdeeper.training.captured import LOOK
from goingdeeper.training.engine import Engine
from goingdeeper.training.job import Job
from goingdeeper.training.loop import Trainer
from goingdeeper.training.ways import Way

FLOOR_20, FLOOR_50 = 0.18e-3, 20e-3
"""Seconds a step on an H200."""

ITERATIONS = 64_000
IMAGES = 50_000
CLASSES = tuple(str(number) for number in range(10))


def resnet_20(seed: int, pixels: dict[str, np.ndarray], engine: Engine, way: Way) -> Trainer:
    items = [Item(path, CLASSES[number % 10]) for number, path in enumerate(pixels)]
    net = gd.build(gd.network("cifar-resnet-20-a"), seed=seed)
    scale = Preprocessing(32, mean_image=torch.full((3, 32, 32), 0.5))
    pictures = Pictures(None, 32, pixels)  # type: ignore[arg-type]
    job = Job(
        net, recipe("resnet-cifar"), pictures, items, items[:1], CLASSES, scale, seed, engine.device.type
    )
    return Trainer(job, engine=engine, way=way)


def captured_steps(trainer: Trainer, steps: int) -> None:
    """As the loop takes them: epochs of windows, with a look at the losses after each."""
    assert trainer.captured
    epoch, left = 0, steps
    while left > 0:
        epoch += 1
        trainer.captured.draw(epoch)
        last = min(left, trainer.job.steps_per_epoch)
        for first in range(0, last, LOOK):
            trainer.captured.run(range(first, min(last, first + LOOK)), trainer._now(), epoch)
        left -= last


def side_by_side(trainers: list[Trainer], steps: int) -> float:
    """Seconds for so many steps of each."""
    streams = [torch.cuda.Stream() for _ in trainers]
    torch.cuda.synchronize()  # what the trainers hold was made on another stream
    for trainer, stream in zip(trainers, streams, strict=True):
        with torch.cuda.stream(stream):
            trainer.net.train()
            captured_steps(trainer, LOOK)
        assert trainer.captured
        if trainer.captured.failure:
            sys.exit(f"the step could not be captured: {trainer.captured.failure}")

    def work(trainer: Trainer, stream: torch.cuda.Stream) -> None:
        with torch.cuda.stream(stream):
            captured_steps(trainer, steps)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(trainers, streams, strict=True)]
    torch.cuda.synchronize()
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def timed(call: Callable[[], object], steps: int, warm_up: int = 10) -> float:
    """Seconds a call."""
    for _ in range(warm_up):
        call()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        call()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps


def resnet_50(compiled: bool, engine: Engine, batch: int = 256) -> Callable[[], object]:
    wanted = replace(recipe("torchvision-baseline"), batch=batch, precision="bfloat16", compile=compiled)
    net = gd.build(gd.network("resnet-50-v1.5"))
    job = Job(net, wanted, None, [], [], ["0"], Preprocessing(224), 0, engine.device.type)  # type: ignore[arg-type]
    trainer = Trainer(job, engine=engine, way="loaded")
    trainer.net.train()
    images = torch.randn(batch, 3, 224, 224, device=engine.device).to(memory_format=torch.channels_last)
    taken = Batch(images, torch.randint(1000, (batch,), device=engine.device))
    return lambda: trainer.step(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--skip-resnet-50", action="store_true")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("not measured: this needs an NVIDIA GPU and a CUDA build of PyTorch")
        return
    engine = Engine("cuda")
    print(f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}, Python {sys.version.split()[0]}")
    rows: list[dict[str, object]] = []

    def show(what: str, seconds: float, images: int, floor: float, runs: int = 1) -> None:
        """seconds: of one step, or of one of each run."""
        share, rate = 100 * runs * floor / seconds, images / seconds
        rows.append({"what": what, "seconds": seconds, "images_per_second": rate, "percent_of_floor": share})
        taken = f"{rate:10,.0f} images/s {1000 * seconds:9.3f} ms"
        print(f"  {what:<40} {taken}   {share:5.1f} % of the floor")

    random = np.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 3), np.uint8)
    pixels = {str(number): image for number, image in enumerate(random)}
    for count in (1, 2, 4):
        trainers = [resnet_20(seed, pixels, engine, "captured") for seed in range(count)]
        seconds = side_by_side(trainers, options.steps) / options.steps
        show(f"ResNet-20, captured, {count} side by side", seconds, 128 * count, FLOOR_20, count)
        if count == 1:
            print(f"  {ITERATIONS:,} iterations at this pace: {ITERATIONS * seconds:.1f} s")
    for way in ("resident", "loaded"):
        trainer = resnet_20(0, pixels, engine, way)
        batches = trainer.batches()
        seconds = timed(lambda t=trainer, b=batches: t.step(next(b)), min(options.steps, 300))  # type: ignore[misc]
        batches.close()  # type: ignore[attr-defined]
        show(f"ResNet-20, {way}, not captured", seconds, 128, FLOOR_20)
    if not options.skip_resnet_50:
        for compiled in (False, True):
            seconds = timed(resnet_50(compiled, engine), 50)
            show(f"ResNet-50, bfloat16, {'compiled' if compiled else 'eager'}", seconds, 256, FLOOR_50)
    print(json.dumps({"device": torch.cuda.get_device_name(0), "torch": torch.__version__, "rows": rows}))


if __name__ == "__main__":
    main()
