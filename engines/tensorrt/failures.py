"""Why TensorRT could not build or load a plan: a full GPU is told apart, with figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engines.errors import DeviceError, DeviceMemoryError, EngineError, ModelError, PlanError
from engines.tensorrt.log import is_out_of_memory, last_words
from engines.tensorrt.plan import REBUILD, PlanRequest


def made(kind: Callable[[Any], Any], logger: Any) -> Any:
    """A ``Builder`` or ``Runtime`` of TensorRT.

    Raises:
        DeviceError: if TensorRT cannot make one; ``DeviceMemoryError`` where the GPU is full.
    """
    try:
        return kind(logger)
    except TypeError as error:  # what its bindings raise of a null pointer
        what = f"TensorRT cannot start: {last_words(logger)}"
        if is_out_of_memory(logger):
            raise _full(what) from error
        raise DeviceError(f"{what}; look at nvidia-smi and `sightline doctor`") from error


def not_built(version: str, request: PlanRequest, logger: Any) -> EngineError:
    """The error for a build that gave no plan.

    Args:
        version: Of TensorRT.
        request: What was to be built.
        logger: TensorRT's.
    """
    what = (
        f"TensorRT {version} cannot build {request.model} ({request.precision.value}, batch sizes "
        f"{list(request.batch_sizes)}): {last_words(logger)}"
    )
    if is_out_of_memory(logger):
        return _full(what)
    return ModelError(
        what,
        field="precision",
        remedy="Allow more tactic sources or more workspace, free memory on the GPU "
        f"({_memory()}), or build another precision.",
    )


def refused(request: PlanRequest, logger: Any) -> EngineError:
    """The error for a whole plan that TensorRT does not take.

    Args:
        request: What the plan was built for.
        logger: TensorRT's.
    """
    what = f"{request.platform} refuses its plan of {request.model}: {last_words(logger)}"
    if is_out_of_memory(logger):
        return _full(what)
    return PlanError(f"{what} ({request.file_name})", remedy=f"Build it again with `{REBUILD}`.")


def _full(what: str) -> DeviceMemoryError:
    return DeviceMemoryError(
        f"{what} ({_memory()}): end what else uses the GPU, or use fewer or smaller batch sizes"
    )


def _memory() -> str:
    """How full the GPU of the current context is."""
    try:
        import pycuda.driver as cuda
    except ImportError:
        return "free memory unknown"
    try:
        free_bytes, total_bytes = cuda.mem_get_info()
    except cuda.Error:
        return "free memory unknown"
    return f"{free_bytes} of {total_bytes} bytes free"
