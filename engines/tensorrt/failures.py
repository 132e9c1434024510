"""Why TensorRT could not build or load a plan: a full GPU is told apart, with figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engines.errors import DeviceError, DeviceMemoryError, EngineError, ModelError, PlanError
from engines.tensorrt.log import is_out_of_memory, last_words
from engines.tensorrt.plan import REBUILD, PlanRequest

_LEAST_FREE_BYTES = 64 << 20
"""Where less is free, TensorRT's own kernels do not load, whatever it gives as the reason."""


def made(kind: Callable[[Any], Any], logger: Any) -> Any:
    """A ``Builder`` or ``Runtime`` of TensorRT.

    Raises:
        DeviceError: if TensorRT cannot make one; ``DeviceMemoryError`` where the GPU is full.
    """
    try:
        return kind(logger)
    except TypeError as error:  # what its bindings raise of a null pointer
        what = f"TensorRT cannot start: {last_words(logger)}"
        if _is_full(logger):
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
    if _is_full(logger):
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
    if _is_full(logger):
        return _full(what)
    return PlanError(f"{what} ({request.file_name})", remedy=f"Build it again with `{REBUILD}`.")


def _full(what: str) -> DeviceMemoryError:
    return DeviceMemoryError(
        f"{what} ({_memory()}): end what else uses the GPU, or use fewer or smaller batch sizes"
    )


def _is_full(logger: Any) -> bool:
    """Whether TensorRT had too little memory; 8.6 does not always say so."""
    found = _free_and_total_bytes()
    return is_out_of_memory(logger) or (found is not None and found[0] < _LEAST_FREE_BYTES)


def _memory() -> str:
    """How full the GPU of the current context is."""
    found = _free_and_total_bytes()
    return "free memory unknown" if found is None else "{} of {} bytes free".format(*found)


def _free_and_total_bytes() -> tuple[int, int] | None:
    try:
        import pycuda.driver as cuda
    except ImportError:
        return None
    try:
        free_bytes, total_bytes = cuda.mem_get_info()
    except cuda.Error:
        return None
    return int(free_bytes), int(total_bytes)
