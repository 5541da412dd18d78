"""Packages that tell their makers of their use, imported so that they do not.

On import both write an identifier to the home folder and prepare to send.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import redirect_stdout
from typing import Any


def onnxruntime() -> Any:
    """ONNX Runtime. Raises ImportError where it is not installed."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # of one that was imported before
    return onnxruntime


def nncf() -> Any:
    """NNCF, which prints nothing but errors, either. Raises ImportError where it is not installed."""
    telling = sys.modules.get("openvino_telemetry")
    factory = logging.getLoggerClass()
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        with redirect_stdout(io.StringIO()):
            import nncf
            from nncf.telemetry import decorator, wrapper
    finally:
        logging.setLoggerClass(factory)  # NNCF sets its own for all
        del sys.modules["openvino_telemetry"]
        if telling is not None:
            sys.modules["openvino_telemetry"] = telling
    decorator.telemetry = wrapper.NNCFTelemetryStub()  # of one that was imported before
    nncf.set_log_level(logging.ERROR)
    return nncf
