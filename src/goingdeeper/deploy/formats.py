"""The formats of exported models: what writes each, and the rewrites that are made for it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from goingdeeper.deploy.form import Deployed, Form
from goingdeeper.deploy.lrn import with_fast_lrn
from goingdeeper.deploy.onnx_graph import onnx_model
from goingdeeper.deploy.rewrite import FOLDED, MERGED, Rewrite
from goingdeeper.errors import ResourceError
from goingdeeper.runtimes.known import RUNTIMES
from goingdeeper.runtimes.runner import lines_of, openvino_alone

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Format:
    """The rewrites that pay in its runtime, as measured: see docs/deploy.md; and what writes a form, with
    facts to be kept inside, into a folder, and gives the files, the one to open first."""

    rewrites: tuple[Rewrite, ...]
    write: Callable[[Form, Mapping[str, str], Path], list[Path]]


def onnx_of(form: Form, facts: Mapping[str, str]) -> onnx.ModelProto:
    """The graph of a form, with facts as its metadata."""
    weights = {name: value.contiguous().numpy() for name, value in form.state.items()}
    return onnx_model(form.network, weights, scale=form.scale, metadata=facts)


def program_of(form: Form) -> torch.export.ExportedProgram:
    """What PyTorch compiles."""
    channels, height, width = form.network.input
    example = torch.zeros(2, height, width, channels, dtype=torch.uint8)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of what torch uses inside
        return torch.export.export(
            Deployed(form), (example,), dynamic_shapes=({0: torch.export.Dim("batch")},)
        )


def _onnx(form: Form, facts: Mapping[str, str], place: Path) -> list[Path]:
    file = place / "model.onnx"
    file.write_bytes(with_fast_lrn(onnx_of(form, facts)).SerializeToString())
    return [file]


def _openvino(form: Form, facts: Mapping[str, str], place: Path) -> list[Path]:
    try:
        openvino = openvino_alone()
    except ImportError:
        raise RUNTIMES["openvino"].missing() from None
    read = openvino.Core().read_model(onnx_of(form, facts).SerializeToString())
    for name, value in facts.items():
        read.set_rt_info(value, ["model_info", name])
    openvino.save_model(read, place / "model.xml", compress_to_fp16=False)
    return [place / "model.xml", place / "model.bin"]


def _torch(form: Form, facts: Mapping[str, str], place: Path) -> list[Path]:
    """Compiled ahead of time, for this machine's processor."""
    from torch._inductor import aoti_compile_and_package

    program = program_of(form)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = aoti_compile_and_package(
                program, package_path=str(place / "model.pt2"),
                # Otherwise the code takes as many threads as are set here, whatever are set where it runs.
                inductor_configs={"cpp.dynamic_threads": True},
            )  # fmt: skip
        except MemoryError:
            raise
        except Exception as problem:  # inductor raises nearly anything
            raise ResourceError(
                f"torch cannot compile {form.network.name} on this machine: {lines_of(problem)[0]}"
            ) from None
    return [Path(made)]


FORMATS = {
    "onnx": Format(FOLDED, _onnx), "openvino": Format(FOLDED, _openvino), "torch": Format(MERGED, _torch),
}  # fmt: skip
