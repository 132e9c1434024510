"""ONNX Runtime sessions: opened with our options, their failures told in our words."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from engines.errors import ModelError
from engines.signature import Signature, TensorInfo

SESSION_ERRORS: tuple[type[Exception], ...] = (
    native.Fail,
    native.InvalidArgument,
    native.InvalidGraph,
    native.InvalidProtobuf,
    native.NoModel,
    native.NoSuchFile,
    native.NotImplemented,
    native.RuntimeException,
    RuntimeError,
)
"""What ONNX Runtime raises; its classes have no common root."""

LOG_ERRORS_ONLY = 3
DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}


def open_session(model: Path | bytes, *, num_threads: int = 1) -> onnxruntime.InferenceSession:
    """Open an ONNX file, or a serialized model, on the CPU.

    Raises:
        ModelError: if it is missing, damaged or uses what this ONNX Runtime does not know.
    """
    if isinstance(model, Path) and not model.is_file():
        raise ModelError(f"{model} is not a file", remedy="Give the path of an ONNX file.")
    source = str(model) if isinstance(model, Path) else model
    try:
        return onnxruntime.InferenceSession(
            source, _options(num_threads), providers=["CPUExecutionProvider"]
        )
    except SESSION_ERRORS as error:
        name = model if isinstance(model, Path) else "the model"
        raise ModelError(
            f"{name} cannot be read as ONNX ({_first_line(error)})",
            remedy="The file is damaged, not ONNX, or of a newer opset than ONNX Runtime "
            f"{onnxruntime.__version__} knows: copy or export it again.",
        ) from error


def signature_of(session: onnxruntime.InferenceSession) -> Signature:
    """The session's inputs and outputs."""
    return Signature(
        tuple(_tensor_info(node) for node in session.get_inputs()),
        tuple(_tensor_info(node) for node in session.get_outputs()),
    )


def _options(num_threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = LOG_ERRORS_ONLY
    # Idle threads of the pool would spin on the cores that the decoders need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _tensor_info(node: onnxruntime.NodeArg) -> TensorInfo:
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    dtype = DTYPES.get(node.type, node.type.removeprefix("tensor(").removesuffix(")"))
    return TensorInfo(node.name, dtype, shape)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
