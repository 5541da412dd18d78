"""What each runtime is called, what it is installed with, and what an export for it holds."""

from __future__ import annotations

from dataclasses import dataclass

from goingdeeper.errors import MissingExtra


@dataclass(frozen=True)
class Runtime:
    """name: its makers'. format: `--to` of `deeper export`. files: of a model, the first of which it opens.

    package: what runs a model, to import and to install. writes: what is needed to make one, too. extra:
    ours, which installs both; "" where they are always there. int8: whether there are models of that.
    streams: whether it answers several batches at a time.
    """

    name: str
    format: str
    files: tuple[str, ...]
    package: str
    writes: tuple[str, ...] = ()
    extra: str = ""
    int8: bool = False
    streams: bool = False

    @property
    def pip(self) -> str:
        """The line that installs it."""
        extra = f"[{self.extra}]" if self.extra else ""
        return f"pip install 'goingdeeper{extra}'"

    def missing(self, package: str = "") -> MissingExtra:
        """The error for a package of it that is not installed; itself, unless another is named."""
        own = package in ("", self.package)
        return MissingExtra(f"{self.name if own else package} is not installed: {self.pip}")


RUNTIMES = {
    "onnxruntime": Runtime(
        "ONNX Runtime", format="onnx", files=("model.onnx",), package="onnxruntime", writes=("onnx",),
        extra="onnx", int8=True, streams=True,
    ),
    "openvino": Runtime(
        "OpenVINO", format="openvino", files=("model.xml", "model.bin"), package="openvino", writes=("onnx",),
        extra="openvino", int8=True, streams=True,
    ),
    "torch": Runtime("PyTorch", format="torch", files=("model.pt2",), package="torch"),
}  # fmt: skip

OF_FORMAT = {one.format: name for name, one in RUNTIMES.items()}
"""The runtime that opens a format, by its key above."""
