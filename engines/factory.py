"""Which backend runs a model; each is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from engines.engine import CropEngine, Engine
from engines.spec import ModelSpec, Precision, Task

if TYPE_CHECKING:
    from engines.tensorrt.versions import Report

MAX_GPU_BATCH_SIZE = 32
"""Unless told otherwise."""
MAX_CROPS_ON_CPU = 8
"""Most of one batch."""
CROPS_ON_GPU = (1, 4, 16)
"""Batch sizes of what looks at crops: few, for each is built, and a padded batch costs little."""


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
    batch_sizes: Sequence[int] | None = None,
    precision: Precision | None = None,
    device: int = 0,
    report: Report | None = None,
) -> Engine:
    """An engine for a model, not yet loaded.

    Args:
        spec: The model.
        backend: What computes.
        num_threads: CPU threads of the backend; TensorRT needs none.
        max_batch_size: Most frames of one ``infer``; None for 1 on a CPU, where a batch gains
            nothing and delays its first frame, and 32 on a GPU.
        batch_sizes: What TensorRT is built for; None for ``batch_sizes_up_to`` the largest.
        precision: What TensorRT computes in; None for ``fastest_precision``.
        device: Index of the GPU.
        report: Told how far TensorRT is, where it must build a plan first.
    """
    match backend:
        case Backend.ONNXRUNTIME:
            from engines.onnxruntime import OnnxRuntimeEngine

            largest = max_batch_size or max(batch_sizes or (1,))
            return OnnxRuntimeEngine(spec, num_threads=num_threads, max_batch_size=largest)
        case Backend.TENSORRT:
            from engines.tensorrt import TensorRtEngine

            return TensorRtEngine(
                spec,
                batch_sizes=batch_sizes or batch_sizes_up_to(max_batch_size),
                precision=precision or fastest_precision(spec),
                device=device,
                report=report,
            )


def create_crop_engine(
    spec: ModelSpec,
    *,
    backend: Backend = Backend.ONNXRUNTIME,
    num_threads: int = 1,
    max_batch_size: int = MAX_CROPS_ON_CPU,
    precision: Precision | None = None,
    device: int = 0,
    report: Report | None = None,
) -> CropEngine:
    """An engine for a model that looks at crops, a reader or a detector, not yet loaded.

    Args:
        spec: The model.
        backend: What computes; TensorRT is built for ``CROPS_ON_GPU``.
        num_threads: CPU threads of the backend; TensorRT needs none.
        max_batch_size: Most crops of one ``infer`` on a CPU.
        precision: What the detector beside it computes in; see ``crop_precision``.
        device: Index of the GPU.
        report: Told how far TensorRT is, where it must build a plan first.
    """
    finds = spec.task is Task.DETECT
    match backend:
        case Backend.ONNXRUNTIME:
            from engines.onnxruntime import OnnxRuntimeEngine, OnnxRuntimeReader

            on_cpu = OnnxRuntimeEngine if finds else OnnxRuntimeReader
            return on_cpu(spec, num_threads=num_threads, max_batch_size=max_batch_size)
        case Backend.TENSORRT:
            from engines.tensorrt import TensorRtEngine, TensorRtReader

            on_gpu = TensorRtEngine if finds else TensorRtReader
            return on_gpu(
                spec,
                batch_sizes=CROPS_ON_GPU,
                precision=crop_precision(spec, precision),
                device=device,
                report=report,
            )


def batch_sizes_up_to(largest: int | None) -> tuple[int, ...]:
    """What a plan is built for where nobody says: the powers of two up to a size, and that size.

    Args:
        largest: The size; None for 32.
    """
    largest = largest or MAX_GPU_BATCH_SIZE
    return tuple(sorted({*(1 << n for n in range(largest.bit_length())), largest}))


def fastest_precision(spec: ModelSpec) -> Precision:
    """What a GPU computes a model in, unless told otherwise: FP16 where the file is FP32."""
    return Precision.FP16 if spec.precision is Precision.FP32 else spec.precision


def crop_precision(spec: ModelSpec, beside: Precision | None) -> Precision:
    """What a GPU computes a model of crops in: the fastest, but FP32 where its detector must.

    Args:
        spec: The model.
        beside: What was asked for the detector; None where nothing was.
    """
    return spec.precision if beside is Precision.FP32 else fastest_precision(spec)
