"""What runs an exported model: bytes in, logits out, with threads set on purpose."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from goingdeeper.data.processors import cpus
from goingdeeper.errors import DataError, unknown
from goingdeeper.runtimes import silent
from goingdeeper.runtimes.known import RUNTIMES

Goal = Literal["latency", "throughput"]
"""One image as soon as possible, by all threads; or most images in a time, by one thread each."""

Bytes = NDArray[np.uint8]
Logits = NDArray[np.float32]


class Runner(Protocol):
    """Images, (N, size, size, 3) RGB bytes, to logits, (N, classes); one at least, `batch` at a time."""

    def __call__(self, pixels: Bytes) -> Logits: ...


def open_runner(
    runtime: str, model: Path, *, batch: int = 1, threads: int = 0, goal: Goal = "latency"
) -> Runner:
    """Opens model.onnx, or model.xml for OpenVINO, or model.pt2 for torch, as `deeper export` writes them.

    batch: images a pass, for which OpenVINO is compiled. threads: all that the process may use, unless given.
    goal: "throughput" works on as many batches at a time as there are threads, but for torch, where they
    share each batch. Raises UsageError for an unknown runtime, MissingExtra where it is not installed,
    DataError where it cannot read the model.
    """
    if runtime not in RUNTIMES:
        raise unknown("runtime", runtime, RUNTIMES, f"there are {', '.join(RUNTIMES)}")
    threads = threads or cpus()
    try:
        return OPENERS[runtime](model, batch, threads, goal)
    except ImportError:
        raise RUNTIMES[runtime].missing() from None
    except MemoryError:
        raise
    except Exception as problem:  # each runtime has its own
        last = lines_of(problem)[-1]
        raise DataError(f"{model} cannot be opened by {RUNTIMES[runtime].name}: {last}") from None


def lines_of(problem: Exception) -> list[str]:
    """What an exception says, one line at least: its kind, where it says nothing."""
    return (str(problem).strip() or type(problem).__name__).splitlines()


def _onnxruntime(model: Path, batch: int, threads: int, goal: Goal) -> Runner:
    onnxruntime = silent.onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # warnings would go to the terminal
    options.intra_op_num_threads = 1 if goal == "throughput" else threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(pixels: Bytes) -> Logits:
        found: Logits = session.run(["logits"], {"images": pixels})[0]
        return found

    return _in_batches(run, batch, threads if goal == "throughput" else 1)


def openvino_alone() -> Any:
    """The package openvino without its converter of other libraries' models, if that is not there already.

    The converter takes longer to import than all the rest, and tells Intel's telemetry that it was.
    """
    converter = "openvino.tools.ovc"
    apart = converter not in sys.modules
    if apart:
        sys.modules[converter] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        if apart:
            del sys.modules[converter]
    return openvino


def _openvino(model: Path, batch: int, threads: int, goal: Goal) -> Runner:
    openvino = openvino_alone()
    core = openvino.Core()
    read = core.read_model(model)
    shape = read.inputs[0].get_partial_shape()
    shape[0] = batch
    read.reshape({0: shape})
    streams = threads if goal == "throughput" else 1
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": goal.upper(),
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads,
        # Where the processor has bfloat16, OpenVINO takes that for float32 unless told.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(read, "CPU", settings)
    requests: SimpleQueue[Any] = SimpleQueue()
    for _ in range(streams):
        requests.put(compiled.create_infer_request())

    def run(pixels: Bytes) -> Logits:
        request = requests.get()
        try:
            full = pixels
            if len(pixels) < batch:  # the model is compiled for whole batches
                full = np.zeros((batch, *pixels.shape[1:]), np.uint8)
                full[: len(pixels)] = pixels
            request.infer({0: np.ascontiguousarray(full)}, share_inputs=True)
            found: Logits = request.get_output_tensor(0).data[: len(pixels)].copy()
            return found
        finally:
            requests.put(request)

    if streams > 1:
        # OpenVINO's binding prepares itself in the first pass, and two threads that begin at once wait for
        # each other for ever: version 2026.4.
        run(np.zeros(tuple(compiled.input(0).shape), np.uint8))
    return _in_batches(run, batch, streams)


def _torch(model: Path, batch: int, threads: int, goal: Goal) -> Runner:
    """All threads on one batch for either goal: a package answers one call after another."""
    import torch
    from torch._inductor import aoti_load_package

    package = aoti_load_package(str(model))
    alone = Lock()  # otherwise one call could restore what another has set

    def run(pixels: Bytes) -> Logits:
        with alone:
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            try:
                with torch.inference_mode():
                    found: Logits = package(torch.from_numpy(np.require(pixels, requirements="W"))).numpy()
                return found
            finally:
                torch.set_num_threads(before)

    return _in_batches(run, batch, 1)


OPENERS: dict[str, Callable[[Path, int, int, Goal], Runner]] = {
    "onnxruntime": _onnxruntime, "openvino": _openvino, "torch": _torch,
}  # fmt: skip


def _in_batches(run: Callable[[Bytes], Logits], batch: int, at_a_time: int) -> Runner:
    """The whole of so many images, in parts, several at a time where that is asked for."""
    pool = ThreadPoolExecutor(at_a_time) if at_a_time > 1 else None

    def runner(pixels: Bytes) -> Logits:
        parts = [pixels[start : start + batch] for start in range(0, len(pixels), batch)]
        if len(parts) == 1:
            return run(parts[0])
        return np.concatenate(list(pool.map(run, parts) if pool else map(run, parts)))

    return runner
