"""Rows of many surfaces into slots of a pool, in one launch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.cuda.context import DeviceContext
from engines.cuda.nvrtc import cubin

MAX_SURFACES = 64
"""Of one launch, a plane each: its parameters may have 4 KB."""
NUM_BLOCKS, NUM_THREADS = 48, 128
"""Blocks that share a surface, and threads of each: one for 16 bytes of a row."""

SURFACE = np.dtype(
    [
        ("source", np.uint64),
        ("target", np.uint64),
        ("pitch", np.uint32),
        ("row_bytes", np.uint32),
        ("num_rows", np.uint32),
        ("unused", np.uint32),
    ]
)
SURFACES = np.dtype((np.void, MAX_SURFACES * SURFACE.itemsize))


class Rows(NamedTuple):
    """What is copied of a surface.

    Attributes:
        source: Address of its first row.
        target: Where rows go, without gaps.
        pitch: Bytes from one row of the source to the next.
        row_bytes: Bytes of a row that are copied.
        num_rows: Rows.
    """

    source: int
    target: int
    pitch: int
    row_bytes: int
    num_rows: int


class RowCopier:
    """Copies rows on a GPU; for one thread at a time.

    Args:
        context: Of the GPU.

    Raises:
        DeviceError: if the compiler cannot be used.
    """

    def __init__(self, context: DeviceContext) -> None:
        self._context = context
        with context:
            code = cubin("copy_rows.cu", context.arch, (f"-DMAX_SURFACES={MAX_SURFACES}",))
            self._module = context.cuda.module_from_buffer(code)
            self._kernel = self._module.get_function("copy_rows").prepare([SURFACES])

    def enqueue(self, surfaces: Sequence[Rows], stream: Any) -> None:
        """Copy on a ``pycuda.driver.Stream``; sources and targets must not meet."""
        with self._context:
            for records in launches(surfaces):
                self._kernel.prepared_async_call(
                    (NUM_BLOCKS, len(records), 1),
                    (NUM_THREADS, 1, 1),
                    stream,
                    parameters(records),
                )

    def close(self) -> None:
        """Give the code back; the stream must be through."""
        with self._context:
            self._kernel = self._module = None


def launches(surfaces: Sequence[Rows]) -> list[NDArray[np.void]]:
    """The records of each launch, at most ``MAX_SURFACES``."""
    rest = iter(surfaces)
    parts = iter(lambda: [(*rows, 0) for rows in islice(rest, MAX_SURFACES)], [])
    return [np.array(part, SURFACE) for part in parts]


def parameters(records: NDArray[np.void]) -> bytes:
    """The kernel's parameter: what is not used is never looked at."""
    return records.tobytes().ljust(SURFACES.itemsize, b"\0")
