"""CUDA graphs: what a stream was told once, launched again with one call.

PyCUDA has no graphs, so the driver is called through ctypes, which lets other threads run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from engines.errors import DeviceError

CAPTURE_THREAD_LOCAL = 1
"""``CU_STREAM_CAPTURE_MODE_THREAD_LOCAL``: other threads may allocate meanwhile."""


class CudaGraph:
    """An executable graph; launches of one graph follow each other, whatever their streams."""

    def __init__(self, executable: ctypes.c_void_p) -> None:
        self._executable = executable

    @classmethod
    def capture(cls, stream: int, record: Callable[[], None]) -> CudaGraph:
        """What ``record`` enqueues on a stream, which does not run now.

        Args:
            stream: Handle of the stream, whose context is current.
            record: Enqueues on that stream, and neither allocates nor waits.

        Raises:
            DeviceError: if the driver refuses.
        """
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        _call("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), CAPTURE_THREAD_LOCAL)
        try:
            record()
        finally:
            # Also after a failure, or the stream could not be used again.
            status = _driver().cuStreamEndCapture(ctypes.c_void_p(stream), ctypes.byref(graph))
        _check("cuStreamEndCapture", status)
        try:
            flags = ctypes.c_ulonglong(0)
            _call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, flags)
        finally:
            _driver().cuGraphDestroy(graph)
        return cls(executable)

    def launch(self, stream: int) -> None:
        """Run it once behind what the stream holds.

        Raises:
            DeviceError: if the driver refuses.
        """
        _check("cuGraphLaunch", _launch()(self._executable, stream))

    def close(self) -> None:
        """Destroy it; it must not be running."""
        if self._executable:
            _driver().cuGraphExecDestroy(self._executable)
            self._executable = ctypes.c_void_p()


@cache
def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


@cache
def _launch() -> Callable[[ctypes.c_void_p, int], int]:
    function = _driver().cuGraphLaunch
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    return function


def _call(name: str, *arguments: object) -> None:
    _check(name, getattr(_driver(), name)(*arguments))


def _check(name: str, status: int) -> None:
    if status:
        text = ctypes.c_char_p()
        _driver().cuGetErrorString(status, ctypes.byref(text))
        reason = text.value.decode() if text.value else "unknown"
        raise DeviceError(f"{name} failed: {reason} (CUDA error {status})")
