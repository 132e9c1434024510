"""Bilinear resampling of 8-bit planes into float32, with the taps computed beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
FloatPlane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """Where the outputs of one axis read: ``(1 - weight) * in[low] + weight * in[high]``."""

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    weight: FloatPlane


def taps(positions: NDArray[np.float64], num_inputs: int) -> Taps:
    """Taps for reading at fractional positions, which are clamped to the first and last input."""
    clamped = np.clip(positions, 0, num_inputs - 1)
    low = clamped.astype(np.intp)
    high = np.minimum(low + 1, num_inputs - 1)
    return Taps(low, high, (clamped - low).astype(np.float32))


class Scratch:
    """Named float32 buffers that grow and are used again; for one thread."""

    def __init__(self) -> None:
        self._buffers: dict[str, NDArray[np.float32]] = {}

    def plane(self, name: str, rows: int, columns: int) -> FloatPlane:
        """A [rows, columns] buffer with unspecified content, valid until asked for again."""
        size = rows * columns
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size, np.float32)
        return buffer[:size].reshape(rows, columns)


def resample(
    plane: Plane, vertical: Taps, horizontal: Taps, out: FloatPlane, scratch: Scratch
) -> None:
    """Read ``plane`` at the crossings of two axes of taps into ``out``.

    Rows first, because whole rows are gathered at the speed of a copy; then columns.
    """
    shape = (len(vertical.low), plane.shape[1])
    rows, step = scratch.plane("rows", *shape), scratch.plane("row_step", *shape)
    np.copyto(rows, plane[vertical.low])
    np.subtract(plane[vertical.high], rows, out=step)
    step *= vertical.weight[:, None]
    rows += step
    step = scratch.plane("column_step", *out.shape)
    np.take(rows, horizontal.low, axis=1, out=out, mode="clip")
    np.take(rows, horizontal.high, axis=1, out=step, mode="clip")
    step -= out
    step *= horizontal.weight
    out += step
