"""What the preprocessing kernel is told of a model's input and of each view of a batch.

The records lie as the structs ``Model`` and ``Picture`` of ``kernels/preprocess.cu`` do. All that
depends on matrix, range, crop and placement is worked out here, with the code that the CPU uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from engines.crops import Crop
from engines.families.color import color_map
from engines.families.placement import MAX_LAYOUTS, Window, place, shown, whole, window_of
from engines.frames import Chroma, DeviceFrame, Picture
from engines.spec import ColorOrder, InputSpec

MODEL = np.dtype(
    [
        ("width", np.int32),
        ("height", np.int32),
        ("is_bgr", np.int32),
        ("mean", np.float32, 3),
        ("scale", np.float32, 3),
        ("pad", np.float32, 3),
    ],
    align=True,
)
PICTURE = np.dtype(
    [
        ("address", np.uint64),
        ("width", np.int32),
        ("height", np.int32),
        ("placed_width", np.int32),
        ("placed_height", np.int32),
        ("left", np.int32),
        ("top", np.int32),
        ("chroma_step", np.int32),
        ("chroma_shift", np.float32),
        ("first_x", np.float32),
        ("first_y", np.float32),
        ("step_x", np.float32),
        ("step_y", np.float32),
        ("black", np.float32),
        ("luma", np.float32),
        ("blue", np.float32),
        ("red", np.float32),
        ("green_of_blue", np.float32),
        ("green_of_red", np.float32),
    ],
    align=True,
)


def model_record(input_spec: InputSpec) -> NDArray[np.void]:
    """One ``MODEL`` record, shape []."""
    mean = np.array(input_spec.mean, np.float32)
    scale = 1 / np.array(input_spec.std, np.float32)
    pad = (np.float32(input_spec.pad_value) - mean) * scale
    is_bgr = input_spec.color is ColorOrder.BGR
    return np.array((input_spec.width, input_spec.height, is_bgr, mean, scale, pad), MODEL)


DeviceView = DeviceFrame | Crop
"""What a kernel looks at; the frame of a crop is on the device, too."""


class PictureRecords:
    """Fills ``PICTURE`` records; the layout of a camera is worked out once, crops one by one."""

    def __init__(self, input_spec: InputSpec) -> None:
        self._input_spec = input_spec
        self._record_of = lru_cache(MAX_LAYOUTS)(self._record)

    def fill(self, views: Sequence[DeviceView], records: NDArray[np.void]) -> None:
        """Describe views in the first records of ``records``, ``PICTURE`` [n].

        Raises:
            TypeError: if a picture is not on the device.
        """
        end = 0
        for layout, run in groupby(views, _layout):
            begin, end = end, end + sum(1 for _ in run)
            records[begin:end] = (
                self._record_of(layout)
                if isinstance(layout, Picture)
                else self._record(layout.frame.picture, window_of(layout))
            )
        records["address"][:end] = [_address(view) for view in views]

    def _record(self, picture: Picture, window: Window | None = None) -> NDArray[np.void]:
        seen = shown(window or whole(picture), self._input_spec)
        placement = place(seen.width, seen.height, self._input_spec)
        step_x, step_y = seen.width / placement.width, seen.height / placement.height
        color = color_map(picture)
        values = (
            0,
            picture.width,
            picture.height,
            placement.width,
            placement.height,
            placement.left,
            placement.top,
            2 if picture.chroma is Chroma.INTERLEAVED else 1,
            picture.chroma_shift,
            seen.left + step_x / 2 - 0.5,
            seen.top + step_y / 2 - 0.5,
            step_x,
            step_y,
            color.black,
            color.luma,
            color.blue,
            color.red,
            color.green_of_blue,
            color.green_of_red,
        )
        return np.array(values, PICTURE)


def _layout(view: DeviceView) -> Picture | Crop:
    return view if isinstance(view, Crop) else view.picture


def _address(view: DeviceView) -> int:
    frame = view.frame if isinstance(view, Crop) else view
    if not isinstance(frame, DeviceFrame):
        raise TypeError("the picture is in host memory, where a kernel cannot read it")
    return frame.address
