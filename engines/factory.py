"""Which backend runs a model; each is imported only when it is asked for."""

from __future__ import annotations

from enum import Enum

from engines.engine import Engine
from engines.spec import ModelSpec, Precision


class Backend(str, Enum):
    """What computes."""

    ONNXRUNTIME = "onnxruntime"
    TENSORRT = "tensorrt"


def create_engine(
    spec: ModelSpec,
    *,
    backend: Backend = Backend.ONNXRUNTIME,
    num_threads: int = 1,
    max_batch_size: int | None = None,
    precision: Precision | None = None,
    device: int = 0,
) -> Engine:
    """An engine for a model, not yet loaded.

    Args:
        spec: The model.
        backend: What computes.
        num_threads: CPU threads of the backend; TensorRT needs none.
        max_batch_size: Most frames of one ``infer``; None for 1 on a CPU, where a batch gains
            nothing and delays its first frame, and 32 on a GPU. TensorRT is built for the powers of
            two up to it, and for itself.
        precision: What TensorRT computes in; None for ``fastest_precision``.
        device: Index of the GPU.
    """
    match backend:
        case Backend.ONNXRUNTIME:
            from engines.onnxruntime import OnnxRuntimeEngine

            largest = max_batch_size or 1
            return OnnxRuntimeEngine(spec, num_threads=num_threads, max_batch_size=largest)
        case Backend.TENSORRT:
            from engines.tensorrt import TensorRtEngine

            largest = max_batch_size or 32
            sizes = (*(1 << n for n in range(largest.bit_length())), largest)
            precision = precision or fastest_precision(spec)
            return TensorRtEngine(spec, batch_sizes=sizes, precision=precision, device=device)


def fastest_precision(spec: ModelSpec) -> Precision:
    """What a GPU computes a model in, unless told otherwise: FP16 where the file is FP32."""
    return Precision.FP16 if spec.precision is Precision.FP32 else spec.precision
