"""Where a picture, or a part of it, lies in the input of a model, and the way back from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from engines.crops import Crop, View
from engines.frames import Picture
from engines.spec import InputSpec, Resize

MAX_LAYOUTS = 64
"""Picture layouts whose geometry is remembered; a camera has one."""

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a picture that is looked at, in luma samples of the pool's copy."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Where that part lies in the model's input, in pixels."""

    width: int
    height: int
    left: int = 0
    top: int = 0


def whole(picture: Picture) -> Window:
    """All of a picture."""
    return Window(0, 0, picture.width, picture.height)


def window_of(crop: Crop) -> Window:
    """A crop in samples of the pool's copy, which may be smaller than the camera's picture."""
    frame = crop.frame
    x = frame.picture.width / frame.source_width
    y = frame.picture.height / frame.source_height
    left, top, right, bottom = crop.xyxy
    return Window(left * x, top * y, (right - left) * x, (bottom - top) * y)


def shown(window: Window, input_spec: InputSpec) -> Window:
    """What of a window the model gets to see: less than all of it only for ``fill``."""
    if input_spec.resize is not Resize.FILL:
        return window
    ratio = min(window.width / input_spec.width, window.height / input_spec.height)
    width, height = input_spec.width * ratio, input_spec.height * ratio
    return Window(
        window.left + (window.width - width) / 2,
        window.top + (window.height - height) / 2,
        width,
        height,
    )


def place(width: float, height: float, input_spec: InputSpec) -> Placement:
    """Where a window of width x height samples lies, by the ``resize`` of the input."""
    resize = input_spec.resize
    if resize in (Resize.STRETCH, Resize.FILL):
        return Placement(input_spec.width, input_spec.height)
    ratio = input_spec.height / height
    if resize is not Resize.FIT_HEIGHT:
        ratio = min(ratio, input_spec.width / width)
    placement = Placement(
        min(input_spec.width, max(1, round(width * ratio))),
        min(input_spec.height, max(1, round(height * ratio))),
    )
    if resize is not Resize.CENTERED:
        return placement
    left, top = input_spec.width - placement.width, input_spec.height - placement.height
    return replace(placement, left=left // 2, top=top // 2)


@dataclass(frozen=True, slots=True, eq=False)
class SourceMap:
    """From left, top, right, bottom in input pixels to those of the camera's picture.

    Attributes:
        scale: float32 [4], source pixels an input pixel.
        offset: float32 [4], added after that.
        limit: float32 [4], right and bottom edge of the camera's picture, twice.
    """

    scale: Array
    offset: Array
    limit: Array

    def apply(self, xyxy: Array) -> Array:
        """Boxes [n, 4] in source pixels, within the picture."""
        inside: Array = np.clip(xyxy * self.scale + self.offset, 0, self.limit)
        return inside


def source_map(
    input_spec: InputSpec,
    picture: Picture,
    source_width: int,
    source_height: int,
    window: Window | None = None,
) -> SourceMap:
    """The way back from the input to the camera's picture; all of it without a window."""
    seen = shown(window or whole(picture), input_spec)
    placement = place(seen.width, seen.height, input_spec)
    x, y = source_width / picture.width, source_height / picture.height
    scale = (seen.width * x / placement.width, seen.height * y / placement.height)
    offset = (
        seen.left * x - placement.left * scale[0],
        seen.top * y - placement.top * scale[1],
    )
    limit = (source_width, source_height)
    return SourceMap(*(np.array(pair * 2, np.float32) for pair in (scale, offset, limit)))


class SourceMaps:
    """Remembers the way back of whole pictures; a camera's is worked out once."""

    def __init__(self, input_spec: InputSpec) -> None:
        self._map = partial(source_map, input_spec)
        self._map_of = lru_cache(MAX_LAYOUTS)(self._map)

    def of(self, view: View) -> SourceMap:
        """The way back from what the model sees of a view."""
        if isinstance(view, Crop):
            frame = view.frame
            size = frame.source_width, frame.source_height
            return self._map(frame.picture, *size, window_of(view))
        return self._map_of(view.picture, view.source_width, view.source_height)

    def of_all(self, views: Sequence[View], nums: NDArray[np.intp]) -> SourceMap:
        """The way back of all boxes of a batch, ``nums`` of each view one after the other."""
        layouts = [list(run) for _, run in groupby(views, _layout)]
        maps = [self.of(run[0]) for run in layouts]
        if len(maps) == 1:
            return maps[0]
        lengths = np.array([len(run) for run in layouts], np.intp)
        num_boxes = np.add.reduceat(nums, lengths.cumsum() - lengths) if maps else nums
        parts = ((one.scale, one.offset, one.limit) for one in maps)
        joined = (np.repeat(np.stack(part), num_boxes, axis=0) for part in zip(*parts, strict=True))
        return SourceMap(*joined)


def _layout(view: View) -> object:
    """Equal for views that have the same way back; what is one object is soon found equal."""
    if isinstance(view, Crop):
        return view
    return view.picture, view.source_width, view.source_height
