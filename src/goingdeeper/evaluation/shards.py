"""An evaluation shared by several processes, each with a device of its own."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

from goingdeeper.data.processors import cpus
from goingdeeper.data.sources import Item, open_source
from goingdeeper.errors import ResourceError, end_process
from goingdeeper.evaluation.predict import Part, parts
from goingdeeper.evaluation.protocols import Protocol
from goingdeeper.runs.model import load_model


@dataclass(frozen=True)
class Work:
    """What a process is to score: a saved model on images of a location. begin: as `predict.parts`."""

    model: Path
    location: str
    items: tuple[Item, ...]
    protocol: Protocol
    batch: int
    device: str
    begin: Sequence[int]


def shared(work: Work, devices: int) -> Iterator[Part]:
    """Every part once, from whichever process has it first; each process takes every n-th.

    Raises what one of them raised; ResourceError where one was ended.
    """
    context = multiprocessing.get_context("spawn")
    threads = max(1, cpus() // devices)
    running = []
    for rank in range(devices):
        ear, mouth = context.Pipe(duplex=False)
        device = f"cuda:{rank}" if work.device == "cuda" else work.device
        own = replace(work, device=device, begin=work.begin[rank::devices])
        process = context.Process(target=_score, args=(own, threads, mouth), daemon=True)
        process.start()
        mouth.close()
        running.append((process, ear))
    try:
        ears = [ear for _, ear in running]
        while ears:
            ready = wait(ears)
            for ear in [ear for ear in ears if ear in ready]:
                try:
                    told = ear.recv()
                except EOFError:
                    raise ResourceError("a process of the evaluation was ended; run it again") from None
                if told is None:
                    ears.remove(ear)
                elif isinstance(told, Exception):
                    raise told
                else:
                    first, likely, read, problems = told
                    yield Part(first, torch.from_numpy(likely), read, problems)
    finally:
        for process, _ in running:
            process.terminate()
            process.join()


def _score(work: Work, threads: int, mouth: Connection) -> None:
    """The life of a process; the one that started it hears Ctrl-C, and ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    try:
        model = load_model(work.model)
        source = open_source(work.location, model.classes, split="all")
        for part in parts(
            model.net, source, work.items, work.protocol, model.preprocessing,
            batch=work.batch, device=work.device, begin=work.begin,
        ):  # fmt: skip
            # As numpy, since torch would send the name of shared memory that ends with the process.
            mouth.send((part.first, part.likely.numpy(), part.read, part.problems))
        mouth.send(None)
    except BrokenPipeError:
        pass
    except Exception as problem:
        mouth.send(problem)
    end_process(0)
