"""What is measured beside what, and how each is opened in a process of its own."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from goingdeeper.runtimes import silent
from goingdeeper.runtimes.known import RUNTIMES
from goingdeeper.runtimes.runner import Goal, open_runner, openvino_alone

OURS = "goingdeeper"
EAGER, COMPILED = "eager", "compile"
CHANNELS_LAST = "eager channels-last"

WAYS = {EAGER: "", **{name: one.format for name, one in RUNTIMES.items()}}
"""What the rewritten network runs in, and the format that `deeper export` writes for it, if it does."""

AGAINST = {
    "eager": (EAGER, CHANNELS_LAST),
    "compile": (COMPILED,),
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
}
"""The rivals, and the rows of each; all run the network that is not rewritten."""

HELD = ExitStack()
"""What lasts as long as a candidate's process."""
atexit.register(HELD.close)

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Candidate:
    """A row to be measured. what: "goingdeeper" or the rival. model: the file that its runtime opens.

    goal: "latency" gives a batch to all threads, "throughput" a part of it to each.
    """

    what: str
    runtime: str
    precision: str
    batch: int
    goal: Goal
    threads: int
    model: Path | None = None

    @property
    def ours(self) -> bool:
        return self.what == OURS

    @property
    def name(self) -> str:
        words = self.runtime if self.ours else self.what
        return words if self.precision == "float32" else f"{words} {self.precision}"

    @property
    def part(self) -> int:
        """Images that one thread, or all together, take at a time."""
        return -(-self.batch // self.threads) if self.goal == "throughput" else self.batch


def open_candidate(one: Candidate, folder: Path) -> Callable[[], Floats]:
    """What gives the logits of the first `batch` images of the case in the folder."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")  # empty: compiling is a part of loading
    os.environ["TMPDIR"] = str(folder)  # torch unpacks there, and a process that is killed leaves it
    if one.ours:
        pixels = np.load(folder / "pixels.npy")[: one.batch]
        if one.runtime == EAGER:
            return _eager(one, folder, pixels)
        assert one.model is not None
        run = open_runner(one.runtime, one.model, batch=one.part, threads=one.threads, goal=one.goal)
        return lambda: run(pixels)
    images = np.load(folder / "images.npy")[: one.batch]
    if one.runtime == "onnxruntime":
        return _onnxruntime(one, images)
    if one.runtime == "openvino":
        return _openvino(one, images)
    return _torch(one, folder, images)


def _eager(one: Candidate, folder: Path, pixels: NDArray[np.uint8]) -> Callable[[], Floats]:
    import torch

    from goingdeeper.deploy.form import Deployed, form_of
    from goingdeeper.nn.heap import kept_heap
    from goingdeeper.timing.case import read_case

    torch.set_num_threads(one.threads)
    case = read_case(folder)
    net = Deployed(form_of(case.network, case.state, case.preprocessing))
    images = torch.from_numpy(pixels)

    HELD.enter_context(kept_heap("cpu"))  # as prediction has it

    def call() -> Floats:
        with torch.inference_mode():
            logits: Floats = net(images).numpy()
        return logits

    return call


def _compiled(net: Any, images: Any) -> Callable[[], Floats]:
    import torch
    from torch._inductor import config

    config.freezing = True
    compiled: Callable[[Any], Any] = torch.compile(net)

    def call() -> Floats:
        with torch.inference_mode():
            logits: Floats = compiled(images).numpy()
        return logits

    return call


def _torch(one: Candidate, folder: Path, images: Floats) -> Callable[[], Floats]:
    """PyTorch as its documentation has it."""
    import torch

    from goingdeeper.timing.case import build_plain, read_case

    torch.set_num_threads(one.threads)
    plain = one.what == EAGER
    memory = torch.contiguous_format if plain else torch.channels_last
    net = build_plain(read_case(folder), memory)
    held = torch.from_numpy(images).contiguous(memory_format=memory)
    if one.runtime == COMPILED:
        return _compiled(net, held)

    def call() -> Floats:
        with torch.inference_mode():
            logits: Floats = net(held).numpy()
        return logits

    return call


def _onnxruntime(one: Candidate, images: Floats) -> Callable[[], Floats]:
    onnxruntime = silent.onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1 if one.goal == "throughput" else one.threads
    session = onnxruntime.InferenceSession(one.model, options, providers=["CPUExecutionProvider"])

    def run(part: Floats) -> Floats:
        logits: Floats = session.run(["logits"], {"images": part})[0]
        return logits

    return _shared(one, run, images)


def _openvino(one: Candidate, images: Floats) -> Callable[[], Floats]:
    openvino = openvino_alone()
    core = openvino.Core()
    model = core.read_model(one.model)
    model.reshape([one.part, *images.shape[1:]])
    compiled = core.compile_model(model, "CPU", {
        "NUM_STREAMS": one.threads if one.goal == "throughput" else 1,
        "INFERENCE_NUM_THREADS": one.threads,
        "INFERENCE_PRECISION_HINT": "f32",  # it takes bfloat16 where the processor has it
    })  # fmt: skip
    count = one.threads if one.goal == "throughput" else 1
    requests = [compiled.create_infer_request() for _ in range(count)]

    def run(part: Floats) -> Floats:
        request = requests.pop()
        try:
            request.infer({0: part}, share_inputs=True)
            logits: Floats = request.get_output_tensor(0).data.copy()
            return logits
        finally:
            requests.append(request)

    run(images[: one.part])  # two threads that begin at once would wait for each other: see `runtimes.runner`
    return _shared(one, run, images)


def _shared(one: Candidate, run: Callable[[Floats], Floats], images: Floats) -> Callable[[], Floats]:
    """The batch as a whole, or a part of it for each thread."""
    parts = [np.ascontiguousarray(images[at : at + one.part]) for at in range(0, one.batch, one.part)]
    if len(parts) == 1:
        return lambda: run(parts[0])
    pool = ThreadPoolExecutor(len(parts))
    return lambda: np.concatenate(list(pool.map(run, parts)))
