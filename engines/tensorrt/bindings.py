"""What a plan says of its tensors: their names, types and shapes."""

from __future__ import annotations

from typing import Any

from engines.errors import ModelError
from engines.signature import Signature, TensorInfo

DTYPES = {"FLOAT": "float32", "HALF": "float16", "INT32": "int32", "INT64": "int64"}
"""What may go in or come out, by TensorRT's names."""


def signature_of(trt: Any, engine: Any) -> Signature:
    """Inputs and outputs of an engine, in its order; the batch is free.

    Args:
        trt: The module ``tensorrt``.
        engine: TensorRT's.

    Raises:
        ModelError: if one is neither a float nor an integer.
    """
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
    outputs = [n for n in names if n not in inputs]
    return Signature(
        tuple(_tensor_info(engine, name) for name in inputs),
        tuple(_tensor_info(engine, name) for name in outputs),
    )


def check_rows(name: str, shape: tuple[int, ...], size: int) -> None:
    """An output that had more rows than the batch would be written beyond its memory.

    Args:
        name: Of the output.
        shape: Of the output.
        size: Of the batch.

    Raises:
        ModelError: if it has not one row a picture.
    """
    if shape[:1] != (size,):
        raise ModelError(
            f"the output {name} is {list(shape)} for a batch of {size}, not one row a picture",
            remedy="Export the model with a free batch axis.",
        )


def _tensor_info(engine: Any, name: str) -> TensorInfo:
    kind = engine.get_tensor_dtype(name).name
    if kind not in DTYPES:
        raise ModelError(
            f"{name} is of {kind}, which cannot be read",
            remedy=f"Cast it to one of {', '.join(DTYPES.values())} in the graph.",
        )
    shape = tuple(None if size < 0 else int(size) for size in engine.get_tensor_shape(name))
    return TensorInfo(name, DTYPES[kind], shape)
