"""Copies decoded pictures within the GPU, on a CUDA stream of the decoder's own."""

from __future__ import annotations

import time
from ctypes import byref, c_ulonglong, c_void_p

from actors.ingest.nvcuvid.library import (
    BLOCKING_EVENT,
    NON_BLOCKING_STREAM,
    NOT_READY,
    Library,
)
from actors.ingest.nvcuvid.structs import ON_DEVICE, ON_HOST, Copy2D
from actors.ingest.nvcuvid.waiting import Patience, Waiting


class Copier:
    """A CUDA stream, and what waits for it. All is called with the context current.

    Args:
        library: Functions.
        waiting: How to wait.

    Attributes:
        stream: Its handle; other work may be queued there before a copy.
    """

    def __init__(self, library: Library, waiting: Waiting) -> None:
        self.stream, self._event = c_void_p(), c_void_p()
        self._library = library
        self._waiting = waiting
        self._patience = Patience("copying a picture", waiting)
        self._copy = Copy2D(source_kind=ON_DEVICE)
        create_stream, create_event = library.create_stream, library.create_event
        library.check(create_stream(byref(self.stream), NON_BLOCKING_STREAM), "opening a stream")
        library.check(create_event(byref(self._event), BLOCKING_EVENT), "making an event")

    def copy(
        self,
        source: int,
        pitch: int,
        shape: tuple[int, int],
        target: int,
        *,
        is_host_target: bool = False,
    ) -> None:
        """Copy rows closely behind each other; they are there on return.

        Args:
            source: Address of the first row, on the device.
            pitch: Bytes from one of its rows to the next.
            shape: Number of rows, and bytes of each.
            target: Address to copy to.
            is_host_target: Whether it is one of the host.

        Raises:
            DeviceError: if the device failed.
        """
        copy, library = self._copy, self._library
        copy.source_device, copy.source_pitch = source, pitch
        copy.num_rows, copy.row_bytes = shape
        copy.target_pitch = shape[1]
        copy.target_kind = ON_HOST if is_host_target else ON_DEVICE
        copy.target_host, copy.target_device = (target, 0) if is_host_target else (None, target)
        library.check(library.copy(byref(copy), self.stream), "copying a picture")
        self._wait()

    def _wait(self) -> None:
        library = self._library
        if self._waiting.copy == "poll":
            self._patience.wait(time.monotonic(), self._is_idle)
        elif self._waiting.copy == "stream":
            library.check(library.wait_stream(self.stream), "copying a picture")
        else:
            library.check(library.record_event(self._event, self.stream), "recording an event")
            library.check(library.wait_event(self._event), "copying a picture")

    def _is_idle(self) -> bool:
        status = self._library.query_stream(self.stream)
        if status == NOT_READY:
            return False
        self._library.check(status, "copying a picture")
        return True

    def allocate(self, size_bytes: int) -> int:
        """The address of new device memory."""
        address = c_ulonglong()
        status = self._library.allocate(byref(address), size_bytes)
        self._library.check(status, f"taking {size_bytes} bytes")
        return int(address.value)

    def free(self, address: int) -> None:
        """Give memory back."""
        self._library.free(address)

    def close(self) -> None:
        """Give all back."""
        self._library.destroy_event(self._event)
        self._library.destroy_stream(self.stream)
