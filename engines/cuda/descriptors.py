"""What the preprocessing kernel is told of a model's input and of each picture of a batch.

The records lie as the structs ``Model`` and ``Picture`` of ``kernels/preprocess.cu`` do. All that
depends on matrix, range and placement is worked out here, with the code that the CPU uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engines.families.color import color_map
from engines.families.placement import MAX_LAYOUTS, place, shown, whole
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


class PictureRecords:
    """Fills ``PICTURE`` records; a camera's layout is worked out once."""

    def __init__(self, input_spec: InputSpec) -> None:
        self._input_spec = input_spec
        self._record_of = lru_cache(MAX_LAYOUTS)(self._record)

    def fill(self, frames: Sequence[DeviceFrame], records: NDArray[np.void]) -> None:
        """Describe frames in the first records of ``records``, ``PICTURE`` [n]."""
        for index, frame in enumerate(frames):
            records[index] = self._record_of(frame.picture)
            records["address"][index] = frame.address

    def _record(self, picture: Picture) -> NDArray[np.void]:
        seen = shown(whole(picture), self._input_spec)
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
