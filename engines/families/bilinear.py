"""Bilinear resampling of 8-bit planes, with the taps computed beforehand.

Where an axis shrinks by a whole number, as it does for most cameras, its taps are slices with small
integers for weights. Where both axes do, the sums are exact in int16 and nothing is gathered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Plane = NDArray[np.uint8]
FloatPlane = NDArray[np.float32]
Sums = NDArray[Any]
"""int16 where both axes are even, else float32."""


@dataclass(frozen=True, slots=True, eq=False)
class EvenTaps:
    """Taps at one distance from each other: ``gain * out = a * in[low] + b * in[high]``.

    The weights (a, b) are quarters, so ``gain`` is at most 4: on two axes 16 * 255 fits int16.
    """

    num_outputs: int
    low: slice
    high: slice
    weights: tuple[int, int]

    @property
    def gain(self) -> int:
        """What the sums are too large by."""
        return sum(self.weights)

    @property
    def num_inputs(self) -> int:
        """Inputs up to the last that counts."""
        return int(self.high.stop if self.weights[1] else self.low.stop)


@dataclass(frozen=True, slots=True, eq=False)
class UnevenTaps:
    """Any other taps: ``out = (1 - weight) * in[low] + weight * in[high]``.

    Indices past the last input stand for the last.
    """

    num_outputs: int
    low: NDArray[np.intp]
    high: NDArray[np.intp]
    weight: FloatPlane
    gain: int = 1
    num_inputs: int = 1


Taps = EvenTaps | UnevenTaps


def taps(positions: NDArray[np.float64], num_inputs: int) -> Taps:
    """Taps for reading at fractional positions, which are clamped to the first and last input."""
    clamped = np.clip(positions, 0, num_inputs - 1)
    low = clamped.astype(np.intp)
    weight = clamped - low
    even = _even_taps(low, weight)
    if even and even.num_inputs <= num_inputs:
        return even
    high = np.minimum(low + 1, num_inputs - 1)
    return UnevenTaps(len(low), low, high, weight.astype(np.float32))


def _even_taps(low: NDArray[np.intp], weight: NDArray[np.float64]) -> EvenTaps | None:
    first, last, quarters = int(low[0]), int(low[-1]), int(4 * weight[0])
    step = int(low[1]) - first if len(low) > 1 else 1
    if step < 1 or (np.diff(low) != step).any() or (4 * weight != quarters).any():
        return None
    divisor = math.gcd(4, quarters)
    return EvenTaps(
        len(low),
        slice(first, last + 1, step),
        slice(first + 1, last + 2, step),
        ((4 - quarters) // divisor, quarters // divisor),
    )


class Scratch:
    """Named buffers that grow and are used again; for one thread."""

    def __init__(self) -> None:
        self._buffers: dict[str, NDArray[np.uint8]] = {}

    def array(
        self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.float32
    ) -> NDArray[Any]:
        """A buffer with unspecified content, valid until one of its name is asked for again."""
        size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size_bytes:
            buffer = self._buffers[name] = np.empty(size_bytes, np.uint8)
        return buffer[:size_bytes].view(dtype).reshape(shape)


@dataclass(frozen=True, slots=True, eq=False)
class Resampling:
    """Reads a plane at the crossings of two axes of taps.

    Horizontal taps may have one input more than the plane has columns: its last is repeated.
    """

    vertical: Taps
    horizontal: Taps

    @property
    def gain(self) -> int:
        """What ``sums`` is too large by."""
        return self.vertical.gain * self.horizontal.gain

    def sums(self, plane: Plane, scratch: Scratch) -> Sums:
        """``gain`` times the resampled plane; valid until the next call with this scratch.

        Rows first, because whole rows are read at the speed of a copy; then columns.
        """
        vertical, horizontal = self.vertical, self.horizontal
        is_exact = isinstance(vertical, EvenTaps) and isinstance(horizontal, EvenTaps)
        dtype = np.int16 if is_exact else np.float32
        width = plane.shape[1]
        shape = (vertical.num_outputs, max(width, horizontal.num_inputs))
        rows = scratch.array("rows", shape, dtype)
        _mix_rows(plane, vertical, rows[:, :width], scratch)
        rows[:, width:] = rows[:, width - 1 : width]
        out = scratch.array("sums", (vertical.num_outputs, horizontal.num_outputs), dtype)
        _mix_columns(rows, horizontal, out, scratch)
        return out


def _mix_rows(plane: Plane, taps: Taps, out: Sums, scratch: Scratch) -> None:
    if isinstance(taps, EvenTaps):
        _add(plane[taps.low], plane[taps.high], taps.weights, out, scratch)
    else:
        high = scratch.array("term", out.shape)
        np.copyto(out, plane.take(taps.low, axis=0))
        np.copyto(high, plane.take(taps.high, axis=0))
        _approach(out, high, taps.weight[:, None])


def _mix_columns(rows: Sums, taps: Taps, out: Sums, scratch: Scratch) -> None:
    if isinstance(taps, EvenTaps):
        _add(rows[:, taps.low], rows[:, taps.high], taps.weights, out, scratch)
    else:
        high = scratch.array("term", out.shape)
        rows.take(taps.low, axis=1, out=out, mode="clip")
        rows.take(taps.high, axis=1, out=high, mode="clip")
        _approach(out, high, taps.weight)


def _add(low: Sums, high: Sums, weights: tuple[int, int], out: Sums, scratch: Scratch) -> None:
    if weights == (1, 0):
        np.copyto(out, low)
    elif weights == (1, 1):
        np.add(low, high, out=out, dtype=out.dtype)
    else:
        term = scratch.array("term", out.shape, out.dtype)
        np.multiply(low, weights[0], out=out, dtype=out.dtype)
        out += np.multiply(high, weights[1], out=term, dtype=out.dtype)


def _approach(low: FloatPlane, high: FloatPlane, weight: FloatPlane) -> None:
    """``low`` becomes ``low + weight * (high - low)``; ``high`` is used up."""
    high -= low
    high *= weight
    low += high
