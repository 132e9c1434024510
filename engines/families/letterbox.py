"""Letterbox: a decoded picture, or a part of it, brought to the input of a model.

What is looked at is a window of W x H luma samples whose upper left corner is (left, top), all of
the picture or a crop; ``placement`` says where it lies in the input, as w x h pixels; the rest is
padded. For the output pixel (x, y), counted from the window's corner in the input::

    sx = left + (x + 0.5) * W / w - 0.5   sy = top + (y + 0.5) * H / h - 0.5   half-pixel centres
    Y  = bilinear(luma, sx, sy)
    C  = bilinear(chroma, sx / 2 - shift, (sy + 0.5) / 2 - 0.5)                Cb and Cr alike
    value[c]  = clamp(R, G or B of (Y, Cb, Cr), 0, 255)                        see color.py
    output[c] = (value[c] - mean[c]) / std[c]

``bilinear`` clamps its position to the first and last sample of the picture's axis, as OpenCV's
INTER_LINEAR does. ``shift`` is ``Picture.chroma_shift``. All arithmetic is float32 or exact,
without intermediate rounding, tap positions are float64; a padded pixel holds
(pad_value - mean[c]) / std[c].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from engines.crops import Crop, View, frame_of
from engines.families.bilinear import Resampling, Scratch, taps
from engines.families.color import GREY, ColorMap, color_map
from engines.families.placement import (
    MAX_LAYOUTS,
    Placement,
    Window,
    place,
    shown,
    whole,
    window_of,
)
from engines.frames import DeviceFrame, Frame, Picture, Plane
from engines.spec import ColorOrder, InputSpec

Positions = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """Which part of a plane is read, and how."""

    rows: slice
    columns: slice
    resampling: Resampling


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """All that depends on the layout of the picture and on the window alone."""

    placement: Placement
    luma: _Reading
    chroma: _Reading
    color: ColorMap


def _plan(input_spec: InputSpec, picture: Picture, window: Window | None = None) -> _Plan:
    seen = shown(window or whole(picture), input_spec)
    placement = place(seen.width, seen.height, input_spec)
    x = _positions(seen.left, seen.width, placement.width)
    y = _positions(seen.top, seen.height, placement.height)
    rows, columns = picture.plane_shapes[1]
    chroma_x = x / 2 - picture.chroma_shift
    return _Plan(
        placement,
        luma=_reading(y, x, picture.height, picture.width, window),
        # Left-sited chroma ends before the picture does: the last column is repeated.
        chroma=_reading((y + 0.5) / 2 - 0.5, chroma_x, rows, columns + 1, window),
        color=color_map(picture),
    )


def _positions(first: float, num_inputs: float, num_outputs: int) -> Positions:
    outputs = np.arange(num_outputs, dtype=np.float64)
    return (outputs + 0.5) * (num_inputs / num_outputs) + (first - 0.5)


def _reading(
    y: Positions, x: Positions, num_rows: int, num_columns: int, window: Window | None
) -> _Reading:
    """Of a window only what is between its first and last position is read.

    Whole planes are left whole: numpy would copy a part of their columns before it reads them.
    """
    rows, columns = slice(0, num_rows), slice(0, num_columns)
    if window is not None:
        rows, columns = _span(y, num_rows), _span(x, num_columns)
    vertical = taps(np.clip(y, 0, num_rows - 1) - rows.start, rows.stop - rows.start)
    horizontal = taps(np.clip(x, 0, num_columns - 1) - columns.start, columns.stop - columns.start)
    return _Reading(rows, columns, Resampling(vertical, horizontal))


def _span(positions: Positions, num_inputs: int) -> slice:
    first, last = np.clip(positions[[0, -1]], 0, num_inputs - 1)
    return slice(int(first), min(int(last) + 2, num_inputs))


class Letterbox:
    """Fills the input of a model from decoded planes, by its ``resize``; for one thread."""

    def __init__(self, input_spec: InputSpec) -> None:
        self._plan = partial(_plan, input_spec)
        self._plan_of = lru_cache(MAX_LAYOUTS)(self._plan)
        self._scratch = Scratch()
        self._is_bgr = input_spec.color is ColorOrder.BGR
        self._mean = np.array(input_spec.mean, np.float32)[:, None, None]
        self._scale = 1 / np.array(input_spec.std, np.float32)[:, None, None]
        self._normalizes = any(input_spec.mean) or set(input_spec.std) != {1.0}
        self.pad = (np.float32(input_spec.pad_value) - self._mean) * self._scale

    def write(self, view: View, out: NDArray[np.float32]) -> None:
        """Write what is to be seen into ``out``, float32 [3, input height, input width].

        Raises:
            TypeError: if the picture is in the memory of a GPU.
        """
        frame = frame_of(view)
        if isinstance(frame, DeviceFrame):
            raise TypeError("the picture is in the memory of a GPU, where the CPU cannot read it")
        if isinstance(view, Crop):
            plan = self._plan(frame.picture, window_of(view))
        else:
            plan = self._plan_of(frame.picture)
        placed = self._padded(plan.placement, out)
        # Numpy is slow on rows that do not follow each other: of narrow pictures only the last
        # step is done in place.
        is_wide = placed.shape[2] == out.shape[2]
        colors = placed if is_wide else self._scratch.array("colors", placed.shape)
        self._write_colors(frame, plan, colors[::-1] if self._is_bgr else colors)
        np.clip(colors, 0, 255, out=placed)
        if self._normalizes:
            placed -= self._mean
            placed *= self._scale

    def _padded(self, at: Placement, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pad what is around the placement; returns what is to be filled."""
        right, bottom = at.left + at.width, at.top + at.height
        out[:, : at.top] = self.pad
        out[:, bottom:] = self.pad
        out[:, at.top : bottom, : at.left] = self.pad
        out[:, at.top : bottom, right:] = self.pad
        return out[:, at.top : bottom, at.left : right]

    def _write_colors(self, frame: Frame, plan: _Plan, rgb: NDArray[np.float32]) -> None:
        red, green, blue = rgb
        color, (luma, cb, cr) = plan.color, frame.planes
        self._read(cb, plan.chroma, GREY, color.blue, out=blue)
        self._read(cr, plan.chroma, GREY, color.red, out=red)
        buffer = self._scratch.array("luma", green.shape)
        np.multiply(blue, color.green_of_blue, out=green)
        green += np.multiply(red, color.green_of_red, out=buffer)
        rgb += self._read(luma, plan.luma, color.black, color.luma, out=buffer)

    def _read(
        self,
        plane: Plane,
        reading: _Reading,
        centre: int,
        factor: float,
        out: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """``out`` = factor * (resampled plane - centre)."""
        resampling = reading.resampling
        sums = resampling.sums(plane[reading.rows, reading.columns], self._scratch)
        np.subtract(sums, centre * resampling.gain, out=out, dtype=np.float32)
        out *= factor / resampling.gain
        return out


def grey_input(input_spec: InputSpec, num: int) -> NDArray[np.float32]:
    """The input of pictures that are all padding, float32 [num, 3, height, width]."""
    grey = np.empty((num, 3, input_spec.height, input_spec.width), np.float32)
    grey[:] = Letterbox(input_spec).pad
    return grey
