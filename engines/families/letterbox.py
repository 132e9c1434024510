"""Letterbox: a decoded picture, resized with its aspect ratio kept, in the input of a model.

The picture lies at the top left, the rest is padded. For the output pixel (x, y) of a picture of
W x H luma samples that is placed as w x h pixels::

    sx = (x + 0.5) * W / w - 0.5          sy = (y + 0.5) * H / h - 0.5         half-pixel centres
    Y  = bilinear(luma, sx, sy)
    C  = bilinear(chroma, sx / 2, (sy + 0.5) / 2 - 0.5)                        Cb and Cr alike
    value[c]  = clamp(R, G or B of (Y, Cb, Cr), 0, 255)                        see color.py
    output[c] = (value[c] - mean[c]) / std[c]

``bilinear`` clamps its position to the first and last sample of each axis, as OpenCV's
INTER_LINEAR does. Chroma is left-sited, between two rows (ITU-T H.264 Annex E, chroma type 0, the
default of H.264, H.265 and MPEG-4). All arithmetic is float32 or exact, without intermediate
rounding, tap positions are float64; a padded pixel holds (pad_value - mean[c]) / std[c].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from engines.families.bilinear import Resampling, Scratch, taps
from engines.families.color import GREY, ColorMap, color_map
from engines.frames import Frame, Picture, Plane
from engines.spec import ColorOrder, InputSpec

MAX_LAYOUTS = 64
"""Picture layouts whose taps are remembered; a camera has one."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Size in pixels that a picture has within the model's input, from its top left corner."""

    width: int
    height: int


def place(width: int, height: int, input_spec: InputSpec) -> Placement:
    """The largest placement of a width x height picture that keeps its aspect ratio."""
    ratio = min(input_spec.width / width, input_spec.height / height)
    return Placement(
        min(input_spec.width, max(1, round(width * ratio))),
        min(input_spec.height, max(1, round(height * ratio))),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """All that depends on the layout of the picture alone."""

    placement: Placement
    luma: Resampling
    chroma: Resampling
    color: ColorMap


def _plan(input_spec: InputSpec, picture: Picture) -> _Plan:
    placement = place(picture.width, picture.height, input_spec)
    x = _positions(picture.width, placement.width)
    y = _positions(picture.height, placement.height)
    chroma_rows, chroma_columns = (picture.height + 1) // 2, (picture.width + 1) // 2
    chroma_y = (y + 0.5) / 2 - 0.5
    return _Plan(
        placement,
        luma=Resampling(taps(y, picture.height), taps(x, picture.width)),
        # Left-sited chroma ends before the picture does: the last column is repeated.
        chroma=Resampling(taps(chroma_y, chroma_rows), taps(x / 2, chroma_columns + 1)),
        color=color_map(picture),
    )


def _positions(num_inputs: int, num_outputs: int) -> NDArray[np.float64]:
    outputs = np.arange(num_outputs, dtype=np.float64)
    return (outputs + 0.5) * (num_inputs / num_outputs) - 0.5


class Letterbox:
    """Fills the input of a model from decoded planes; for one thread."""

    def __init__(self, input_spec: InputSpec) -> None:
        self._plan_of = lru_cache(MAX_LAYOUTS)(partial(_plan, input_spec))
        self._scratch = Scratch()
        self._is_bgr = input_spec.color is ColorOrder.BGR
        self._mean = np.array(input_spec.mean, np.float32)[:, None, None]
        self._scale = 1 / np.array(input_spec.std, np.float32)[:, None, None]
        self._normalizes = any(input_spec.mean) or set(input_spec.std) != {1.0}
        self._pad = (np.float32(input_spec.pad_value) - self._mean) * self._scale

    def write(self, frame: Frame, out: NDArray[np.float32]) -> None:
        """Write one picture into ``out``, float32 [3, input height, input width]."""
        plan = self._plan_of(frame.picture)
        width, height = plan.placement.width, plan.placement.height
        out[:, height:] = self._pad
        out[:, :height, width:] = self._pad
        placed = out[:, :height, :width]
        # Numpy is slow on rows that do not follow each other: of narrow pictures only the last
        # step is done in place.
        is_wide = width == out.shape[2]
        colors = placed if is_wide else self._scratch.array("colors", placed.shape)
        self._write_colors(frame, plan, colors[::-1] if self._is_bgr else colors)
        np.clip(colors, 0, 255, out=placed)
        if self._normalizes:
            placed -= self._mean
            placed *= self._scale

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
        resampling: Resampling,
        centre: int,
        factor: float,
        out: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """``out`` = factor * (resampled plane - centre)."""
        sums = resampling.sums(plane, self._scratch)
        np.subtract(sums, centre * resampling.gain, out=out, dtype=np.float32)
        out *= factor / resampling.gain
        return out
