"""Models of int8 by the runtimes' own tools: static QDQ for ONNX Runtime, NNCF for OpenVINO.

Weights by channel, activations by tensor, of convolutions, linear layers and what lies between.
"""

from __future__ import annotations

import io
import platform
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from goingdeeper.deploy.lrn import with_fast_lrn
from goingdeeper.deploy.quantisable import quantisable
from goingdeeper.errors import UsageError
from goingdeeper.runtimes import silent
from goingdeeper.runtimes.known import OF_FORMAT, RUNTIMES
from goingdeeper.runtimes.runner import lines_of, openvino_alone

if TYPE_CHECKING:
    import onnx

Bytes: TypeAlias = NDArray[np.uint8]


def quantised_onnx(
    model: onnx.ModelProto, pixels: Bytes, excluded: Collection[str], place: Path
) -> list[Path]:
    """Writes model.onnx with QDQ pairs. pixels: (N, size, size, 3), to calibrate on.

    excluded: addresses of layers that stay in fp32. Raises UsageError where the network cannot be quantised.
    """
    import onnx

    silent.onnxruntime()
    from onnxruntime import quantization as q

    found = quantisable(model)
    chosen = sorted(found.nodes.keys() - found.kept(excluded))
    prepared = onnx.ModelProto()
    prepared.CopyFrom(model)
    # Without it there is a warning, on a root logger set up for it; norms are folded already.
    prepared.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")

    class Reader(q.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(pixels)

        def get_next(self) -> dict[str, Bytes] | None:
            image = next(self.left, None)
            return None if image is None else {"images": image[None]}

    file = place / "model.onnx"
    with _told(model.graph.name, "ONNX Runtime", found.layers.keys() - set(excluded)):
        q.quantize_static(
            prepared, file, Reader(), quant_format=q.QuantFormat.QDQ, per_channel=True,
            reduce_range=saturates(), activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8,
            nodes_to_quantize=chosen, calibrate_method=q.CalibrationMethod.MinMax,
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["Gemm"],  # the logits
            },
        )  # fmt: skip
        made = onnx.load(file)
    del made.metadata_props[:]
    made.metadata_props.extend(model.metadata_props)
    made.producer_name, made.producer_version = model.producer_name, model.producer_version
    file.write_bytes(with_fast_lrn(made).SerializeToString())
    return [file]


def quantised_openvino(
    model: onnx.ModelProto, pixels: Bytes, excluded: Collection[str], place: Path
) -> list[Path]:
    """Writes model.xml and model.bin, as `quantised_onnx`."""
    openvino = openvino_alone()
    from openvino._offline_transformations import apply_moc_transformations

    nncf = silent.nncf()
    found = quantisable(model)
    read = openvino.Core().read_model(model.SerializeToString())
    # Biases become constants; otherwise they are reshaped by a dozen nodes each, at every start.
    apply_moc_transformations(read, cf=False)
    chosen = found.nodes.keys() - found.kept(excluded)
    ignored = [
        operation.get_friendly_name()
        for operation in read.get_ops()
        if operation.get_friendly_name().removesuffix("/WithoutBiases") not in chosen
    ]
    ranges = nncf.quantization.range_estimator.RangeEstimatorParametersSet
    advanced = nncf.AdvancedQuantizationParameters(
        overflow_fix=nncf.OverflowFix.ENABLE if saturates() else None,
        # On four runs on CIFAR-10, NNCF's mean of the images' ranges and its correction of biases together
        # cost 0.2 to 0.45 points of error.
        activations_range_estimator_params=ranges.MINMAX, disable_bias_correction=True,
    )  # fmt: skip
    with _told(model.graph.name, "NNCF", found.layers.keys() - set(excluded)), redirect_stdout(io.StringIO()):
        made = nncf.quantize(
            read, nncf.Dataset([image[None] for image in pixels]), subset_size=len(pixels),
            ignored_scope=nncf.IgnoredScope(names=ignored, validate=False),
            advanced_parameters=advanced,
        )  # fmt: skip
    for fact in model.metadata_props:
        made.set_rt_info(fact.value, ["model_info", fact.key])
    openvino.save_model(made, place / "model.xml", compress_to_fp16=False)
    return [place / "model.xml", place / "model.bin"]


QUANTISERS: dict[str, Callable[[onnx.ModelProto, Bytes, Collection[str], Path], list[Path]]] = {
    "onnx": quantised_onnx, "openvino": quantised_openvino,
}  # fmt: skip
"""By format."""


def check_tools(to: str) -> None:
    """Raises MissingExtra where what a format is quantised with is not installed."""
    try:
        if to == "openvino":
            openvino_alone()
            silent.nncf()
        else:
            silent.onnxruntime()
            import onnxruntime.quantization  # noqa: F401
    except ImportError as problem:
        raise RUNTIMES[OF_FORMAT[to]].missing((problem.name or "").partition(".")[0]) from None


def saturates() -> bool:
    """Whether this processor adds two products of bytes in 16 bits, which 8-bit weights can overflow: x86
    without VNNI."""
    x86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
    return x86 and not torch.cpu._is_vnni_supported()


@contextmanager
def _told(network: str, tool: str, layers: Collection[str]) -> Iterator[None]:
    """Turns what a tool raises, nearly anything, into an error that names the network."""
    if not layers:
        raise UsageError(f"{network} has no layer left that {tool} could quantise; export it without --int8")
    try:
        yield
    except MemoryError:
        raise
    except Exception as problem:
        raise UsageError(
            f"{tool} cannot quantise {network}: {lines_of(problem)[0]}; export it without --int8"
        ) from None
