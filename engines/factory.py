"""Which backend runs a model; each is imported only when it is asked for."""

from __future__ import annotations

from enum import Enum

from engines.engine import Engine
from engines.spec import ModelSpec


class Backend(str, Enum):
    """What computes."""

    ONNXRUNTIME = "onnxruntime"


def create_engine(
    spec: ModelSpec,
    *,
    backend: Backend = Backend.ONNXRUNTIME,
    num_threads: int = 1,
    max_batch_size: int = 4,
) -> Engine:
    """An engine for a model, not yet loaded.

    Args:
        spec: The model.
        backend: What computes.
        num_threads: CPU threads of the backend.
        max_batch_size: Most frames of one ``infer``.
    """
    match backend:
        case Backend.ONNXRUNTIME:
            from engines.onnxruntime import OnnxRuntimeEngine

            return OnnxRuntimeEngine(spec, num_threads=num_threads, max_batch_size=max_batch_size)
