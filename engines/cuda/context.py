"""The primary context of a GPU, shared by all that this process does there.

TensorRT, FFmpeg's decoders and our kernels meet in the primary context. It must wait by blocking
instead of spinning, and that is settled before anybody retains it first: FFmpeg refuses a primary
context that is active with other flags. PyCUDA ends the process when a thread or the interpreter
exits with a context still pushed, so it is pushed for as long as a ``with`` lasts and no longer.
"""

from __future__ import annotations

import ctypes
import threading
from types import TracebackType
from typing import Any

from engines.errors import DeviceError, DeviceMemoryError

SCHED_BLOCKING_SYNC = 4
"""``CU_CTX_SCHED_BLOCKING_SYNC`` of cuda.h."""

_opened: dict[int, DeviceContext] = {}
_opening = threading.Lock()


class DeviceContext:
    """A GPU's primary context; ``with`` makes it current in the calling thread, nested or not.

    Errors of PyCUDA that leave the ``with`` do so as ``DeviceError``, a full GPU as
    ``DeviceMemoryError``. Objects of PyCUDA must be freed within it too, or they leak. Get it with
    ``open_device``.

    Attributes:
        index: The GPU, as this process counts.
        name: Its product name.
        arch: What it executes, as compilers call it (``sm_90``).
        cuda: The module ``pycuda.driver``, which is not imported before a device is opened.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.cuda = _import_pycuda()
        try:
            self.cuda.init()
            device = self.cuda.Device(index)
            _use_blocking_sync(index)
            self._context = _for_ever(device.retain_primary_context())
            major, minor = device.compute_capability()
            self.name: str = device.name()
        except self.cuda.Error as error:
            raise DeviceError(
                f"GPU {index} cannot be used: {error}; look at nvidia-smi and CUDA_VISIBLE_DEVICES"
            ) from error
        self.arch = f"sm_{major}{minor}"

    def __enter__(self) -> DeviceContext:
        self._context.push()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if isinstance(error, self.cuda.MemoryError):
                free_bytes, total_bytes = self.cuda.mem_get_info()
                raise DeviceMemoryError(
                    f"GPU {self.index} ({self.name}) has {free_bytes} of {total_bytes} bytes free: "
                    f"{error}"
                ) from error
            if isinstance(error, self.cuda.Error):
                raise DeviceError(f"GPU {self.index} ({self.name}): {error}") from error
        finally:
            self.cuda.Context.pop()

    def allocate(self, size_bytes: int) -> Any:
        """Memory of the device, a ``pycuda.driver.DeviceAllocation``.

        Raises:
            DeviceMemoryError: if it has not so much, with the figures.
        """
        with self:
            try:
                return self.cuda.mem_alloc(size_bytes)
            except self.cuda.MemoryError as error:
                free_bytes, total_bytes = self.cuda.mem_get_info()
                raise DeviceMemoryError(
                    f"GPU {self.index} ({self.name}) has {free_bytes} of {total_bytes} bytes free, "
                    f"{size_bytes} are wanted"
                ) from error


def open_device(index: int = 0) -> DeviceContext:
    """The context of a GPU; there is one a process.

    Raises:
        DeviceError: if PyCUDA, the driver or the GPU is missing.
    """
    with _opening:
        if index not in _opened:
            _opened[index] = DeviceContext(index)
        return _opened[index]


def device_works(index: int = 0) -> bool:
    """Whether the process can go on using a GPU: after a fault, every call of CUDA fails."""
    try:
        with open_device(index) as context:
            context.cuda.Context.synchronize()
    except DeviceError:
        return False
    return True


def _import_pycuda() -> Any:
    try:
        import pycuda.driver
    except ImportError as error:
        remedy = (
            "install the NVIDIA driver" if "libcuda" in str(error) else "install sightline[gpu]"
        )
        raise DeviceError(f"CUDA cannot be used ({error}): {remedy}") from error
    return pycuda.driver


def _for_ever(context: Any) -> Any:
    """Keep a context until the process ends, which releases it.

    PyCUDA's destructor detaches a primary context as if it were one of its own, which fails, and at
    exit other libraries may still work in it.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(context))
    return context


def _use_blocking_sync(index: int) -> None:
    """Raises DeviceError where the context is active already and waits in another way."""
    driver = ctypes.CDLL("libcuda.so.1")
    set_flags = getattr(driver, "cuDevicePrimaryCtxSetFlags_v2", driver.cuDevicePrimaryCtxSetFlags)
    status = set_flags(index, SCHED_BLOCKING_SYNC)
    if status:
        raise DeviceError(
            f"the primary context of GPU {index} cannot be set to block (CUDA error {status}): "
            "open the device before anything else in the process uses CUDA"
        )
