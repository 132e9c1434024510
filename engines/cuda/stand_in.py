"""Host memory in the place of device memory: the pool's protocol on a machine without a GPU."""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engines.cuda.pool import DevicePlane
from engines.errors import DeviceError, DeviceMemoryError
from engines.frames import Plane, shared_memory_dir

Write = tuple[int, Sequence[tuple[int, int]], list[Plane | DevicePlane]]


class HostMemory:
    """A file in shared memory that behaves as an allocation of a GPU; its handle is the path.

    Addresses are those of the host, so kernels that were compiled for the host read it too.
    """

    max_bytes = 1 << 30
    """So large is the device that it stands for."""

    def __init__(self, path: Path, size_bytes: int, *, is_owner: bool) -> None:
        self.name = f"stand-in {path}"
        self._path = path
        self._is_owner = is_owner
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), size_bytes)
        self._bytes: Plane = np.frombuffer(self._memory, np.uint8)
        self._begun: deque[Write] = deque()
        self._finishing = threading.Lock()
        self.address = int(self._bytes.ctypes.data)

    @classmethod
    def allocate(cls, size_bytes: int, device: int) -> HostMemory:
        """See ``Memory.allocate``."""
        if size_bytes > cls.max_bytes:
            raise DeviceMemoryError(
                f"GPU {device} (stand-in) has {cls.max_bytes} of {cls.max_bytes} bytes free, "
                f"{size_bytes} are wanted"
            )
        handle, path = tempfile.mkstemp(prefix="sightline-device-", dir=shared_memory_dir())
        os.truncate(handle, size_bytes)
        os.close(handle)
        return cls(Path(path), size_bytes, is_owner=True)

    @classmethod
    def open(cls, handle: bytes, size_bytes: int, device: int) -> HostMemory:
        """See ``Memory.open``."""
        try:
            return cls(Path(os.fsdecode(handle)), size_bytes, is_owner=False)
        except (OSError, ValueError) as error:
            raise DeviceError(f"GPU {device} (stand-in): {error}") from error

    def export(self) -> bytes:
        """See ``Memory.export``."""
        return os.fsencode(self._path)

    def write(
        self,
        offset_bytes: int,
        shapes: Sequence[tuple[int, int]],
        planes: Sequence[Plane | DevicePlane],
    ) -> None:
        """See ``Memory.write``; a ``DevicePlane`` is an address of this process."""
        for (rows, row_bytes), plane in zip(shapes, planes, strict=True):
            size_bytes = rows * row_bytes
            target = self._bytes[offset_bytes : offset_bytes + size_bytes]
            np.copyto(target.reshape(rows, row_bytes), _view(plane, rows)[:rows, :row_bytes])
            offset_bytes += size_bytes

    def begin_write(
        self,
        offset_bytes: int,
        shapes: Sequence[tuple[int, int]],
        planes: Sequence[Plane | DevicePlane],
    ) -> list[Plane | DevicePlane]:
        """See ``Memory.begin_write``; nothing is copied before ``finish_writes``."""
        kept = list(planes)
        self._begun.append((offset_bytes, shapes, kept))
        return kept

    def finish_writes(self) -> None:
        """See ``Memory.finish_writes``."""
        with self._finishing:
            for _ in range(len(self._begun)):
                offset_bytes, shapes, planes = self._begun.popleft()
                self.write(offset_bytes, shapes, planes)
                planes.clear()

    def close(self) -> None:
        """See ``Memory.close``."""
        self.finish_writes()
        del self._bytes
        self._memory.close()
        if self._is_owner:
            self._path.unlink(missing_ok=True)


def _view(plane: Plane | DevicePlane, rows: int) -> Plane:
    if not isinstance(plane, DevicePlane):
        return plane
    source = (ctypes.c_uint8 * (rows * plane.pitch)).from_address(plane.address)
    return np.ctypeslib.as_array(source).reshape(rows, plane.pitch)
